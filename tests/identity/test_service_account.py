"""Service account tokens: whose they are, what each rule refuses, and which workloads they come to."""

import pytest

from pdp.identity.tokens.handed import read_token_trust, write_token_trust
from pdp.identity.tokens.issuer import TokenIssuer, TokenProfile, TokenTrust
from pdp.identity.tokens.jwks import KeySet, key_set
from pdp.identity.tokens.jwt import VerifiedToken
from pdp.identity.tokens.refusal import RefusedTokenError
from pdp.identity.tokens.review import Review
from pdp.identity.tokens.service_account import ClusterRules
from pdp.identity.tokens.signature import KUBERNETES_ALGORITHMS
from pdp.service.known_tokens import KnownTokens, digest_of
from tests.identity.clusters import CLUSTER, OURS, pod_claims
from tests.identity.tokens import (
    DOMAIN,
    NOW,
    SECONDS,
    WEB,
    bundle,
    claims,
    ec_key,
    ed_key,
    issuer,
    rsa_key,
    token,
    trust,
    verify_text,
)

KEY, OTHER = rsa_key(), rsa_key(which=1)
HEADER = {"alg": "RS256", "kid": "one"}
WEST = "https://kubernetes.west.example.org"


def cluster(*jwks, **more) -> TokenIssuer:
    given = {
        "profile": TokenProfile.KUBERNETES, "name": CLUSTER, "audiences": frozenset({OURS}),
        "algorithms": KUBERNETES_ALGORITHMS, "keys": key_set({"keys": list(jwks or [KEY.named("one")])}),
        "cluster": ClusterRules(trust_domain=DOMAIN),
    } | more  # fmt: skip
    return TokenIssuer(**given)


EAST = cluster()
REVIEWED = cluster(cluster=ClusterRules(trust_domain=DOMAIN, reviewed=True))
UNSIGNED = cluster(
    keys=KeySet(keys=()), cluster=ClusterRules(trust_domain=DOMAIN, signed=False, reviewed=True)
)


def pod(header: object = HEADER, key=KEY, **more) -> str:
    return token(header, pod_claims(now=SECONDS, **more), key)


def bound(**more) -> dict:
    given = {"namespace": "shop", "serviceaccount": {"name": "web", "uid": "a3b2"}} | more
    return {name: value for name, value in given.items() if value is not None}


def verified(text: str, *believed: TokenIssuer) -> VerifiedToken:
    return verify_text(text, trust(*(believed or (EAST,))), NOW)


def refused(text: str, *believed: TokenIssuer) -> str:
    with pytest.raises(RefusedTokenError) as caught:
        verified(text, *believed)
    return caught.value.code.value


# -- what it comes to ------------------------------------------------------------------


def test_a_projected_token_is_the_workload_of_its_service_account() -> None:
    found = verified(pod())

    assert found.principal is not None
    assert found.principal.id == f"spiffe://{DOMAIN}/ns/shop/sa/web" == WEB
    assert (found.user, found.subject) == (None, "system:serviceaccount:shop:web")
    assert found.attributes["aud"] == (OURS,)
    assert not any("kubernetes" in name for name in found.attributes)


@pytest.mark.parametrize(
    ("path", "id_"),
    [
        ("/ns/{namespace}/sa/{name}", "/ns/shop/sa/web"),
        ("/east/{name}/{namespace}", "/east/web/shop"),
        ("/{namespace}/{name}", "/shop/web"),
    ],
)
def test_the_operator_says_how_names_become_ids(path: str, id_: str) -> None:
    mapped = cluster(cluster=ClusterRules(trust_domain=DOMAIN, path=path))

    found = verified(pod(), mapped).principal

    assert found is not None
    assert found.id == f"spiffe://{DOMAIN}{id_}"


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "/sa/{name}", "/ns/{namespace}", "/{namespace}-{name}", "/ns/{namespace}/sa/{name}/",
        "/{namespace}/{name}/{name}", "ns/{namespace}/{name}", "x/{namespace}/{name}", "//{namespace}/{name}",
        "/{namespace}/../{name}", "/{namespace}/{name}?", "/{namespace}/%7B/{name}", "/{NAMESPACE}/{name}",
        "/{namespace}/{name}/}",
    ],
)  # fmt: skip
def test_a_path_tells_all_service_accounts_apart(path: str) -> None:
    with pytest.raises(ValueError, match=r"path|segment"):
        ClusterRules(trust_domain=DOMAIN, path=path)


@pytest.mark.parametrize("algorithm", sorted(KUBERNETES_ALGORITHMS))
def test_every_algorithm_of_api_servers_is_taken(algorithm: str) -> None:
    key = (
        rsa_key()
        if algorithm[0] == "R"
        else ec_key({"6": "P-256", "4": "P-384", "2": "P-521"}[algorithm[-1]])
    )

    found = verified(pod({"alg": algorithm, "kid": "one"}, key), cluster(key.named("one")))

    assert found.algorithm == algorithm


# -- what is refused -------------------------------------------------------------------

