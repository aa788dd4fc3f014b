"""What is made of a token, and what `pdp identity explain --jwt` says of it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pdp.cli.identity import identity
from pdp.identity.tokens.explained import explain_jwt
from pdp.identity.tokens.issuer import TokenTrust
from pdp.limits import MAX_TOKEN_BYTES
from tests.identity.mint import authority, leaf
from tests.identity.tokens import (
    AUDIENCE,
    DOMAIN,
    ISSUER,
    NOW,
    WEB,
    b64,
    bundle,
    claims,
    ec_key,
    encoded,
    issuer,
    svid_claims,
    token,
    trust,
)

KEY, HEADER = ec_key(), {"alg": "ES256", "kid": "a", "typ": "JWT"}
BELIEVED = trust(issuer(KEY.named("a"), KEY.named("b")), bundle(KEY.named("a")))
GOOD, SVID = token(HEADER, claims(groups=["sre"], x=None), KEY), token(HEADER, svid_claims(), KEY)
AT = ("--at", "2027-01-15T08:00:00Z")
CONFIG = f"""\
[issuers."{ISSUER}"]
audiences = ["{AUDIENCE}"]
jwks = '{json.dumps({"keys": [KEY.named("a")]})}'

[issuers."https://broken.example.com"]
audiences = ["{AUDIENCE}"]
jwks = 'nothing'

[jwt_bundles."{DOMAIN}"]
audiences = ["{AUDIENCE}"]
bundle_file = "bundle.json"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "bundle.json").write_text(json.dumps({"keys": [KEY.named("a", use="jwt-svid")]}))
    (tmp_path / "pdp.toml").write_text(CONFIG)
    return tmp_path / "pdp.toml"


def run(*arguments: str | Path, given: str | bytes = "") -> Result:
    return CliRunner().invoke(identity, ["explain", *map(str, arguments)], input=given)


# -- what it comes to ----------------------------------------------------------------------


def test_a_users_token_is_taken_apart() -> None:
    found = explain_jwt(GOOD, BELIEVED, NOW)

    assert found.accepted
    assert found.reason == f"the token verifies, and names the user `alice` of {ISSUER}"
    parts = dict(found.parts)
    assert parts.pop("claims") == claims(groups=["sre"])
    assert parts.pop("attributes")["user.groups"] == ["sre"]
    assert parts == {
        "header": HEADER,
        "profile": "oidc",
        "issuer": ISSUER,
        "subject": "alice",
        "user": {"issuer": ISSUER, "subject": "alice", "groups": ["sre"]},
        "audiences": [AUDIENCE],
        "expected_audiences": [AUDIENCE],
        "key": {"kid": "a", "algorithm": "ES256"},
        "keys": [{"kid": "a", "kty": "EC", "algorithms": ["ES256"]}],
        "issued": "2027-01-15T07:59:50Z",
        "not_before": "2027-01-15T07:59:50Z",
        "expires": "2027-01-15T08:05:00Z",
    }


def test_a_jwt_svid_is_taken_apart() -> None:
    found = explain_jwt(SVID, BELIEVED, NOW)

    assert (found.accepted, found.reason) == (True, f"the token verifies, and names {WEB}")
    assert (found.parts["profile"], found.parts["issuer"], found.parts["spiffe_id"]) == (
        "spiffe",
        DOMAIN,
        WEB,
    )
    assert found.parts["trust_domain"] == DOMAIN
    assert found.parts["attributes"]["principal.sub"] == WEB
    assert "user" not in found.parts


