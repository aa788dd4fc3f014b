"""`pdp quarantine`: a file, or a running service, is changed by it, and nothing by mistake."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pdp.cli.quarantine import quarantine
from tests.e2e.running import PROD, WEB
from tests.identity.publishing import publishing, send
from tests.process.test_administering import not_synced

POLICY = (
    """\
language 1
trust domain prod = "prod.example.org"
service many {
"""
    + "".join(f"    allow prod/ns/shop/sa/w{n} to GET /{n} as w{n}\n" for n in range(12))
    + "}\n"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "quarantine.json"
    path.write_text('{"entries": []}')
    return path


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(quarantine, [str(each) for each in arguments])


def add(file: Path, *named: str) -> Result:
    return run("add", "--file", file, "--for", "24h", "--why", "key on a forum", *named)


def test_what_is_added_is_listed_and_lifted(file: Path) -> None:
    added = json.loads(add(file, "--spiffe-id", WEB, "--json").output)

    assert (added["spiffe_id"], added["why"]) == (WEB, "key on a forum")
    assert "@" in added["who"]
    listed = run("list", "--file", file)
    assert f"holds {added['id']} spiffe_id {WEB} until " in listed.output
    assert json.loads(run("list", "--file", file, "--json").output) == {"entries": [added]}
    lifted = run("lift", added["id"], "--file", file, "--why", "rotated")
    assert (lifted.exit_code, lifted.output.startswith(f"lifted: {added['id']}")) == (0, True)
    assert json.loads(file.read_text()) == {"entries": []}


def test_the_settings_name_the_file(file: Path, tmp_path: Path) -> None:
    config = tmp_path / "pdp.toml"
    config.write_text('[quarantine]\nfile = "quarantine.json"\n')

    done = run("add", "--config", config, "--for", "1h", "--why", "x", "--serial", "0A:1b")

    assert done.exit_code == 0, done.output
    assert json.loads(file.read_text())["entries"][0]["serial"] == "0a1b"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--spiffe-id", WEB, "--dns", "x"], 2, "names one of"),
        ([], 2, "names one of"),
        (["--sub", "alice"], 2, "goes with `issuer`"),
        (["--spiffe-id", "spiffe://*/x", "--confirm", "1"], 2, "whole segment"),
        (["--spiffe-id", f"spiffe://{PROD}/**"], 2, "--policies DIR"),
        (["--spiffe-id", f"spiffe://{PROD}/**", "--confirm", "0"], 2, "--policies DIR"),
        (["--dns", "*.example.org"], 2, "--policies DIR"),
        (["--spiffe-id", WEB, "--for", "9999999d"], 2, "366 days at most"),
        (["--spiffe-id", WEB, "--for", "367d"], 2, "366 days at most"),
        (["--serial", "zz"], 2, "hexadecimal"),
    ],
)
def test_what_is_no_entry_changes_nothing(file: Path, arguments: list[str], code: int, says: str) -> None:
    done = add(file, *arguments)

    assert (done.exit_code, says in done.output) == (code, True), done.output
    assert json.loads(file.read_text()) == {"entries": []}


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["list"], 2, "one of --file, --config and --at"),
        (["list", "--file", "x", "--at", "https://127.0.0.1:1"], 2, "one of --file, --config and --at"),
        (["list", "--at", "https://127.0.0.1:1"], 2, "--cert, --key and --ca"),
        (["list", "--file", "none.json"], 3, "cannot be read"),
    ],
)
def test_where_the_list_is_has_to_be_said(arguments: list[str], code: int, says: str) -> None:
    done = run(*arguments)

    assert (done.exit_code, says in done.output) == (code, True), done.output


def test_a_pattern_about_many_is_counted(file: Path, tmp_path: Path) -> None:
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "many.policy").write_text(POLICY)
    wide = ("--spiffe-id", f"spiffe://{PROD}/ns/shop/**", "--policies", str(policies))

    assert "about 12 identities" in add(file, *wide).output
    assert add(file, *wide, "--confirm", "11").exit_code == 2
    assert add(file, *wide, "--confirm", "12").exit_code == 0


@pytest.mark.parametrize(
    ("about", "known"),
    [
        (["--spiffe-id", f"spiffe://{PROD}/ns/*/sa/w3"], 1),
        (["--spiffe-id", f"spiffe://{PROD}/**"], 1),
        (["--spiffe-id", f"spiffe://{PROD}/ns/none/**"], 0),
        (["--dns", "*.example.org"], 0),
    ],
)
def test_each_pattern_takes_a_second_word_however_few_it_is_known_to_be_about(
    file: Path, tmp_path: Path, about: list[str], known: int
) -> None:
    policies = tmp_path / "one.policy"
    policies.write_text(
        f'language 1\ntrust domain prod = "{PROD}"\n'
        "service one {\n    allow prod/ns/shop/sa/w3 to GET /x as x\n}\n"
    )
    counting = (*about, "--policies", str(policies))

    first = add(file, *counting)

    assert (first.exit_code, f"say --confirm {known}" in first.output) == (2, True), first.output
    assert add(file, *counting, "--confirm", str(known + 1)).exit_code == 2
    assert json.loads(file.read_text()) == {"entries": []}
    assert add(file, *counting, "--confirm", str(known)).exit_code == 0


def test_whoever_may_lift_is_not_quarantined_by_mistake(file: Path, tmp_path: Path) -> None:
    config, ann = tmp_path / "pdp.toml", "spiffe://ops.example.org/people/ann"
    config.write_text(
        '[quarantine]\nfile = "quarantine.json"\n[admin]\nlisten = "127.0.0.1:0"\n'
        f'may_lift = ["{ann}"]\n[admin.trust]\n"ops.example.org" = "ops.pem"\n'
    )
    adding = ("add", "--config", config, "--for", "1h", "--why", "x", "--spiffe-id", ann)

    first = run(*adding)

    assert (first.exit_code, "1 who may lift" in first.output) == (2, True), first.output
    assert json.loads(file.read_text()) == {"entries": []}
    assert run(*adding, "--confirm", "1").exit_code == 0


def test_a_user_without_a_name_lists_and_is_told_by_number(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 65_532)  # as in the image: there is no entry for it

    listed = run("list", "--file", file)
    added = json.loads(add(file, "--spiffe-id", WEB, "--json").output)

    assert listed.exit_code == 0, listed.output
    assert added["who"].startswith("uid 65532@")


def test_who_lifts_and_why_is_said(file: Path) -> None:
    named = [json.loads(add(file, "--spiffe-id", WEB, "--json").output) for _ in range(2)]

    spoken = run("lift", named[0]["id"], "--file", file, "--why", "rotated").stdout
    as_json = run("lift", named[1]["id"], "--file", file, "--why", "rotated", "--json")

    line = f"lifted by {named[0]['who']}: rotated\n"
    assert spoken.endswith(line)
    assert as_json.stderr == line
    assert json.loads(as_json.stdout) == named[1]


def test_an_answer_that_is_not_in_json_is_told_by_its_status(tmp_path: Path) -> None:
    with publishing(tmp_path) as published:
        published.answer = lambda handler: send(handler, b"Service Unavailable", 503)
        pair = tmp_path / "server.pem"

        done = run(
            "list", "--at", f"https://localhost:{published.port}", "--cert", pair, "--key", pair,
            "--ca", published.roots,
        )  # fmt: skip

    assert (done.exit_code, "answers with status 503, and not in JSON" in done.output) == (3, True), (
        done.output
    )


def test_what_is_written_and_may_not_last_is_not_said_to_be_unchanged(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    not_synced(monkeypatch)

    done = add(file, "--spiffe-id", WEB, "--json")

    assert (done.exit_code, json.loads(done.stdout)["error"]["code"]) == (3, "not_confirmed")
    assert json.loads(file.read_text())["entries"][0]["spiffe_id"] == WEB
