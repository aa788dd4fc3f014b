"""Which requests may be answered from memory at all."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp import limits as service_limits
from pdp.paths import AmbiguousPathError, canonical, method_problem, plainly_canonical
from pdp.paths.methods import overridden_by_query
from pdp.principals import InvalidIdentityError, dns_principal, spiffe_principal
from pdp_client import limits
from pdp_client.limits import MAX_PLAIN_CHARS
from pdp_client.plain import PLAINLY_CANONICAL, as_plain, is_plain_target
from pdp_client.question import ANONYMOUS, Certificate, Dns, Forwarded, Jwt, Question, User, UserToken

WEB = "spiffe://prod.example.org/web"
DOCS = Path(__file__).parents[3] / "docs"
USUAL = {"principal": WEB, "method": "GET", "path": "/v1/items", "service": "s"}


def plain(**what) -> bool:
    return as_plain(Question(**{**USUAL, **what})) is not None


def test_the_expression_is_that_of_the_documentation() -> None:
    page = (DOCS / "paths.md").read_text(encoding="utf-8")
    assert re.findall(r"^```regex\n(.*)\n```$", page, re.MULTILINE) == [PLAINLY_CANONICAL]


@given(st.text("/.a%2f~;?#A0 \\é\n", max_size=20).map(lambda rest: f"/{rest}"))
def test_a_path_is_plain_if_the_service_says_so_and_the_expression_of_the_documentation(path: str) -> None:
    if "?" not in path:
        assert (
            plain(path=path) is plainly_canonical(path) is (re.fullmatch(PLAINLY_CANONICAL, path) is not None)
        )


targets = st.text("/.ab%20mMeEtThHoOdD_=&?#+ \x7fé", max_size=30).map(lambda rest: f"/a{rest}")


@given(targets)
def test_a_plain_target_has_one_reading_and_overrides_nothing(target: str) -> None:
    assert plain(path=target) is is_plain_target(target)
    if is_plain_target(target):
        assert canonical(target.partition("?")[0]) == target.partition("?")[0]
        assert canonical(target) == target.partition("?")[0]
        assert not overridden_by_query(target, "GET")


@pytest.mark.parametrize(
    "target",
    [
        "",
        "*",
        "/",
        "a",
        "//a",
        "/a//b",
        "/a/../b",
        "/a/..",
        "/a;b",
        "/%61",
        "/a\n",
        "http://h/a",
        "/a?x y",
        "/a?#",
        "/a#",
        "/a?x=\u00e9",
        "/a?_method=GET",
        "/a?%5Fm%65thod=PUT",
        "/a?x[_METHOD]=PUT",
        "/" + "a" * 8192,
        "/a" * 128,
    ],
)
def test_what_is_not_plain_is_asked_about(target: str) -> None:
    assert not plain(path=target)


@pytest.mark.parametrize("target", ["/a?", "/a?b=c&d", "/.well-known/x", "/a/", "/a?x=%41//../;"])
def test_queries_play_no_part(target: str) -> None:
    assert plain(path=target)
    try:
        canonical(target)
    except AmbiguousPathError:  # pragma: no cover - the assertion
        pytest.fail("the service refuses it")


@given(st.text("AZaz09-_ \n", max_size=4) | st.just("A" * 64) | st.just("A" * 65))
def test_a_method_is_plain_if_the_service_says_so(method: str) -> None:
    assert plain(method=method) is (method_problem(method) is None)


ids = st.text("a.Z-_/%é", max_size=12)


@given(ids)
def test_a_spiffe_id_is_plain_if_it_is_one(rest: str) -> None:
    text = f"spiffe://{rest}"
    try:
        id_ = spiffe_principal(text).id
    except InvalidIdentityError:
        assert not plain(principal=text)
    else:
        asked = as_plain(Question(**{**USUAL, "principal": text}))
        assert asked is not None
        assert asked.principal == id_


@given(st.text("a.Z-_1é", max_size=12))
def test_a_dns_name_is_plain_only_as_its_id_has_it(name: str) -> None:
    asked = as_plain(Question(**{**USUAL, "principal": Dns(name)}))
    if asked is not None:
        assert asked.principal == dns_principal(name).id


@pytest.mark.parametrize(
    "principal",
    [
        "",
        "anonymous",
        "dns:a",
        "web",
        "SPIFFE://a/b",
        "spiffe://a",
        "spiffe://a/",
        "spiffe://a/./b",
        "spiffe://a/..",
        "spiffe://a/b/../c",
        "spiffe://a/b\n",
        "spiffe://" + "a" * 256 + "/b",
        "spiffe://a/" + "b" * 2048,
    ],
)
def test_a_text_that_is_no_spiffe_id_is_asked_about(principal: str) -> None:
    assert not plain(principal=principal)


@pytest.mark.parametrize(
    "context",
    [
        {"header.x-http-method-override": ["GET"]},
        {"header.x-method-override": None},
        {"header.x-http-method": ("GET",)},
        {"request.host": "a", "header.host": ["b"]},
        {"header.host": ["a", "b"]},
        {"request.host": 1},
        {f"x.{n}": 1 for n in range(257)},
        # What the service would refuse, whatever was answered to another question.
        {"header.X-A": ["a"]},
        {"header.x_a": ["a"]},
        {"header.x.a": ["a"]},
        {"header.x-a": ["\0"]},
        {"x.a": "a\0"},
        {"x.a": 1.5},
        {"x.a": {}},
        {"x.a": b""},
        {"x.a": {"a"}},
        {"x.a": ["a", 1]},
        # Too much to keep.
        {"header.x-a": ["a" * 2048, "b" * 2049]},
    ],
)
def test_a_context_that_contradicts_is_asked_about(context: dict) -> None:
    assert not plain(context=context)


def test_hosts_in_the_same_words_are_one() -> None:
    assert plain(service=None, host="a:1", context={"request.host": "a:1", "header.host": ["a:1"]})
    assert not plain(service=None, host="a:1", context={"request.host": "a"})


def test_so_much_of_a_request_is_kept_and_no_more() -> None:
    assert plain(context={"x.a": "a" * MAX_PLAIN_CHARS})
    assert plain(path="/" + "a" * (MAX_PLAIN_CHARS - 1))
    assert not plain(path="/" + "a" * MAX_PLAIN_CHARS)
    assert not plain(path="/a?" + "b" * MAX_PLAIN_CHARS)


def test_a_secret_is_not_shown() -> None:
    asked = Question(principal=Jwt("secret"), user=UserToken("secret"), service="s", method="GET", path="/")
    others = (Certificate("secret"), Forwarded("xfcc", (("x-forwarded-client-cert", "secret"),)))

    assert "secret" not in f"{asked!r} {others!r}"


def test_a_floor_is_asked_about() -> None:
    assert not plain(at_least="r")


def test_a_user_without_a_name_is_asked_about() -> None:
    assert plain(user=User("i", "s"))
    assert not plain(user=User("", "s"))
    assert not plain(user=User("i", ""))


def test_evidence_of_other_kinds_is_other_evidence_whatever_its_text() -> None:
    principals = [
        Jwt("x"),
        Certificate("x"),
        Forwarded("x", ()),
        Forwarded("", (("x", ""),)),
        Forwarded("", (("", "x"),)),
        ANONYMOUS,
        WEB,
    ]
    found = [as_plain(Question(**{**USUAL, "principal": principal})) for principal in principals]
    assert len({(asked.principal, asked.proof) for asked in found if asked}) == len(principals)
    user = as_plain(Question(**{**USUAL, "user": UserToken("x")}))
    assert user is not None
    assert user.user_proof not in {asked.proof for asked in found if asked}


@pytest.mark.parametrize("name", ["MAX_PATH_BYTES", "MAX_METHOD_CHARS", "MAX_CONTEXT_ATTRIBUTES"])
def test_bounds_are_those_of_the_service(name: str) -> None:
    assert getattr(limits, name) == getattr(service_limits, name)


def test_bounds_of_reports_are_those_of_the_service() -> None:
    assert limits.MAX_REPORTED == service_limits.MAX_REUSE_ITEMS
    assert limits.MAX_TIMES == service_limits.MAX_REUSE_TIMES


def test_a_lease_outlasts_two_heartbeats() -> None:
    assert limits.LEASE_SECONDS > 2 * service_limits.WATCH_HEARTBEAT_SECONDS
    assert limits.MAX_REUSE_SECONDS * 1000 == service_limits.MAX_AGE_LIMIT_MS
