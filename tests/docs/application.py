"""The application in this process, over everything but the socket and TLS, and what is asked of it."""

import asyncio
import json
from collections.abc import Callable

import httpx

from pdp.adapters.app import build_app
from pdp.adapters.replies import CALLER
from pdp.diagnostics import render
from pdp.identity.caller import Caller, CallerKind
from pdp.principals import spiffe_principal
from pdp.service.decision_service import DecisionService
from pdp.service.evidence import Verifier
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from pdp.store.publish import Publisher
from tests.docs.sets import NOW, files_in

__all__ = ["ASKED", "ERRORS", "PROXY", "WEB", "asking", "broken", "caller", "post", "sending", "service"]

PROXY = "spiffe://prod.example.org/ns/mesh/sa/proxy"
WEB = "spiffe://prod.example.org/ns/checkout/sa/web"


def caller(identity: str = PROXY, not_after: int = NOW + 3_600_000, serial: str = "") -> Caller:
    principal = spiffe_principal(identity)
    return Caller(
        kind=CallerKind.SPIFFE,
        id=identity,
        trust_domain=principal.trust_domain,
        segments=principal.segments,
        fingerprint="00" * 32,
        not_after=not_after,
        epoch=1,
        serial=serial,
    )


def service(policy: str, verifier: Verifier | None = None) -> DecisionService:
    loader = Loader()
    loaded = loader.load(
        make_bundle({name: text.encode() for name, text in files_in(policy).items()}), now=NOW
    )
    assert loaded.snapshot is not None, "\n".join(render(d, loaded.sources) for d in loaded.diagnostics)
    publisher = Publisher(loader, loaded.snapshot, on_event=lambda _: None, now=NOW)
    return DecisionService(publisher, clock=lambda: NOW, verifier=verifier)


def post(
    to: DecisionService,
    body: bytes,
    *,
    method: str = "POST",
    path: str = "/v1/decide",
    who: object = None,
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    app = build_app(to)

    async def with_caller(scope, receive, send):
        await app({**scope, "state": {CALLER: caller() if who is None else who}}, receive, send)

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=with_caller)
        async with httpx.AsyncClient(transport=transport, base_url="https://pdp.example") as client:
            return await client.request(
                method, path, content=body, headers={"content-type": "application/json", **(headers or {})}
            )

    return asyncio.run(send())


ERRORS = """language 1
trust domain prod = "prod.example.org"
service payments { allow prod/ns/checkout/sa/web to GET /v1/** }
service orders { allow prod/ns/checkout/sa/web to GET /v1/** }
caller prod/ns/mesh/sa/proxy fronts payments may assert any principal of prod supplies source, header
caller prod/ns/mesh/sa/proxy fronts payments may present jwt-svid of any principal of prod
"""
ASKED = {"principal": WEB, "service": "payments", "method": "GET", "path": "/v1/charges"}


def asking(**change: object) -> Callable[[DecisionService], httpx.Response]:
    """Ask with some fields changed; those that are None are left out."""
    question = {name: value for name, value in {**ASKED, **change}.items() if value is not None}
    return sending(json.dumps(question).encode())


def sending(body: bytes, **options: object) -> Callable[[DecisionService], httpx.Response]:
    return lambda to: post(to, body, **options)  # type: ignore[arg-type]


def broken(_: DecisionService) -> httpx.Response:
    """What a defect of ours comes to: a service that is none."""
    return post(object(), json.dumps(ASKED).encode())  # type: ignore[arg-type]
