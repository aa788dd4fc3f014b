"""`pdp quarantine`: a file, or a running service, is changed by it, and nothing by mistake."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pdp.cli.quarantine import quarantine
from tests.e2e.running import PROD, WEB

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
        (["--dns", "*.example.org"], 2, "--policies DIR"),
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
    few = ("--spiffe-id", f"spiffe://{PROD}/ns/*/sa/w3", "--policies", str(policies))
    assert add(file, *few).exit_code == 0
