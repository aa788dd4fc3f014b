"""What `pdp identity explain` says of evidence of whom an entry of the quarantine is about."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509 import load_pem_x509_certificate

from tests.identity.test_explained import CHAIN, DOMAIN, EDGE, ROOT, WEB, run
from tests.identity.tokens import AUDIENCE, ISSUER, claims, ec_key, token

KEY = ec_key()
NOW = "2027-01-15T08:00:00Z"
USER = token({"alg": "ES256", "kid": "a"}, claims(jti="t-1"), KEY)
SERIAL = f"{load_pem_x509_certificate(CHAIN).serial_number:x}"
EXPLAINED = {
    "spiffe_id": ("--spiffe-id", WEB),
    "xfcc": ("--xfcc", f"By={EDGE};URI={WEB}"),
    "cert": ("--cert", "web.pem"),
    "jwt": ("--jwt", USER, "--at", NOW),
    "forwarded": ("--forwarded", "linkerd", "--header", "l5d-client-id: web.example.org"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "web.pem").write_bytes(CHAIN)
    (tmp_path / "roots.pem").write_bytes(ROOT.pem)
    (tmp_path / "pdp.toml").write_text(
        f'[trust]\n"{DOMAIN}" = "roots.pem"\n[quarantine]\nfile = "q.json"\n'
        f'[issuers."{ISSUER}"]\naudiences = ["{AUDIENCE}"]\n'
        f"jwks = '{json.dumps({'keys': [KEY.named('a')]})}'\n"
    )
    quarantine(tmp_path)
    return tmp_path


def quarantine(folder: Path, **named: str) -> None:
    entry = {"id": "q-1", "who": "ops", "why": "key on a forum", "since": "2026-09-01T00:00:00Z",
             "until": "2027-08-01T00:00:00Z", **named}  # fmt: skip
    (folder / "q.json").write_text(json.dumps({"entries": [entry] if named else []}))


def explain(folder: Path, kind: str) -> tuple[int, dict[str, Any]]:
    arguments = [str(folder / each) if each == "web.pem" else each for each in EXPLAINED[kind]]
    done = run(*arguments, "--config", folder / "pdp.toml", "--json")
    return done.exit_code, json.loads(done.stdout)


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("spiffe_id", {"spiffe_id": WEB}),
        ("spiffe_id", {"spiffe_id": f"spiffe://{DOMAIN}/ns/**"}),
        ("xfcc", {"spiffe_id": WEB}),
        ("cert", {"spiffe_id": WEB}),
        ("cert", {"serial": SERIAL}),
        ("jwt", {"jti": "t-1", "issuer": ISSUER}),
        ("jwt", {"sub": "alice", "issuer": ISSUER}),
        ("forwarded", {"dns": "*.example.org"}),
    ],
)
def test_it_is_refused_and_the_entry_is_shown(folder: Path, kind: str, named: dict[str, str]) -> None:
    assert explain(folder, kind)[0] == 0

    quarantine(folder, **named)
    code, found = explain(folder, kind)

    assert (code, found["accepted"], found["parts"]["code"]) == (1, False, "quarantined")
    assert "until 2027-08-01T00:00:00Z, by ops: key on a forum" in found["reason"]
    assert found["parts"]["quarantine"]["id"] == "q-1"


def test_an_entry_about_somebody_else_changes_nothing(folder: Path) -> None:
    quarantine(folder, spiffe_id=f"{WEB}/x")

    assert all(explain(folder, kind)[0] == 0 for kind in EXPLAINED)


def test_a_list_that_cannot_be_read_is_no_answer(folder: Path) -> None:
    (folder / "q.json").write_text("{")

    done = run("--spiffe-id", WEB, "--config", folder / "pdp.toml")

    assert (done.exit_code, "q.json" in done.stderr) == (3, True)
