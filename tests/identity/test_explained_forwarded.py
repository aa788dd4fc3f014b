"""What `pdp identity explain --forwarded` says of the headers of a request."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pdp.cli.identity import identity
from pdp.identity.forwarded.forms import FORMS, VOUCHED_FOR
from tests.identity.mint import authority, leaf
from tests.identity.proxies import CHAINS, Line, client_cert, nginx, traefik

NOW = datetime.now(UTC)
DOMAIN = "prod.example.org"
WEB = f"spiffe://{DOMAIN}/ns/shop/sa/web"
OURS = f"spiffe://{DOMAIN}/ns/pdp/sa/pdp"
SPAN = {"start": NOW - timedelta(days=1), "end": NOW + timedelta(days=1)}
ROOT = authority("root", uris=[f"spiffe://{DOMAIN}"], **SPAN)
MIDDLE = authority("intermediate", ROOT, **SPAN)
SHOWN = [leaf(ROOT, uris=[WEB], dns=["web.example.org"], **SPAN).der]
CHAIN = [leaf(MIDDLE, uris=[WEB], **SPAN).der, MIDDLE.der]
CERTIFICATES = [form.value for form in FORMS.values() if form not in VOUCHED_FOR]


def run(form: str, lines: list[Line] | list[str], *more: str | Path) -> Result:
    given = [line if isinstance(line, str) else b": ".join(line).decode() for line in lines]
    headers = [part for line in given for part in ("--header", line)]
    return CliRunner().invoke(identity, ["explain", "--forwarded", form, *headers, *map(str, more)])


def answer(form: str, lines: list[Line] | list[str], *more: str | Path) -> dict[str, Any]:
    found = json.loads(run(form, lines, "--json", *more).stdout)
    assert found["reason"]
    return found


@pytest.fixture
def roots(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "roots.pem").write_bytes(ROOT.pem)
    return "--trust", f"{DOMAIN}={tmp_path / 'roots.pem'}"


# -- what it comes to ----------------------------------------------------------------------


@pytest.mark.parametrize("form", CERTIFICATES)
def test_a_forwarded_certificate_is_verified(form: str, roots: tuple[str, str]) -> None:
    shown = run(form, CHAINS[form][0](SHOWN), *roots)
    found = answer(form, CHAINS[form][0](SHOWN), *roots)

    assert shown.exit_code == 0
    assert shown.stdout.startswith(f"accepted: the chain verifies, and names {WEB}\n")
    assert found["accepted"] is True
    assert {"form": form, "certificates": 1, "kind": "spiffe", "id": WEB, "trust_domain": DOMAIN}.items() <= (
        found["parts"].items()
    )
    assert (found["parts"]["uris"], found["parts"]["dns"]) == ([WEB], ["web.example.org"])
    assert "intermediates" not in found["parts"]


@pytest.mark.parametrize("form", [form for form in CERTIFICATES if CHAINS[form][1]])
def test_the_rest_of_a_chain_is_shown(form: str, roots: tuple[str, str]) -> None:
    found = answer(form, CHAINS[form][0](CHAIN), *roots)

    assert found["accepted"] is True
    assert found["parts"]["certificates"] == 2
    assert found["parts"]["intermediates"] == ["CN=intermediate"]


@pytest.mark.parametrize("form", CERTIFICATES)
def test_what_does_not_verify_is_shown_and_refused(form: str, roots: tuple[str, str]) -> None:
    forged = leaf(authority("other", **SPAN), uris=[WEB], **SPAN).der

    shown = run(form, CHAINS[form][0]([forged]), *roots)
    found = answer(form, CHAINS[form][0]([forged]), *roots)

    assert shown.exit_code == 1
    assert shown.stdout.startswith("refused: ")
    assert found["accepted"] is False
    assert (found["parts"]["code"], found["parts"]["uris"]) == ("untrusted_chain", [WEB])
    assert "id" not in found["parts"]


@pytest.mark.parametrize("form", CERTIFICATES)
def test_octets_that_are_no_certificate_are_refused(form: str, roots: tuple[str, str]) -> None:
    found = answer(form, CHAINS[form][0]([b"no certificate"]), *roots)

    assert found["accepted"] is False
    assert found["reason"] == "certificate 1 in it is malformed"
    assert found["parts"] == {"form": form, "certificates": 1}


def test_an_intermediate_that_is_no_certificate_is_named(roots: tuple[str, str]) -> None:
    found = answer("client-cert", client_cert([CHAIN[0], CHAIN[1], b"no"]), *roots)

    assert found["reason"] == "certificate 3 in it is malformed"


def test_when_is_said_by_at(roots: tuple[str, str]) -> None:
    late = (NOW + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")

    assert run("traefik", traefik(SHOWN), *roots, "--at", late).exit_code == 1


def test_a_workload_that_a_proxy_vouches_for_needs_no_roots() -> None:
    mesh = answer("linkerd", ["l5d-client-id: web.shop.mesh.example.org"])
    sidecar = answer("xfcc", [f"X-Forwarded-Client-Cert: By={OURS};URI={WEB}"], "--ours", OURS)

    assert mesh == {
        "accepted": True,
        "reason": "the proxy vouches for dns:web.shop.mesh.example.org",
        "parts": {
            "form": "linkerd",
            "kind": "dns",
            "id": "dns:web.shop.mesh.example.org",
            "trust_domain": "",
        },
    }
    assert sidecar["parts"] == {"form": "xfcc", "kind": "spiffe", "id": WEB, "trust_domain": DOMAIN}
    assert run("linkerd", ["l5d-client-id: a.b"]).exit_code == 0


@pytest.mark.parametrize(
    ("form", "lines", "code", "why"),
    [
        ("linkerd", [], "missing", "`l5d-client-id` is missing"),
        ("linkerd", ["l5d-client-id:"], "invalid", "it is empty"),
        ("linkerd", ["l5d-client-id: a.b", "L5D-Client-Id: a.b"], "invalid", "more than once"),
        ("linkerd", ["l5d-client-id: \u00e9"], "invalid", "beyond ASCII"),
        ("linkerd", ["l5d-client-id: a\x1b[31m"], "invalid", "a control character"),
        ("nginx", nginx(SHOWN, "NONE"), "missing", "`NONE`"),
        ("nginx", nginx(SHOWN, "FAILED:certificate revoked"), "invalid", "certificate revoked"),
        ("xfcc", [f"x-forwarded-client-cert: By={WEB};URI={WEB}"], "elsewhere", "to another workload"),
        ("traefik", ["x-forwarded-tls-client-cert-info: x"], "missing", "a summary"),
    ],
)
def test_headers_that_name_nobody_are_refused_with_the_reason(
    form: str, lines: list[Any], code: str, why: str, roots: tuple[str, str]
) -> None:
    shown = run(form, lines, *roots, "--ours", OURS)
    found = answer(form, lines, *roots, "--ours", OURS)

    assert shown.exit_code == 1
    assert "\x1b" not in shown.stdout
    assert why in found["reason"]
    assert (found["accepted"], found["parts"]) == (False, {"form": form, "code": code})


# -- how it is called ----------------------------------------------------------------------


def test_what_is_needed_is_asked_for() -> None:
    for form in CERTIFICATES:
        done = run(form, CHAINS[form][0](SHOWN))
        assert (done.exit_code, "--trust or --config" in done.stderr) == (2, True)
    done = run("xfcc", [f"x-forwarded-client-cert: By={OURS};URI={WEB}"])
    assert (done.exit_code, "--ours" in done.stderr) == (2, True)


def test_a_call_that_says_too_much_or_too_little_is_a_mistake() -> None:
    explain = ["explain", "--header", "l5d-client-id: a.b"]

    assert CliRunner().invoke(identity, explain).exit_code == 2
    assert CliRunner().invoke(identity, [*explain, "--spiffe-id", WEB]).exit_code == 2
    assert (
        CliRunner().invoke(identity, [*explain, "--forwarded", "linkerd", "--spiffe-id", WEB]).exit_code == 2
    )
    assert CliRunner().invoke(identity, [*explain, "--forwarded", "envoy"]).exit_code == 2


@pytest.mark.parametrize(
    "line", ["l5d-client-id", ": a.b", "l5d client-id: a.b", "l5d-client-id : a.b", "", "\u00e9: a"]
)
def test_a_line_that_is_no_header_is_a_mistake(line: str) -> None:
    done = run("linkerd", [line])

    assert done.exit_code == 2
    assert "NAME: VALUE" in done.stderr


@pytest.mark.parametrize("line", ["l5d-client-id:a.b", "l5d-client-id: \t a.b \t", "L5D-CLIENT-ID: a.b"])
def test_spaces_around_a_value_and_capitals_in_a_name_mean_nothing(line: str) -> None:
    assert run("linkerd", [line]).exit_code == 0


# -- a file of them ------------------------------------------------------------------------


def batch(*lines: dict[str, Any], more: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    given = "\n".join(map(json.dumps, lines))
    done = CliRunner().invoke(identity, ["explain", "--batch", "-", *more], input=given)
    assert done.exit_code == 0
    return [json.loads(line) for line in done.stdout.splitlines()]


def members(lines: list[Line]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in lines}


def test_a_line_of_a_file_has_a_form_and_headers(roots: tuple[str, str]) -> None:
    given = [{"forwarded": form, "headers": members(CHAINS[form][0](SHOWN))} for form in CERTIFICATES]
    given.append({"forwarded": "linkerd", "headers": {"L5d-Client-Id": ["a.b"], "host": "x"}})
    given.append({"forwarded": "xfcc", "headers": {"x-forwarded-client-cert": f"By={OURS};URI={WEB}"}})

    found = batch(*given, more=(*roots, "--ours", OURS))

    assert [each["parts"].get("id") for each in found] == [*[WEB] * len(CERTIFICATES), "dns:a.b", WEB]
    assert all(each["accepted"] for each in found)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ({"forwarded": "linkerd"}, "go together"),
        ({"headers": {"l5d-client-id": "a.b"}}, "exactly one"),
        ({"spiffe_id": WEB, "headers": {"l5d-client-id": "a.b"}}, "go together"),
        ({"spiffe_id": WEB, "forwarded": "linkerd", "headers": {"l5d-client-id": "a.b"}}, "exactly one"),
        (
            {"forwarded": "envoy", "headers": {"l5d-client-id": "a.b"}},
            "`forwarded` is one of xfcc, linkerd, nginx",
        ),
        ({"forwarded": "linkerd", "headers": {"l5d client-id": "a.b"}}, "not one of a header"),
        ({"forwarded": "linkerd", "headers": {"": "a.b"}}, "not one of a header"),
        ({"forwarded": "linkerd", "headers": {}}, "is missing"),
        ({"forwarded": "linkerd", "headers": {"l5d-client-id": []}}, "is missing"),
        ({"forwarded": "linkerd", "headers": {"l5d-client-id": ["a.b", "a.b"]}}, "more than once"),
        (
            {"forwarded": "linkerd", "headers": {"l5d-client-id": "a.b", "L5D-CLIENT-ID": "c.d"}},
            "more than once",
        ),
        ({"forwarded": "linkerd", "headers": {"l5d-client-id": " a.b"}}, "neither a SPIFFE ID nor"),
        ({"forwarded": "linkerd", "headers": {"l5d-client-id": 1}}, ""),
        ({"forwarded": "linkerd", "headers": ["l5d-client-id: a.b"]}, ""),
        ({"forwarded": "traefik", "headers": members(traefik(SHOWN))}, "--trust or --config"),
        ({"forwarded": "xfcc", "headers": {"x-forwarded-client-cert": f"By={OURS};URI={WEB}"}}, "--ours"),
    ],
)
def test_a_line_that_says_something_else_is_refused(line: dict[str, Any], why: str) -> None:
    right = {"forwarded": "linkerd", "headers": {"l5d-client-id": "a.b"}}

    refused, accepted = batch(line, right)

    assert refused["accepted"] is False
    assert why in refused["reason"]
    assert accepted["accepted"] is True
