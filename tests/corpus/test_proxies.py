"""The corpus once more, as proxies ask: whatever the protocol, a request is let through or it is not.

A proxy says less than `/v1/decide` takes: what it cannot say is left out, and counted, so that nothing is
left out by mistake.
"""

import json
import string
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.corpus.test_decisions import CASES, POLICIES
from tests.e2e.grpc_calls import channel, grpc_port
from tests.e2e.proxy_calls import (
    FORWARD_AUTH,
    PROXY,
    Asked,
    by_forward_auth,
    by_http_mode,
    check,
    check_request,
    leaf_of,
)
from tests.e2e.running import Pki, Service

KINDS = [*FORWARD_AUTH, "envoy"]
SERVICES = sorted({str(case["question"]["service"]) for case in CASES if case["question"].get("service")})
SURFACES = [*KINDS, "check", "check-merged"]
_NAME = set(string.ascii_lowercase + string.digits + "-")


def profile(kind: str, service: str | None) -> str:
    return f"{kind}-{'host' if service is None else service.replace('.', '-')}"


def can_be_set(service: str) -> bool:
    """Whether a profile can be for a service: its name is well formed, and within its bound."""
    return len(service) < 50 and set(service.replace(".", "-")) <= _NAME


def settings() -> str:
    """A profile of each kind for each service that a case is about, and one that goes by the host."""
    named = [service for service in SERVICES if can_be_set(service)]
    tables = [
        f'[proxies.{profile(kind, service)}]\nkind = "{kind}"\ncallers = ["{PROXY}"]\n'
        f'without_certificate = "anonymous"\nsource_ip_header = "x-real-ip"\n'
        f'headers = ["x-plan", "x-internal"]\n' + (f'service = "{service}"\n' if service else "")
        for kind in KINDS
        for service in (*named, None)
    ]
    return "\n".join(tables)


def said(case: dict[str, Any]) -> Asked | None:
    """The request that a proxy would ask about, or None for what no proxy can say."""
    question = case["question"]
    if (
        "caller" in case
        or question.keys() & {"user", "at_least"}
        or not isinstance(question.get("path"), str)
    ):
        return None
    if case.get("error", "denied") not in {"denied", "invalid_host"}:
        return None  # what is wrong with it has no counterpart
    if not can_be_set(question.get("service") or "x"):
        return None
    context = question.get("context", {})
    lines, address = [], ""
    for name, value in context.items():
        if name.startswith("header."):
            lines += [
                (name.removeprefix("header."), each)
                for each in ([value] if isinstance(value, str) else value or [])
            ]
        elif name == "source.ip":
            address = value or ""
        else:
            return None
    principal = question["principal"]
    if isinstance(principal, dict):
        principal = principal.get("spiffe") or principal.get("dns") or ""
    return Asked(
        method=question["method"],
        path=question["path"],
        host=question.get("host") or "nobody.example.com",
        principal=principal,
        headers=tuple(lines),
        address=address or "192.0.2.7",
    )


SAID = [(case, asked) for case in CASES if (asked := said(case)) is not None]
assert len(SAID) > 60, "proxies can say too little: this would test too little"


@pytest.fixture(scope="module", params=[True, False], ids=["direct", "routed"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("proxies")
    pki = Pki(folder)
    pki.issue("proxy", uris=[PROXY])
    file = folder / "pdp.toml"
    file.write_text(settings(), encoding="utf-8")
    service = Service(pki, POLICIES, "--config", str(file), "--grpc", "127.0.0.1:0", direct=request.param)
    yield service
    assert service.stop() == 0, service.log


@pytest.fixture(scope="module")
def on(service: Service) -> Iterator[grpc.Channel]:
    with channel(service.pki, grpc_port(service), "proxy") as opened:
        yield opened


def lets_through(surface: str, asked: Asked, named: str | None, service: Service, on: grpc.Channel) -> bool:
    """Whether a proxy of a kind lets a request through."""
    if surface.startswith("check"):
        extensions = {"profile": profile("envoy", None), **({"service": named} if named else {})}
        message = check_request(replace(asked, extensions=extensions), raw=surface == "check")
        answer = check(on, message)
        assert answer.HasField("status")
        return answer.status.code == 0
    if surface == "envoy":
        reply = by_http_mode(service, profile("envoy", named), asked)
    else:
        reply = by_forward_auth(service, surface, profile(surface, named), asked)
    # What is no HTTP at all is refused before anything looks at it.
    assert reply.status in {200, 401, 403} or (surface == "envoy" and reply.status == 400)
    return reply.status == 200


@pytest.mark.parametrize("surface", SURFACES)
def test_every_proxy_decides_as_the_corpus_says(surface: str, service: Service, on: grpc.Channel) -> None:
    wrong, number = {}, 0
    for case, asked in SAID:
        question = case["question"]
        known = asked
        if asked.principal:
            leaf: Path = leaf_of(service, asked.principal, f"leaf-{abs(hash(asked.principal))}")
            known = replace(asked, leaf=leaf)
        if asked.principal and "://" not in asked.principal and not surface.startswith("check"):
            continue  # a name that only Envoy can say without roots for it
        number += 1
        wanted = case.get("want", {}).get("decision") == "allow" and "served" not in case
        got = lets_through(surface, known, question.get("service"), service, on)
        if got is not wanted:
            wrong[case["id"]] = (got, json.dumps(case.get("want", case.get("error"))))

    assert number > 60
    assert wrong == {}
