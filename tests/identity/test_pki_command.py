"""`pdp pki`: arguments, output and exit codes. 0 done, 2 called wrongly, 3 could not."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdp.cli.pki import pki

DOMAIN = "prod.example.org"
WEB = f"spiffe://{DOMAIN}/ns/shop/sa/web"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(pki, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "pki"
    assert run("init", "--dir", path, "--trust-domain", DOMAIN).exit_code == 0
    return path


def test_init_issue_rotate_in_a_process_of_their_own(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "pki"
    steps = [
        ["init", "--dir", folder, "--trust-domain", DOMAIN],
        ["issue", "--dir", folder, "web", "--spiffe-id", WEB, "--dns", "localhost", "--ip", "127.0.0.1"],
        ["rotate", "--dir", folder, "web"],
        ["rotate", "--dir", folder, "intermediate"],
    ]

    for step in steps:
        command = [sys.executable, "-W", "error", "-c", "from pdp.cli.pki import pki; pki()", *map(str, step)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert str(folder / "root.pem") in done.stdout

    assert {path.name for path in folder.iterdir()} == {
        *("root.pem", "root-key.pem", "intermediate.pem", "intermediate-key.pem", "web.pem", "web-key.pem")
    }


def test_json_names_every_file_and_its_end(folder: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)

    done = run("issue", "--dir", folder, "web", "--spiffe-id", WEB, "--ttl", "90m", "--json")

    answer = json.loads(done.stdout)
    (issued,) = answer["issued"]
    ends = datetime.fromisoformat(issued.pop("not_after"))
    fingerprint = issued.pop("fingerprint")
    assert done.exit_code == 0
    assert answer["trust"] == str(folder / "root.pem")
    assert issued == {
        "name": "web",
        "uri": WEB,
        "certificate": str(folder / "web.pem"),
        "key": str(folder / "web-key.pem"),
    }
    assert before + timedelta(minutes=90) <= ends <= datetime.now(UTC) + timedelta(minutes=90)
    assert len(bytes.fromhex(fingerprint)) == 32


def test_init_and_rotate_answer_in_json_as_well(tmp_path: Path) -> None:
    made = json.loads(run("init", "--dir", tmp_path / "p", "--trust-domain", DOMAIN, "--json").stdout)
    rotated = json.loads(run("rotate", "--dir", tmp_path / "p", "intermediate", "--json").stdout)

    assert [item["name"] for item in made["made"]] == ["root", "intermediate"]
    assert [item["uri"] for item in rotated["rotated"]] == [f"spiffe://{DOMAIN}"]


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("24h", 86_400), ("7d", 604_800)])
def test_durations_have_a_unit(folder: Path, text: str, seconds: int) -> None:
    assert run("issue", "--dir", folder, "web", "--spiffe-id", WEB, "--ttl", text).exit_code == 0

    certificate = x509.load_pem_x509_certificates((folder / "web.pem").read_bytes())[0]
    remaining = certificate.not_valid_after_utc - datetime.now(UTC)
    assert seconds - 60 < remaining.total_seconds() <= seconds


MISTAKES = {
    "no arguments": ("issue",),
    "no SPIFFE ID": ("issue", "web"),
    "no trust domain": ("init",),
    "unknown option": ("init", "--trust-domain", DOMAIN, "--force"),
    "unknown command": ("renew", "web"),
    "not a trust domain": ("init", "--trust-domain", "a/b"),
    "not a SPIFFE ID": ("issue", "web", "--spiffe-id", "web"),
    "no identity": ("issue", "web"),
    "neither kind of identity": ("init",),
    "both kinds of identity": ("init", "--trust-domain", DOMAIN, "--dns-identities"),
    "another trust domain": ("issue", "web", "--spiffe-id", "spiffe://other.test/x"),
    "a name with a separator": ("issue", "../web", "--spiffe-id", WEB),
    "the root's name": ("issue", "root", "--spiffe-id", WEB),
    "not a DNS name": ("issue", "web", "--spiffe-id", WEB, "--dns", "*"),
    "not an address": ("issue", "web", "--spiffe-id", WEB, "--ip", "x"),
    "a number without a unit": ("issue", "web", "--spiffe-id", WEB, "--ttl", "24"),
    "a negative duration": ("issue", "web", "--spiffe-id", WEB, "--ttl", "-1h"),
    "no time at all": ("issue", "web", "--spiffe-id", WEB, "--ttl", "0s"),
    "too long a time": ("issue", "web", "--spiffe-id", WEB, "--ttl", "999999999d"),
    "rotating the root": ("rotate", "root"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistake_in_the_call_exits_2_with_one_sentence_and_writes_nothing(folder: Path, case: str) -> None:
    command, *rest = MISTAKES[case]
    before = sorted(folder.parent.rglob("*"))

    done = run(command, "--dir", folder, *rest)

    assert done.exit_code == 2
    assert done.stdout == ""
    assert "rror: " in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(folder.parent.rglob("*")) == before


def test_what_could_not_be_done_exits_3_with_one_sentence(folder: Path, tmp_path: Path) -> None:
    for arguments in (
        ("init", "--dir", folder, "--trust-domain", DOMAIN),
        ("init", "--dir", "/proc/pki", "--trust-domain", DOMAIN),
        ("issue", "--dir", tmp_path / "none", "web", "--spiffe-id", WEB),
        ("rotate", "--dir", folder, "web"),
    ):
        done = run(*arguments)
        assert (done.exit_code, done.stdout) == (3, "")
        assert done.stderr.startswith("error: ")
        assert len(done.stderr.splitlines()) == 1


def test_refusals_are_json_where_json_was_asked_for(folder: Path) -> None:
    could_not = run("rotate", "--dir", folder, "web", "--json")
    mistake = run("rotate", "--dir", folder, "root", "--json")

    assert (could_not.exit_code, mistake.exit_code) == (3, 2)
    assert "web.pem does not exist" in json.loads(could_not.stdout)["error"]
    assert "make a new authority in another folder" in json.loads(mistake.stdout)["error"]


@pytest.mark.parametrize("command", [(), ("init",), ("issue",), ("rotate",)])
def test_help_has_an_example_on_lines_of_its_own(command: tuple[str, ...]) -> None:
    done = run(*command, "--help")

    assert done.exit_code == 0
    example = done.stdout.partition("Example:\n")[2].strip().splitlines()
    assert example[0].strip().startswith(f"pdp pki {' '.join(command)}".strip())


def test_examples_of_the_help_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = run("--help").stdout.partition("Example:\n")[2]
    commands = [line.split()[2:] for line in text.strip().splitlines()]
    assert len(commands) == 3

    for command in commands:
        assert run(*command).exit_code == 0, command


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.text(max_size=20),
    spiffe_id=st.just(WEB) | st.text(max_size=20),
    dns=st.text(max_size=9),
    ip=st.text(max_size=9),
)
def test_no_argument_whatever_ends_in_a_traceback_or_outside_the_folder(
    folder: Path, name: str, spiffe_id: str, dns: str, ip: str
) -> None:
    done = run("issue", "--dir", folder, f"--spiffe-id={spiffe_id}", f"--dns={dns}", f"--ip={ip}", "--", name)

    assert done.exit_code in {0, 2, 3}
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert [path.name for path in folder.parent.iterdir()] == ["pki"]


def test_revocations_are_told_and_written(folder: Path) -> None:
    run("issue", "--dir", folder, "web", "--spiffe-id", WEB)
    serial = x509.load_pem_x509_certificate((folder / "web.pem").read_bytes()).serial_number

    revoked = run("revoke", "--dir", folder, "web")
    again = run("crl", "--dir", folder, "--ttl", "2d", "--json")

    assert revoked.exit_code == again.exit_code == 0
    assert f"revoked the serial number {serial:x}" in revoked.output.replace("number 0", "number ")
    assert f"lists {folder / 'crl.pem'}" in revoked.output
    answer = json.loads(again.stdout)
    assert (answer["lists"], answer["revoked"]) == (str(folder / "crl.pem"), None)
    assert datetime.fromisoformat(answer["valid_until"]) > datetime.now(UTC) + timedelta(days=1)
    assert run("revoke", "--dir", folder, "nobody").exit_code == 3


def test_an_authority_for_machines(tmp_path: Path) -> None:
    made = run("init", "--dir", tmp_path / "m", "--dns-identities")
    issued = run("issue", "--dir", tmp_path / "m", "db", "--dns", "DB.example.org", "--ip", "127.0.0.1")

    assert "made root: dns:\n" in made.output
    assert "issued db: dns:db.example.org\n" in issued.output
