"""A service that believes evidence: tokens of an issuer over HTTPS and of a bundle, and other kinds."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.running import PROD, Pki, Reply, Service, make_policies, question
from tests.e2e.trusting import replace
from tests.identity.publishing import Publisher, publishing
from tests.identity.tokens import AUDIENCE, ISSUER, claims, ec_key, key_for, svid_claims, token

__all__ = ["EDGE", "POLICY", "Evidencing", "evidencing", "svid", "user_token"]

EDGE = f"spiffe://{PROD}/ns/edge/sa/gateway"

POLICY = """\
language 1

trust domain prod = "prod.example.org"
trust domain partner = "partner.example.net"
issuer corp = "https://login.example.com"
issuer other = "https://other.example.com"
attribute user.level is int
attribute principal.team is string

service web.shop {
    allow prod/ns/shop/sa/* to GET /v1/items/{id} as read-item
    allow prod/ns/shop/sa/* on behalf of corp/alice to GET /v1/mine as mine
    allow prod/ns/shop/sa/* to GET /v1/high when user.level >= 3 as high
    allow prod/ns/shop/sa/* to GET /v1/team when principal.team == "blue" as team
    allow prod/ns/shop/sa/* to GET /v1/none unless has user.level as no-level
    allow dns *.shop.serviceaccount.identity.linkerd.cluster.local to GET /v1/meshed as meshed
}
service pay.shop {
    allow prod/ns/shop/sa/* to GET /** as charges
}

caller prod/ns/pdp/sa/pep fronts any service may assert any principal of prod, claims
caller prod/ns/edge/sa/gateway fronts web.shop
    may present jwt-svid, certificate of prod/ns/shop/sa/*, partner/**
    may present xfcc of prod/ns/shop/sa/web
    may present nginx, traefik, alb, alb-passthrough, client-cert of prod/ns/shop/sa/*
    may present linkerd of dns *.shop.serviceaccount.identity.linkerd.cluster.local
    may present user-token of corp
caller prod/ns/edge/sa/plain fronts web.shop
    may assert any principal of prod
    may present xfcc of any principal of prod
caller prod/ns/edge/sa/blind fronts web.shop may present jwt-svid of any principal of partner
"""
CALLERS = {"gateway": EDGE, **{name: f"spiffe://{PROD}/ns/edge/sa/{name}" for name in ("plain", "blind")}}


def _times(**more: Any) -> dict[str, Any]:
    now = int(time.time())
    return {"exp": now + 3600, "iat": now - 10, **more}


def user_token(kid: str = "one", which: int = 0, **more: Any) -> str:
    """Alice's, of the issuer's key with this name."""
    given = claims(**_times(nbf=None, **more))
    return token({"alg": "ES256", "kid": kid}, given, key_for("ES256", which))


def svid(kid: str = "svid", which: int = 5, **more: Any) -> str:
    """That of `web`."""
    return token({"alg": "ES256", "kid": kid}, svid_claims(**_times(**more)), key_for("ES256", which))


def key_set(*keys: tuple[str, int], **more: str) -> bytes:
    """A key set with these keys: a name, and which key it is."""
    return json.dumps({"keys": [ec_key("P-256", which).named(kid, **more) for kid, which in keys]}).encode()


@dataclass
class Evidencing:
    """The service, the issuer's server, and the file with the bundle."""

    service: Service
    issuer: Publisher
    bundle: Path

    def ask(self, caller: str = "gateway", /, **what: Any) -> Reply:
        return self.service.send(question(**what), caller=caller)


@contextmanager
def evidencing(
    pki: Pki,
    folder: Path,
    *more: str,
    answer: Callable[[Any], None] | None = None,
    settings: str = "",
) -> Iterator[Evidencing]:
    """Serve until the end of the block.

    `answer` answers for the issuer, else the document is sent; `settings` are those beside our own.
    """
    for name, uri in CALLERS.items():
        if not (pki.folder / f"{name}.pem").exists():
            pki.issue(name, uris=[uri])
    bundle, file = folder / "bundle.json", folder / "pdp.toml"
    bundle.write_bytes(key_set(("svid", 5), use="jwt-svid"))
    with ExitStack() as held:
        server = held.enter_context(publishing(folder))
        server.document = key_set(("one", 0))
        server.answer = answer or server.publish
        file.write_text(
            f'{settings}[issuers."{ISSUER}"]\naudiences = ["{AUDIENCE}"]\njwks_url = "{server.url}"\n'
            f'jwks_ca_file = "{server.roots}"\n'
            f'[issuers."https://other.example.com"]\naudiences = ["{AUDIENCE}"]\n'
            f"jwks = '{key_set(('other', 6)).decode()}'\n"
            f'[jwt_bundles."{PROD}"]\naudiences = ["{AUDIENCE}"]\nbundle_file = "{bundle}"\n',
            encoding="utf-8",
        )
        policies = make_policies(folder / "policies", POLICY)
        service = Service(pki, policies, "--config", str(file), *more)
        held.callback(service.stop)
        yield Evidencing(service, server, bundle)


def write_bundle(at: Evidencing, *keys: tuple[str, int]) -> None:
    replace(at.bundle, key_set(*keys, use="jwt-svid"))
