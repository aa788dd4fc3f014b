"""What clusters say: claims of service account tokens, answers to reviews, and discovery documents."""

import json
import re
from collections.abc import Hashable
from typing import Any, Final

from pdp.diagnostics import escape
from pdp.identity.fetch import FetchError
from pdp.identity.tokens.discovery import discovered_keys
from pdp.identity.tokens.issuer import TokenIssuer, TokenProfile, TokenTrust
from pdp.identity.tokens.jwks import KeySet
from pdp.identity.tokens.refusal import RefusedTokenError
from pdp.identity.tokens.review import Review, ReviewError, read_review
from pdp.identity.tokens.service_account import ClusterRules
from pdp.identity.tokens.signature import KUBERNETES_ALGORITHMS
from pdp.service.known_tokens import KnownTokens
from tests.fuzz.engine import Target, wording
from tests.fuzz.mutate import ODD_TEXT, Mutator
from tests.identity.clusters import CLUSTER, OURS, pod_claims
from tests.identity.tokens import NOW, SECONDS, encoded, verify_text

__all__ = ["TARGETS"]

_SUB: Final = "system:serviceaccount:shop:web"
#: Nothing but the claims is looked at: whose signature it is the cluster has said.
_CLUSTER: Final = TokenIssuer(
    profile=TokenProfile.KUBERNETES,
    name=CLUSTER,
    audiences=frozenset({OURS}),
    algorithms=KUBERNETES_ALGORITHMS,
    keys=KeySet(keys=()),
    cluster=ClusterRules(trust_domain="a", signed=False, reviewed=True),
)
_TRUST: Final = TokenTrust(clusters={CLUSTER: _CLUSTER})
_NAME: Final = re.compile(
    r"system:serviceaccount:([a-z0-9]([a-z0-9-]*[a-z0-9])?):([a-z0-9]([a-z0-9.-]*[a-z0-9])?)"
)


def _claims(text: str) -> Hashable:
    """Claims: accepted only where a second reader finds both names twice, and every rule kept."""
    token = encoded(json.dumps({"alg": "RS256", "kid": "a"}), text) + ".AAAA"
    try:
        verify_text(token, _TRUST, NOW)
    except RefusedTokenError as refused:
        if refused.code.value != "not_reviewed":
            assert refused.message == escape(refused.message)
            return refused.code, wording(refused.message)
    known = KnownTokens(lambda: _TRUST, reviews=lambda _: Review(NOW, NOW + 10_000))
    found = known.find(token, NOW)
    given = json.loads(text)
    match = _NAME.fullmatch(given["sub"])
    assert match is not None
    bound = given["kubernetes.io"]
    assert (bound["namespace"], bound["serviceaccount"]["name"]) == (match[1], match[3])
    assert found.principal is not None
    assert found.principal.id == f"spiffe://a/ns/{match[1]}/sa/{match[3]}"
    assert OURS in ([given["aud"]] if isinstance(given["aud"], str) else given["aud"])
    assert given["iat"] * 1000 <= NOW < given["exp"] * 1000
    assert not any(name.startswith("kubernetes.io/serviceaccount/") for name in given)
    return "accepted", found.ends


def _review(text: str) -> Hashable:
    """An answer to a review: taken only where a second reader finds it plainly said."""
    try:
        refusal = read_review(text.encode("utf-8", "surrogatepass"), _SUB, frozenset({OURS}))
    except ReviewError as error:
        assert str(error) == escape(str(error))
        return wording(str(error))
    if not refusal:
        given = json.loads(text)
        status = given["status"]
        assert (given["kind"], given["apiVersion"]) == ("TokenReview", "authentication.k8s.io/v1")
        assert (status["authenticated"], status["user"]["username"]) == (True, _SUB)
        assert OURS in status["audiences"]
        assert not status.get("error")
    return refusal


def _document(text: str) -> Hashable:
    """A discovery document: it leads to the issuer's own origin, or to the one that is named, or nowhere."""
    asked: list[str] = []

    def get(url: str) -> bytes:
        asked.append(url)
        return text.encode("utf-8", "surrogatepass") if len(asked) == 1 else b"keys"

    try:
        found = discovered_keys(CLUSTER, frozenset({"https://10.0.0.1:6443"}), get)
    except FetchError as error:
        assert len(asked) == 1
        return wording(str(error))
    assert found == b"keys"
    given: Any = json.loads(text)
    assert given["issuer"] == CLUSTER
    assert asked == [f"{CLUSTER}/.well-known/openid-configuration", given["jwks_uri"]]
    assert re.match(rf"({re.escape(CLUSTER)}(:443)?|https://10\.0\.0\.1:6443)(/|$)", given["jwks_uri"])
    return "followed"


_POD: Final = pod_claims(now=SECONDS, jti="a")
_PODS: Final = (
    json.dumps(_POD),
    json.dumps(_POD | {"kubernetes.io/serviceaccount/secret.name": "a"}),
    json.dumps({"iss": "kubernetes/serviceaccount", "sub": _SUB}),
)
_STATUS: Final = {"authenticated": True, "user": {"username": _SUB, "uid": "a"}, "audiences": [OURS]}
_HEAD: Final = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "x"}}
_REVIEWS: Final = (
    json.dumps(_HEAD | {"status": _STATUS}),
    json.dumps(_HEAD | {"status": {"error": "no", "user": {}}}),
    json.dumps({"kind": "Status", "code": 401}),
)
_DOCUMENTS: Final = (
    json.dumps({"issuer": CLUSTER, "jwks_uri": f"{CLUSTER}/openid/v1/jwks"}),
    json.dumps({"issuer": CLUSTER, "jwks_uri": "https://10.0.0.1:6443/openid/v1/jwks"}),
)
_JSON_WORDS: Final = r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[\w.+-]+'
_WORDS: Final = (
    f'"{OURS}"', f'"{_SUB}"', '"shop"', '"web"', "true", "false", "null", "[]", "{}", "1e3",
    str(SECONDS - 1), str(SECONDS + 9), '"system:serviceaccount:shop:web:x"',
    '"system:serviceaccount:a/b:web"', '"kubernetes.io":{},', '"audiences":[],', '"error":"x",',
    '"authenticated":false,', "\\u0061", "\\u0000", "\\ud800",
)  # fmt: skip
_URLS: Final = (
    f'"{CLUSTER}:443/x"', f'"{CLUSTER}:6443/x"', f'"{CLUSTER}@10.0.0.1/"', f'"{CLUSTER}.evil.example/"',
    '"https://10.0.0.1:6443"', '"https://10.0.0.1/"', '"http://10.0.0.1:6443/"', f'"{CLUSTER}"', '"/keys"',
)  # fmt: skip

TARGETS: Final = (
    Target(
        name="service-accounts",
        seeds=_PODS,
        mutate=Mutator(_PODS, _JSON_WORDS, ODD_TEXT, extra=_WORDS, largest=20_000),
        check=_claims,
        examples=2000,
    ),
    Target(
        name="reviews",
        seeds=_REVIEWS,
        mutate=Mutator(_REVIEWS, _JSON_WORDS, ODD_TEXT, extra=_WORDS, largest=20_000),
        check=_review,
        examples=1500,
    ),
    Target(
        name="discovery",
        seeds=_DOCUMENTS,
        mutate=Mutator(_DOCUMENTS, _JSON_WORDS, ODD_TEXT, extra=_URLS, largest=20_000),
        check=_document,
        examples=1500,
    ),
)
