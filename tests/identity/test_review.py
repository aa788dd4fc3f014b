"""An API server asked for its keys and about tokens: what is sent, and what an answer comes to."""

import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pdp.config.clusters import ClusterSettings, key_source, reviewers
from pdp.identity.fetch import FetchError
from pdp.identity.tokens.api_server import ApiServer
from pdp.identity.tokens.discovery import discovered_keys, discovery_url, origin_of
from pdp.identity.tokens.review import ReviewError, read_review, write_review
from tests.identity.clusters import OURS, REVIEWER, REVIEWS, Cluster, cluster
from tests.identity.publishing import send
from tests.identity.tokens import DOMAIN

SUB = "system:serviceaccount:shop:web"
GOOD: dict[str, Any] = {"authenticated": True, "user": {"username": SUB, "uid": "a"}, "audiences": [OURS]}


def answer(status: object, **more: Any) -> bytes:
    given = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status} | more
    return json.dumps(given).encode()


# -- answers ---------------------------------------------------------------------------


def test_the_question_names_the_token_and_our_audiences() -> None:
    assert json.loads(write_review("a.b.c", frozenset({"b", "a"}))) == {
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
        "spec": {"token": "a.b.c", "audiences": ["a", "b"]},
    }  # fmt: skip


def test_a_good_answer_refuses_nothing() -> None:
    assert read_review(answer(GOOD), SUB, frozenset({OURS, "other"})) == ""


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ({}, "does not take it"),
        ({"user": {}}, "does not take it"),
        (GOOD | {"authenticated": False}, "does not take it"),
        (GOOD | {"authenticated": "true"}, "does not take it"),
        (GOOD | {"authenticated": 1}, "does not take it"),
        (GOOD | {"error": "expired"}, "invalid"),
        (GOOD | {"audiences": None}, "for us"),
        ({name: GOOD[name] for name in ("authenticated", "user")}, "for us"),
        (GOOD | {"audiences": []}, "for us"),
        (GOOD | {"audiences": ["https://kubernetes.default.svc"]}, "for us"),
        (GOOD | {"audiences": OURS}, "for us"),
        (GOOD | {"audiences": [[OURS]]}, "for us"),
        (GOOD | {"user": {"username": "system:serviceaccount:shop:other"}}, "somebody else"),
        (GOOD | {"user": {}}, "somebody else"),
        (GOOD | {"user": SUB}, "somebody else"),
    ],
)
def test_any_other_answer_refuses_the_token(status: object, why: str) -> None:
    assert why in read_review(answer(status), SUB, frozenset({OURS}))


@pytest.mark.parametrize(
    "given",
    [
        b"", b"{", b"[]", b"{}", answer(None), answer("x"), answer(GOOD, kind="Status"),
        answer(GOOD, apiVersion="authentication.k8s.io/v1beta1"),
        b'{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{},"status":{}}',
    ],
)  # fmt: skip
def test_what_is_no_review_says_nothing(given: bytes) -> None:
    with pytest.raises(ReviewError):
        read_review(given, SUB, frozenset({OURS}))


# -- over HTTPS ------------------------------------------------------------------------


@pytest.fixture
def east(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path / "east", issuer="") as found:
        yield found


def settings(**more: Any) -> ClusterSettings:
    given = {"audiences": [OURS], "trust_domain": DOMAIN} | more
    return ClusterSettings.model_validate(given)


def ask(east: Cluster, text: str, **more: Any) -> str:
    given = {
        "review_url": east.url, "review_ca_file": str(east.roots),
        "review_token_file": str(east.roots.parent / "reviewer"),
    } | more  # fmt: skip
    return reviewers({east.issuer: settings(**given)})[east.issuer](text, SUB)


def test_a_cluster_takes_its_own_tokens_and_no_others(east: Cluster) -> None:
    good = east.mint()

    assert ask(east, good) == ""
    assert "invalid" in ask(east, east.mint(which=9))
    assert "invalid" in ask(east, east.mint(exp=int(time.time()) - 5))
    assert "invalid" in ask(east, east.mint(aud=["others"]))
    east.gone.add("web-0")
    assert ask(east, good) != ""
    line, headers = east.server.asked[0]
    assert line == f"POST {REVIEWS} HTTP/1.1"
    assert headers["authorization"] == f"Bearer {REVIEWER}"


def test_a_server_that_knows_no_audiences_takes_no_token(east: Cluster) -> None:
    east.forgets = ("audiences",)

    assert "for us" in ask(east, east.mint())


def test_our_own_token_is_read_as_it_is_renewed(east: Cluster) -> None:
    file = east.roots.parent / "reviewer"
    server = ApiServer(east.roots, file)
    question = write_review(east.mint(), frozenset({OURS}))
    server.post(east.url + REVIEWS, question)

    east.knows = {"renewed"}
    with pytest.raises(FetchError, match="401"):
        server.post(east.url + REVIEWS, question)
    file.write_text("renewed")
    server.post(east.url + REVIEWS, question)
    for content in ("", "two words", "x\r\ny: z", "\u00e4", '"'):
        file.write_text(content, encoding="utf-8")
        with pytest.raises(FetchError, match="there is no token in it"):
            server.post(east.url + REVIEWS, question)
    file.unlink()
    with pytest.raises(FetchError, match="No such file"):
        server.post(east.url + REVIEWS, question)


def test_the_server_is_verified_and_nobody_else_gets_a_token(east: Cluster, tmp_path: Path) -> None:
    with cluster(tmp_path / "stranger") as stranger:
        with pytest.raises(FetchError, match="not who it should be"):
            ask(east, east.mint(), review_ca_file=str(stranger.roots))
        with pytest.raises(FetchError, match="not who it should be"):
            ask(east, east.mint(), review_ca_file=None)
    assert (east.reviewed, east.server.asked) == ([], [])


