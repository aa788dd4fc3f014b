"""What is made of an ID, a header and a certificate, and what `pdp identity explain` says of it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pdp.cli.identity import identity
from pdp.identity.explained import explain_certificate, explain_spiffe_id, explain_xfcc
from pdp.identity.trust import TrustStore
from pdp.limits import MAX_HEAD_BYTES
from tests.identity.mint import authority, leaf

NOW = datetime.now(UTC)
DOMAIN = "prod.example.org"
WEB = f"spiffe://{DOMAIN}/ns/shop/sa/web"
EDGE = f"spiffe://{DOMAIN}/ns/edge/sa/proxy"
SPAN = {"start": NOW - timedelta(days=1), "end": NOW + timedelta(days=1)}
ROOT = authority("root", uris=[f"spiffe://{DOMAIN}"], **SPAN)
OTHER = authority("other root", uris=["spiffe://other.example.org"], **SPAN)
CHAIN = leaf(ROOT, uris=[WEB], dns=["web.example.org"], **SPAN).pem


def run(*arguments: str | Path, given: str = "") -> Result:
    return CliRunner().invoke(identity, ["explain", *map(str, arguments)], input=given)


@pytest.fixture
def roots(tmp_path: Path) -> str:
    (tmp_path / "roots.pem").write_bytes(ROOT.pem)
    return f"{DOMAIN}={tmp_path / 'roots.pem'}"


# -- what it comes to ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "domain", "path"),
    [
        (WEB, DOMAIN, "/ns/shop/sa/web"),
        ("spiffe://a", "a", ""),
        ("spiffe://10.0.0.1/x", "10.0.0.1", "/x"),
        ("spiffe://a_b-c.d/A.z_0-9/...", "a_b-c.d", "/A.z_0-9/..."),
        (f"spiffe://{'a' * 255}/x", "a" * 255, "/x"),
    ],
)
def test_an_id_is_taken_apart(text: str, domain: str, path: str) -> None:
    found = explain_spiffe_id(text)

    assert found.accepted
    assert found.parts == {"spiffe_id": text, "trust_domain": domain, "path": path, "workload": bool(path)}
    assert ("workload has it" in found.reason) is not bool(path)


@pytest.mark.parametrize(
    "text",
    [
        "", "spiffe", "spiffe:/a/b", "Spiffe://a/b", "https://a/b", " spiffe://a/b", "spiffe:///b", "spiffe://a/",
        "spiffe://a//b", "spiffe://a/b/", "spiffe://a/./b", "spiffe://a/..", "spiffe://A/b", "spiffe://a:1/b",
        "spiffe://u@a/b", "spiffe://a/b?c", "spiffe://a/b#c", "spiffe://a/%41", "spiffe://a/b\n", "spiffe://a/\u00e9",
        f"spiffe://{'a' * 256}/x", f"spiffe://a/{'x' * 2038}",
    ],
)  # fmt: skip
def test_what_is_no_id_is_refused_with_the_rule(text: str) -> None:
    found = explain_spiffe_id(text)

    assert not found.accepted
    assert found.reason
    assert found.parts == {}


def test_a_header_shows_what_every_proxy_said_and_names_the_one_who_asks() -> None:
    found = explain_xfcc(f'By={EDGE};Hash=ab;Subject="CN=a,O=b";URI={WEB};DNS=a;DNS=b')

    element = {
        "by": [EDGE],
        "uri": [WEB],
        "dns": ["a", "b"],
        "hash": "ab",
        "subject": "CN=a,O=b",
    }
    assert found.accepted
    assert found.parts == {"elements": [element], "spiffe_id": WEB, "trust_domain": DOMAIN}


def test_of_several_proxies_there_are_as_many_as_are_expected() -> None:
    header = f"By={EDGE};URI={WEB},By=spiffe://{DOMAIN}/pdp;URI={EDGE}"

    assert [explain_xfcc(header, hops).accepted for hops in (1, 2, 3)] == [False, True, False]
    assert explain_xfcc(header, 2).parts["spiffe_id"] == WEB
    assert len(explain_xfcc(header, 1).parts["elements"]) == 2


@pytest.mark.parametrize(
    "header",
    [
        "", ",", f"URI={WEB},", f"URI={WEB};URI={WEB}", f"By={EDGE}", "URI=", "URI=https://a/b",
        f"URI={WEB};Hash=a;Hash=b",
        f'URI={WEB};Subject="a', f"Other={WEB}", f"URI={WEB};" + "x" * MAX_HEAD_BYTES,
    ],
)  # fmt: skip
def test_a_header_that_names_nobody_is_refused(header: str) -> None:
    found = explain_xfcc(header)

    assert not found.accepted
    assert "spiffe_id" not in found.parts


def test_a_chain_is_verified_to_the_roots_of_its_own_trust_domain() -> None:
    trust = TrustStore(domains={DOMAIN: (ROOT.certificate,), "other.example.org": (OTHER.certificate,)})
    minted = leaf(OTHER, uris=[WEB], **SPAN).pem

    found, refused = (explain_certificate(pem, trust, NOW) for pem in (CHAIN, minted))

    assert (found.accepted, found.parts["id"], found.parts["dns"]) == (True, WEB, ["web.example.org"])
    assert (refused.accepted, refused.parts["code"], refused.parts["uris"]) == (
        False,
        "untrusted_chain",
        [WEB],
    )
    assert not explain_certificate(CHAIN, trust, NOW + timedelta(days=2)).accepted
    for text in (b"", b"no certificate", CHAIN[:100], CHAIN.replace(b"M", b"-", 1)):
        assert not explain_certificate(text, trust, NOW).accepted


# -- the command ---------------------------------------------------------------------------


def test_the_exit_code_says_whether_it_was_accepted() -> None:
    accepted, refused = run("--spiffe-id", WEB), run("--spiffe-id", "spiffe://A/b")

    assert (accepted.exit_code, refused.exit_code) == (0, 1)
    assert accepted.stdout.startswith("accepted: the SPIFFE ID of a workload\n")
    assert f"trust domain   {DOMAIN}\n" in accepted.stdout
    assert refused.stdout.startswith("refused: a trust domain is made of lower-case letters")


def test_json_has_the_verdict_the_reason_and_the_parts() -> None:
    answer = json.loads(run("--xfcc", f"By={EDGE};URI={WEB}", "--json").stdout)

    assert answer["accepted"] is True
    assert answer["reason"] == f"the header names {WEB}"
    assert answer["parts"]["elements"] == [{"by": [EDGE], "uri": [WEB], "dns": []}]


def test_a_certificate_needs_roots(tmp_path: Path, roots: str) -> None:
    file = tmp_path / "web.pem"
    file.write_bytes(CHAIN)

    assert run("--cert", file, "--trust", roots).exit_code == 0
    assert run("--cert", file).exit_code == 2
    assert run("--cert", file, "--trust", f"{DOMAIN}={file}").exit_code == 3
    file.write_bytes(b"\xff" * 100)
    assert run("--cert", file, "--trust", roots).exit_code == 1


def test_exactly_one_thing_is_explained() -> None:
    assert run().exit_code == 2
    assert run("--spiffe-id", WEB, "--xfcc", f"URI={WEB}").exit_code == 2


def test_nothing_that_is_given_reaches_the_terminal_as_it_is(roots: str, tmp_path: Path) -> None:
    hostile = leaf(ROOT, uris=[WEB], dns=["a\x1b[31mb"], name="c\x1b[32md\u202ee", **SPAN)
    (tmp_path / "hostile.pem").write_bytes(hostile.pem)

    shown = [
        run("--spiffe-id", "spiffe://a/\x1b[31m").stdout,
        run("--xfcc", f'URI={WEB};Subject="a\x1b[31mb"').stdout,
        run("--cert", tmp_path / "hostile.pem", "--trust", roots).stdout,
    ]

    assert not [text for text in shown if "\x1b" in text or "\u202e" in text]
    assert "a\\u{1b}[31mb" in shown[2]
    assert "c\\u{1b}[32md\\u{202e}e" in shown[2]


def test_lines_are_answered_in_their_order_and_a_bad_one_ends_nothing(roots: str) -> None:
    lines = [
        json.dumps({"spiffe_id": WEB}),
        "no JSON",
        json.dumps({"xfcc": f"URI={WEB}"}),
        json.dumps({"cert": CHAIN.decode()}),
        json.dumps({"xfcc": "", "spiffe_id": WEB}),
        "{}",
        f'{{"spiffe_id": "{WEB}", "spiffe\\u005fid": "{WEB}"}}',
        json.dumps({"jwt": "x"}),
        json.dumps({"spiffe_id": "spiffe://A"}),
    ]

    done = run("--batch", "-", "--trust", roots, given="\n".join(lines))

    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 0
    assert [answer["accepted"] for answer in answers] == [True, False, True, True, *[False] * 5]
    assert all(answer["reason"] for answer in answers)


def test_a_line_with_a_certificate_needs_roots() -> None:
    done = run("--batch", "-", given=json.dumps({"cert": CHAIN.decode()}))

    assert json.loads(done.stdout)["parts"] == {"code": "no_trust"}