@pytest.mark.parametrize(
    ("text", "code", "read"),
    [
        (
            GOOD[:-8] + "AAAAAAAA",
            "signature",
            {"header", "claims", "issued", "not_before", "expires", "profile"},
        ),
        (token(HEADER, claims(exp="x"), KEY), "invalid_claim", {"header", "claims", "profile"}),
        (token(HEADER | {"crit": []}, claims(), KEY), "critical", {"header", "claims"}),
        (
            token({"alg": "none"}, claims(), KEY, algorithm="ES256"),
            "algorithm",
            {"header", "claims", "profile"},
        ),
        (token(HEADER, claims(iss="https://x"), KEY), "unknown_issuer", {"header", "claims", "expires"}),
        (f"{b64('no')}.{b64('{}')}.AA", "malformed", {"claims"}),
        (f"{b64('{}')}.{b64('{}')}.AA", "header", {"header", "claims"}),
        (f"{b64('{}')}.{b64('no')}.AA", "malformed", {"header"}),
        (f"{b64('{}')}", "malformed", {"header"}),
        (f"{encoded(HEADER, claims())}.", "unsigned", {"header", "claims"}),
        (f"{encoded(HEADER, claims())}.a.b.c", "encrypted", {"header", "claims"}),
        ("", "malformed", set()),
        ("x" * (MAX_TOKEN_BYTES + 1), "too_large", set()),
        (f"{encoded(HEADER, claims())}." + "x" * MAX_TOKEN_BYTES, "too_large", set()),
    ],
)
def test_of_a_token_that_is_refused_there_is_what_could_be_read(text: str, code: str, read: set) -> None:
    found = explain_jwt(text, BELIEVED, NOW)

    assert not found.accepted
    assert found.reason
    assert found.parts["code"] == code
    assert read <= found.parts.keys()
    assert found.parts.keys().isdisjoint({"user", "spiffe_id", "subject", "key"})
    assert {"header", "claims"} & found.parts.keys() == {"header", "claims"} & read


def test_a_broken_key_set_is_told() -> None:
    by = trust(issuer())

    assert explain_jwt(GOOD, by, NOW).parts["code"] == "unknown_key"
    assert explain_jwt(GOOD, TokenTrust(), NOW).parts["code"] == "no_issuers"


# -- the command ---------------------------------------------------------------------------


def test_the_exit_code_says_whether_it_was_accepted(config: Path) -> None:
    accepted = run("--jwt", GOOD, "--config", config, *AT)
    refused = run("--jwt", GOOD, "--config", config, "--at", "2027-01-15T08:05:10Z")

    assert (accepted.exit_code, refused.exit_code) == (0, 1)
    assert accepted.stdout.startswith(
        f"accepted: the token verifies, and names the user `alice` of {ISSUER}\n"
    )
    assert "  expires        2027-01-15T08:05:00Z\n" in accepted.stdout
    assert refused.stdout.startswith("refused: the token has expired, 10 seconds ago\n")


def test_json_has_the_verdict_the_reason_and_the_parts(config: Path) -> None:
    answer = json.loads(run("--jwt", SVID, "--config", config, "--json", *AT).stdout)

    assert (answer["accepted"], answer["parts"]["spiffe_id"]) == (True, WEB)
    assert answer["parts"]["claims"] == svid_claims()


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_token_is_read_from_standard_input(config: Path, end: str) -> None:
    assert run("--jwt", "-", "--config", config, *AT, given=GOOD + end).exit_code == 0


@pytest.mark.parametrize(
    "given", [GOOD + "\n\n", " " + GOOD, GOOD + " ", "", "\n", b"\xff\xfe", b"\0" * 100_000]
)
def test_nothing_but_a_token_stands_there(config: Path, given: str | bytes) -> None:
    assert run("--jwt", "-", "--config", config, *AT, given=given).exit_code == 1


def test_the_longest_token_is_told_from_one_that_is_longer(config: Path) -> None:
    for size, code in ((MAX_TOKEN_BYTES, "malformed"), (MAX_TOKEN_BYTES + 1, "too_large")):
        for end in ("", "\n", "\r\n"):
            done = run("--jwt", "-", "--config", config, "--json", given="x" * size + end)
            assert json.loads(done.stdout)["parts"]["code"] == code


def test_without_settings_nobody_is_believed() -> None:
    done = run("--jwt", GOOD, "--json", *AT)

    answer = json.loads(done.stdout)
    assert (done.exit_code, answer["parts"]["code"]) == (1, "no_issuers")
    assert answer["parts"]["claims"]["sub"] == "alice"


def test_the_clock_is_read_where_no_instant_is_given(config: Path) -> None:
    done = run(
        "--jwt", token(HEADER, claims(exp=1000, iat=None, nbf=None), KEY), "--config", config, "--json"
    )

    assert json.loads(done.stdout)["parts"]["code"] == "expired"


def test_settings_with_a_mistake_are_told_with_their_line(config: Path) -> None:
    config.write_text(CONFIG + "audience = 1\n")

    done = run("--jwt", GOOD, "--config", config, "--json")

    error = json.loads(done.stdout)["error"]
    assert (done.exit_code, error["code"]) == (3, "bad_settings")
    assert f"pdp.toml:{CONFIG.count(chr(10)) + 1}:1" in error["message"]
    assert run("--jwt", GOOD, "--config", config).exit_code == 3
    config.write_text("no TOML")
    assert run("--jwt", GOOD, "--config", config).exit_code == 3


