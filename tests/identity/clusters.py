"""A stand-in for the API server of a cluster: it issues tokens, publishes its keys, and reviews tokens.

It speaks the API over HTTPS as the real one does, and looks at signatures with `cryptography` itself.
"""

import base64
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from tests.identity.publishing import Publisher, publishing, send
from tests.identity.tokens import rsa_key, token

CLUSTER = "https://kubernetes.east.example.org"
OURS = "pdp.example.org"
REVIEWER = "reviewer-token"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"


def pod_claims(issuer: str = CLUSTER, now: int | None = None, **more: Any) -> dict[str, Any]:
    """Of the pod `web-0`, good in every respect; None leaves one out."""
    at = int(time.time()) if now is None else now
    bound = {
        "namespace": "shop",
        "node": {"name": "node-1", "uid": "0c4d"},
        "pod": {"name": "web-0", "uid": "7f1e"},
        "serviceaccount": {"name": "web", "uid": "a3b2"},
        "warnafter": at + 300,
    }
    good = {
        "iss": issuer, "sub": "system:serviceaccount:shop:web", "aud": [OURS], "exp": at + 600, "iat": at,
        "nbf": at, "jti": secrets.token_hex(4), "kubernetes.io": bound,
    }  # fmt: skip
    return {name: value for name, value in (good | more).items() if value is not None}


class Cluster:
    """What a cluster knows, and what it was asked.

    Attributes:
        gone: Names of pods that are deleted.
        keys: Names of its keys, and which key each is.
        knows: Bearer tokens of those who may ask.
        closed: Whether the documents are for those alone, too.
        fails: What answers in its stead, if anything does.
        forgets: Members of a review's status that it leaves out.
        says: What it says otherwise in a review's status.
        jwks_uri: Where its document says that the keys are; else where they are.
        reviewed: The tokens that it was asked about.
    """

    def __init__(self, server: Publisher, issuer: str) -> None:
        self.server = server
        self.issuer = issuer or self.url
        self.gone: set[str] = set()
        self.keys = {"one": 0}
        for which in (0, 1):
            rsa_key(which=which)  # now: two threads that make one at once would make two
        self.knows = {REVIEWER}
        self.closed = False
        self.fails: Callable[[Any], None] | None = None
        self.forgets: tuple[str, ...] = ()
        self.says: dict[str, Any] = {}
        self.jwks_uri = f"{self.url}/openid/v1/jwks"
        self.reviewed: list[str] = []
        server.answer = self._answer

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server.port}"

    @property
    def roots(self) -> Path:
        return self.server.roots

    def key_set(self) -> str:
        keys = [rsa_key(which=which).named(kid, alg="RS256", use="sig") for kid, which in self.keys.items()]
        return json.dumps({"keys": keys})

    def mint(self, kid: str = "one", which: int | None = None, **more: Any) -> str:
        """A token, signed by the key of that name, or by another."""
        key = rsa_key(which=self.keys[kid] if which is None else which)
        return token({"alg": "RS256", "kid": kid}, pod_claims(self.issuer, **more), key)

    def _answer(self, handler: Any) -> None:
        size = int(handler.headers.get("content-length") or 0)
        body = handler.rfile.read(size)
        if self.fails is not None:
            self.fails(handler)
            return
        known = handler.headers.get("authorization", "").removeprefix("Bearer ") in self.knows
        is_review = (handler.command, handler.path) == ("POST", REVIEWS)
        if not known and (is_review or self.closed):
            send(handler, b'{"kind":"Status","status":"Failure","code":401}', 401)
        elif is_review:
            send(handler, json.dumps(self._review(json.loads(body))).encode(), 201)
        elif handler.path == "/.well-known/openid-configuration":
            document = {
                "issuer": self.issuer, "jwks_uri": self.jwks_uri, "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"],
            }  # fmt: skip
            send(handler, json.dumps(document).encode())
        elif handler.path == "/openid/v1/jwks":
            send(handler, self.key_set().encode())
        else:
            send(handler, b'{"kind":"Status","status":"Failure","code":404}', 404)

    def _review(self, asked: dict[str, Any]) -> dict[str, Any]:
        text, audiences = asked["spec"]["token"], asked["spec"].get("audiences", [self.issuer])
        self.reviewed.append(text)
        status = self._status(text, audiences) | self.says
        status = {name: value for name, value in status.items() if name not in self.forgets}
        return {
            "kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"managedFields": [{"manager": "pdp", "operation": "Update"}]},
            "spec": asked["spec"], "status": status,
        }  # fmt: skip

    def _status(self, text: str, audiences: list[str]) -> dict[str, Any]:
        signed, _, signature = text.rpartition(".")
        header, claims = (json.loads(_decoded(part)) for part in signed.split("."))
        which = self.keys.get(header.get("kid"))
        invalid = {"user": {}, "error": "[invalid bearer token, token is expired]"}
        if which is None or claims["exp"] <= time.time():
            return invalid
        public = rsa_key(which=which).private.public_key()
        try:
            public.verify(_decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return invalid
        bound = claims["kubernetes.io"]
        found = [each for each in audiences if each in claims["aud"]]
        if not found or bound.get("pod", {}).get("name") in self.gone:
            return {"user": {}, "error": "service account token has been invalidated"} if found else invalid
        namespace = bound["namespace"]
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
        user = {"username": claims["sub"], "uid": bound["serviceaccount"]["uid"], "groups": groups}
        return {"authenticated": True, "user": user, "audiences": found}


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@contextmanager
def cluster(folder: Path, issuer: str = CLUSTER) -> Iterator[Cluster]:
    """A cluster until the end of the block; without an issuer, that is its own address."""
    folder.mkdir(exist_ok=True)
    (folder / "reviewer").write_text(f"{REVIEWER}\n", encoding="ascii")
    (folder / "reviewer").chmod(0o644)
    with publishing(folder) as server:
        yield Cluster(server, issuer)