OLD = {"exp": SECONDS - 10, "iat": SECONDS - 700, "nbf": SECONDS - 700}
LEGACY = {
    "exp": None, "aud": None, "iat": None, "nbf": None, "kubernetes.io": None,
    "kubernetes.io/serviceaccount/namespace": "shop",
    "kubernetes.io/serviceaccount/secret.name": "web-token-1",
}  # fmt: skip
SUB = "system:serviceaccount:"
CASES: dict[str, tuple[str, str]] = {
    "another key": (pod(key=OTHER), "signature"),
    "a key that nobody knows": (pod({"alg": "RS256", "kid": "two"}), "unknown_key"),
    "no name of a key": (pod({"alg": "RS256"}), "no_key_id"),
    "another type": (pod({**HEADER, "typ": "at+jwt"}), "type"),
    "an algorithm that no API server has": (pod({"alg": "PS256", "kid": "one"}), "algorithm"),
    "no algorithm": (pod({"alg": "none", "kid": "one"}, key=ed_key()), "algorithm"),
    "for others": (pod(aud=["https://kubernetes.default.svc"]), "audience"),
    "for nobody": (pod(aud=None), "missing_claim"),
    "for nobody at all": (pod(aud=[]), "invalid_claim"),
    "expired": (pod(**OLD), "expired"),
    "without an end": (pod(exp=None), "missing_claim"),
    "without a beginning": (pod(iat=None), "missing_claim"),
    "not yet valid": (pod(nbf=SECONDS + 60), "not_yet_valid"),
    "without a subject": (pod(sub=None), "subject"),
    "a user's subject": (pod(sub="system:node:node-1"), "subject"),
    "a subject of five parts": (pod(sub=f"{SUB}shop:web:x"), "subject"),
    "a subject of three parts": (pod(sub=f"{SUB}shop"), "subject"),
    "no namespace": (pod(sub=f"{SUB}:web"), "subject"),
    "no name": (pod(sub=f"{SUB}shop:"), "subject"),
    "a namespace that is a path": (pod(sub=f"{SUB}shop/sa:web"), "subject"),
    "a namespace with a dot": (pod(sub=f"{SUB}sh.op:web"), "subject"),
    "a name in capitals": (pod(sub=f"{SUB}shop:Web"), "subject"),
    "a name that goes up": (pod(sub=f"{SUB}shop:.."), "subject"),
    "a name that begins with a dot": (pod(sub=f"{SUB}shop:.web"), "subject"),
    "a name that ends with a line": (pod(sub=f"{SUB}shop:web\n"), "subject"),
    "a name that is too long": (pod(sub=f"{SUB}shop:{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 62}"), "subject"),
    "a SPIFFE ID": (pod(sub=WEB), "subject"),
    "not bound": (pod(**{"kubernetes.io": None}), "missing_claim"),
    "bound to a text": (pod(**{"kubernetes.io": "shop"}), "missing_claim"),
    "of another namespace": (pod(**{"kubernetes.io": bound(namespace="pay")}), "invalid_claim"),
    "without a namespace": (pod(**{"kubernetes.io": bound(namespace=None)}), "invalid_claim"),
    "of another account": (pod(**{"kubernetes.io": bound(serviceaccount={"name": "x"})}), "invalid_claim"),
    "of no service account": (pod(**{"kubernetes.io": bound(serviceaccount="web")}), "invalid_claim"),
    "out of a Secret": (pod(iss="kubernetes/serviceaccount", **LEGACY), "legacy"),
    "out of a Secret, by its claims": (pod(**LEGACY), "legacy"),
    "out of a Secret, with an end": (pod(**(LEGACY | {"exp": SECONDS + 60, "aud": [OURS]})), "legacy"),
    "without end and audience": (pod(exp=None, aud=None), "legacy"),
    "of another cluster": (pod(iss=WEST), "unknown_issuer"),
    "of almost this cluster": (pod(iss=f"{CLUSTER}/"), "unknown_issuer"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_rule_refuses_with_its_own_reason(case: str) -> None:
    text, code = CASES[case]

    assert refused(text) == code


def test_a_name_may_have_dots_and_be_as_long_as_a_name_is() -> None:
    name = f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 61}"

    found = verified(pod(sub=f"{SUB}shop:{name}", **{"kubernetes.io": bound(serviceaccount={"name": name})}))

    assert found.principal is not None
    assert found.principal.segments == ("ns", "shop", "sa", name)


def test_warnafter_changes_nothing() -> None:
    for warnafter in (SECONDS - 100, None):
        assert verified(pod(**{"kubernetes.io": bound(warnafter=warnafter)})).principal is not None


def test_a_name_without_a_spiffe_id_is_refused() -> None:
    """Nothing that Kubernetes takes as a name is none; but an ID has a bound."""
    long = cluster(cluster=ClusterRules(trust_domain=DOMAIN, path="/" + "a" * 1900 + "/{namespace}/{name}"))
    name = ".".join(["a" * 63] * 3)

    text = pod(sub=f"{SUB}shop:{name}", **{"kubernetes.io": bound(serviceaccount={"name": name})})

    assert refused(text, long) == "subject"


# -- whose it is -----------------------------------------------------------------------


def test_no_cluster_proves_the_workloads_of_another() -> None:
    west = cluster(OTHER.named("one"), name=WEST, cluster=ClusterRules(trust_domain="west.example.org"))
    by_west = pod(iss=WEST, key=OTHER)

    assert verified(by_west, EAST, west).principal.trust_domain == "west.example.org"
    assert refused(pod(key=OTHER), EAST, west) == "signature"
    assert refused(pod(iss=WEST), EAST, west) == "signature"


def test_a_clusters_token_is_a_service_account_token_or_nothing() -> None:
    """Whatever its subject is: neither a JWT-SVID of a bundle nor a user's, and the other way round."""
    everybody = (EAST, bundle(KEY.named("one")), issuer(KEY.named("one")))

    assert refused(pod(sub=WEB), *everybody) == "subject"
    assert refused(pod(sub="alice"), *everybody) == "subject"
    assert (
        verified(token(HEADER, claims(sub="system:serviceaccount:shop:web"), KEY), *everybody).user
        is not None
    )


def test_an_issuer_of_users_is_no_cluster() -> None:
    with pytest.raises(ValueError, match="is an issuer of users and a cluster"):
        trust(EAST, issuer(KEY.named("one"), name=CLUSTER))
    with pytest.raises(ValueError, match="said of clusters"):
        cluster(cluster=None)
    with pytest.raises(ValueError, match="said of clusters"):
        issuer(KEY.named("one"), cluster=ClusterRules(trust_domain=DOMAIN))
    with pytest.raises(ValueError, match="neither keys"):
        ClusterRules(trust_domain=DOMAIN, signed=False)
    with pytest.raises(ValueError, match="trust domain"):
        trust(cluster(cluster=ClusterRules(trust_domain="A")))


def test_clusters_are_the_same_in_every_worker() -> None:
    before = trust(EAST, bundle(KEY.named("one")))

    after = read_token_trust(write_token_trust(before))

    assert (after, after.digest) == (before, before.digest)
    assert read_token_trust(write_token_trust(trust(UNSIGNED))).clusters[CLUSTER] == UNSIGNED
    ids = {each.id for each in (EAST, REVIEWED, UNSIGNED, cluster(cluster=ClusterRules(trust_domain="b")))}
    assert len(ids) == 4


# -- reviews ---------------------------------------------------------------------------


def with_review(review: Review | None, *believed: TokenIssuer, text: str) -> KnownTokens:
    said = {digest_of(text): review}
    return KnownTokens(lambda: trust(*believed), reviews=said.get)


@pytest.mark.parametrize("believed", [REVIEWED, UNSIGNED], ids=["signed", "unsigned"])
def test_without_a_review_nothing_is_proven_where_one_is_needed(believed: TokenIssuer) -> None:
    text = pod()
    assert refused(text, believed) == "not_reviewed"

    for review, code in (
        (None, "not_reviewed"),
        (Review(NOW - 10_000, NOW), "not_reviewed"),
        (Review(NOW + 1, NOW + 10_000), "not_reviewed"),  # the clock was set back
        (Review(NOW, NOW + 10_000, "gone"), "review"),
    ):
        with pytest.raises(RefusedTokenError) as caught:
            with_review(review, believed, text=text).find(text, NOW)
        assert caught.value.code.value == code


def test_what_was_reviewed_ends_with_its_review() -> None:
    text = pod(iat=SECONDS - 60, nbf=SECONDS - 60)
    said = {digest_of(text): Review(NOW, NOW + 10_000)}
    known = KnownTokens(lambda: trust(UNSIGNED), reviews=said.get)

    found = known.find(text, NOW)

    assert (found.ends, found.key_id) == (NOW + 10_000, None)
    assert known.find(text, NOW + 9_999) is found
    for later in (NOW + 10_000, NOW - 1):
        with pytest.raises(RefusedTokenError) as caught:
            known.find(text, later)
        assert caught.value.code.value == "not_reviewed"
    said[digest_of(text)] = Review(NOW + 595_000, NOW + 605_000)
    assert known.find(text, NOW + 599_000).ends == NOW + 600_000  # `exp` comes first


def test_a_review_of_another_token_is_none_of_this() -> None:
    with pytest.raises(RefusedTokenError):
        with_review(Review(NOW, NOW + 10_000), UNSIGNED, text=pod()).find(pod(jti="other"), NOW)


def test_whose_keys_are_known_is_verified_before_it_is_reviewed() -> None:
    assert refused(pod(key=OTHER), REVIEWED) == "signature"


@pytest.mark.parametrize(
    "case", [case for case in CASES if "key" not in case and CASES[case][1] != "no_key_id"]
)
def test_nobody_is_asked_about_what_breaks_another_rule(case: str) -> None:
    text, code = CASES[case]

    assert refused(text, UNSIGNED) == code


def test_nobody_at_all_is_believed() -> None:
    with pytest.raises(RefusedTokenError) as caught:
        verify_text(pod(), TokenTrust(), NOW)
    assert caught.value.code.value == "no_issuers"