def test_a_broken_key_set_ends_nothing_but_its_issuers_tokens(config: Path) -> None:
    broken = token(HEADER, claims(iss="https://broken.example.com"), KEY)

    assert (
        json.loads(run("--jwt", broken, "--config", config, "--json", *AT).stdout)["parts"]["code"]
        == "key_set"
    )
    assert run("--jwt", GOOD, "--config", config, *AT).exit_code == 0


def test_lines_are_answered_in_their_order(config: Path) -> None:
    lines = [
        json.dumps({"jwt": GOOD}),
        json.dumps({"jwt": GOOD + "x"}),
        json.dumps({"spiffe_id": WEB}),
        json.dumps({"jwt": SVID}),
        json.dumps({"jwt": ""}),
        json.dumps({"jwt": GOOD, "spiffe_id": WEB}),
        json.dumps({"jwt": 1}),
        json.dumps({"jwt": None}),
        json.dumps({"jwt": "\u00e9" + GOOD}),
        json.dumps({"jwt": "-"}),
    ]

    done = run("--batch", "-", "--config", config, *AT, given="\n".join(lines))

    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 0
    assert [answer["accepted"] for answer in answers] == [True, False, True, True, *[False] * 6]
    assert all(answer["reason"] for answer in answers)


def test_certificates_are_verified_to_the_roots_of_the_settings(tmp_path: Path) -> None:
    root = authority("root", uris=[f"spiffe://{DOMAIN}"])
    (tmp_path / "roots.pem").write_bytes(root.pem)
    (tmp_path / "other.pem").write_bytes(authority("other", uris=[f"spiffe://{DOMAIN}"]).pem)
    (tmp_path / "web.pem").write_bytes(leaf(root, uris=[WEB]).pem)
    (tmp_path / "pdp.toml").write_text(f'[trust]\n"{DOMAIN}" = "roots.pem"\n')
    arguments = ("--cert", tmp_path / "web.pem", "--config", tmp_path / "pdp.toml")

    assert run(*arguments, "--at", "2027-03-01T12:00Z").exit_code == 0
    assert run(*arguments, "--at", "2037-03-01T12:00Z").exit_code == 1
    assert (
        run(*arguments, "--trust", f"{DOMAIN}={tmp_path / 'other.pem'}", "--at", "2027-03-01").exit_code == 1
    )


HOSTILE = "\x1b[31m\u202e\x9b1m\x7f"


@pytest.mark.parametrize(
    "text",
    [
        token(HEADER, claims(**{HOSTILE: HOSTILE, "list": [HOSTILE, {HOSTILE: None}]}), KEY),
        token(HEADER | {HOSTILE: HOSTILE}, claims(), KEY),
        token(HEADER | {"kid": HOSTILE}, claims(), KEY),
        token(HEADER | {"typ": HOSTILE}, claims(), KEY),
        token(HEADER, claims(iss=HOSTILE), KEY),
        token(HEADER, claims(aud=HOSTILE), KEY),
        token(HEADER, claims(sub=HOSTILE), KEY),
        token(HEADER, claims(sub=f"spiffe://{HOSTILE}/x"), KEY),
        token({"alg": HOSTILE}, claims(), KEY, algorithm="ES256"),
        token(HEADER, json.dumps(claims())[:-1] + f',"{HOSTILE[4:]}":1,"{HOSTILE[4:]}":2}}', KEY),
    ],
)
def test_nothing_that_a_token_says_reaches_the_terminal_as_it_is(config: Path, text: str) -> None:
    shown = [
        run("--jwt", text, "--config", config, *AT).output,
        run("--jwt", text, "--config", config, "--json", *AT).output,
        run("--batch", "-", "--config", config, *AT, given=json.dumps({"jwt": text})).output,
    ]

    assert all(len(each) > 20 for each in shown)
    assert not [each for each in shown if set(HOSTILE) & set(each) - set("[31m")]


def test_a_refusal_never_shows_the_signature(config: Path) -> None:
    text = GOOD[:-8] + "AAAAAAAA"

    shown = run("--jwt", text, "--config", config, *AT).output

    assert "refused" in shown
    assert text.rpartition(".")[2] not in shown