def test_roots_are_read_as_they_are_renewed_and_bad_ones_change_nothing(
    east: Cluster, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    with cluster(tmp_path / "stranger") as stranger:
        file.write_bytes(stranger.roots.read_bytes())
        server = ApiServer(file, None)
        with pytest.raises(FetchError):
            server.get(east.url + "/openid/v1/jwks")
    file.write_bytes(east.roots.read_bytes())
    assert server.get(east.url + "/openid/v1/jwks") == east.key_set().encode()
    for content in ("", " \n", "x", "\u00e4", "-----BEGIN CERTIFICATE-----\n"):
        file.write_text(content, encoding="utf-8")
        assert server.get(east.url + "/openid/v1/jwks")
    file.unlink()
    assert server.get(east.url + "/openid/v1/jwks")
    with pytest.raises(OSError, match="No such file"):
        ApiServer(file, None)
    for content in ("", "x", "\u00e4"):
        file.write_text(content, encoding="utf-8")
        with pytest.raises(ssl.SSLError):
            ApiServer(file, None)


def test_roots_that_are_not_there_yet_are_read_once_they_are(east: Cluster) -> None:
    content = east.roots.read_bytes()
    late = east.roots.parent / "late.pem"
    asked = reviewers(
        {
            east.issuer: settings(
                review_url=east.url,
                review_ca_file=str(late),
                review_token_file=str(east.roots.parent / "reviewer"),
            )
        }
    )[east.issuer]
    for bad in (None, b"", b"x"):
        if bad is not None:
            late.write_bytes(bad)
        with pytest.raises(FetchError, match="`review_ca_file` cannot be used"):
            asked(east.mint(), SUB)

    late.write_bytes("# Zürich\n".encode() + content)

    assert asked(east.mint(), SUB) == ""


@pytest.mark.parametrize("status", [200, 202, 204, 301, 400, 401, 403, 500, 503])
def test_a_server_that_does_not_review_says_nothing(east: Cluster, status: int) -> None:
    east.fails = lambda handler: send(handler, b"{}", status, location=f"{east.url}/elsewhere")

    with pytest.raises((FetchError, ReviewError)):
        ask(east, east.mint())
    assert len(east.server.asked) == 1


# -- keys ------------------------------------------------------------------------------


def keys(east: Cluster, **more: Any) -> bytes:
    given = {"jwks_discovery": True, "jwks_ca_file": str(east.roots)} | more
    return key_source(east.issuer, settings(**given))()


def test_keys_are_found_by_the_document_of_the_issuer(east: Cluster) -> None:
    assert keys(east) == east.key_set().encode()
    assert [line for line, _ in east.server.asked] == [
        "GET /.well-known/openid-configuration HTTP/1.1", "GET /openid/v1/jwks HTTP/1.1",
    ]  # fmt: skip
    assert not any("authorization" in headers for _, headers in east.server.asked)


def test_an_api_server_that_shows_them_to_those_it_knows_gets_our_token(east: Cluster) -> None:
    east.closed = True

    with pytest.raises(FetchError, match="401"):
        keys(east)
    token_file = str(east.roots.parent / "reviewer")
    assert keys(east, jwks_token_file=token_file) == east.key_set().encode()
    url = {"jwks_discovery": False, "jwks_url": f"{east.url}/openid/v1/jwks"}
    assert keys(east, jwks_token_file=token_file, **url) == east.key_set().encode()


def test_the_document_leads_nowhere_that_the_operator_has_not_named(east: Cluster, tmp_path: Path) -> None:
    with cluster(tmp_path / "elsewhere") as elsewhere:
        east.jwks_uri = elsewhere.jwks_uri
        with pytest.raises(FetchError, match="which `jwks_origins` does not name"):
            keys(east)
        assert elsewhere.server.asked == []

        roots = tmp_path / "both.pem"
        roots.write_bytes(east.roots.read_bytes() + elsewhere.roots.read_bytes())
        named = {"jwks_origins": [elsewhere.url], "jwks_ca_file": str(roots)}
        assert keys(east, **named) == elsewhere.key_set().encode()


@pytest.mark.parametrize(
    "uri", ["", 7, "http://localhost/", "https://a@localhost/", "file:///x", "https://LOCALHOST/"]
)
def test_a_document_that_leads_to_no_url_leads_nowhere(east: Cluster, uri: Any) -> None:
    east.jwks_uri = uri

    with pytest.raises(FetchError, match="no URL of keys"):
        keys(east)


def test_the_document_is_the_issuers_own() -> None:
    for text in ('{"issuer": "https://a.example/"}', "{}", "[]"):
        with pytest.raises(FetchError, match="not the document of this issuer"):
            discovered_keys("https://a.example", frozenset(), lambda _, text=text: text.encode())
    with pytest.raises(FetchError, match="empty"):
        discovered_keys("https://a.example", frozenset(), lambda _: b"")


def test_urls_are_those_of_the_standard() -> None:
    assert (
        discovery_url("https://a.example/id/1") == "https://a.example/id/1/.well-known/openid-configuration"
    )
    assert discovery_url("https://a.example/") == "https://a.example/.well-known/openid-configuration"
    assert origin_of("https://a.example/x") == "https://a.example:443"
    assert origin_of("https://[::1]:6443/x") == "https://[::1]:6443"
    for text in ("kubernetes/serviceaccount", "http://a.example", "https://a.example?x", "api"):
        with pytest.raises(ValueError, match=r"https|query"):
            discovery_url(text)
