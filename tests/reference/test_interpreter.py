"""The definition page, sentence by sentence, as text and answers."""

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import chain
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pdp.diagnostics import Source
from pdp.lang import ast
from pdp.lang.parser import parse
from pdp.principals import ANONYMOUS, Principal, dns_principal, spiffe_principal
from pdp.vocabulary import AttributeValue, Effect, Millis, Obligation, ObligationKind, Reason, Request, User
from tests.reference.interpreter import Interpreter, Verdict, decide
from tests.reference.strategies import as_text, policy_sets, random_policy_set, random_request, requests

PREAMBLE = """language 1
trust domain prod = "prod.example.org"
trust domain dev = "dev.example.org"
issuer corp = "https://login.example.com"
issuer other = "https://other.example.com"
attribute user.level is int
attribute user.vip is bool
attribute mesh.zone is string
attribute mesh.peer is ip
"""
DOMAINS = {"prod": "prod.example.org", "dev": "dev.example.org"}
NOW = "2027-03-27T12:00Z"  # a Saturday
ALICE = User(issuer="https://login.example.com", subject="alice", groups=("admins", "staff"))
MINUTE = 60_000


def instant(text: str) -> Millis:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def shown(millis: Millis | None) -> str | None:
    if millis is None:
        return None
    return datetime.fromtimestamp(millis / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")


def principal(text: str) -> Principal:
    """`anonymous`, `dns:NAME`, or a path below the alias of a trust domain."""
    if text == "anonymous":
        return ANONYMOUS
    if text.startswith("dns:"):
        return dns_principal(text.removeprefix("dns:"))
    alias, _, path = text.partition("/")
    return spiffe_principal(f"spiffe://{DOMAINS.get(alias, alias)}/{path}")


def files_of(*texts: str) -> list[ast.File]:
    """Policy files named `0.policy`, `1.policy` and so on; the first one gets the preamble."""
    found = []
    for number, text in enumerate(texts):
        parsed = parse(Source(path=f"{number}.policy", text=("language 1\n" if number else PREAMBLE) + text))
        assert parsed.diagnostics == ()
        found.append(parsed.file)
    return found


def question(
    asked: str,
    *,
    service: str = "s",
    now: str = NOW,
    user: User | None = None,
    context: Mapping[str, AttributeValue | None] | None = None,
    supplied: str = "",
) -> Request:
    """`PRINCIPAL METHOD PATH`, and what else a request has."""
    who, method, path = asked.split(" ")
    return Request(
        principal=principal(who),
        service=service,
        method=method,
        path=path,
        now=instant(now),
        user=user,
        context=context or {},
        supplied=frozenset(supplied.split()),
    )


def ask(policy: str, asked: str, **parts) -> Verdict:
    """The verdict of one file."""
    return decide(files_of(policy), question(asked, **parts))


def in_s(rules: str) -> str:
    return f"service s {{\n{rules}\n}}"


def allows(rule: str, asked: str, **parts) -> bool:
    """Whether one rule of the service `s`, with the declarations before its first `allow`, allows."""
    declarations, allow, rest = rule.partition("allow ")
    return ask(declarations + in_s(allow + rest), asked, **parts).effect is Effect.ALLOW


def truth(condition: str, **parts) -> str:
    """An allow needs what is true; a deny is satisfied by whatever is not false."""
    policy = in_s(
        f"allow anyone to GET /allow when {condition}\n"
        f"allow anyone to GET /deny\n"
        f"deny anyone to GET /deny when {condition}"
    )
    allowed = ask(policy, "prod/a/b GET /allow", **parts).effect is Effect.ALLOW
    denied = ask(policy, "prod/a/b GET /deny", **parts).effect is Effect.DENY
    assert denied or not allowed
    return "true" if allowed else "unknown" if denied else "false"


def decided_by(policy: str, verdict: Verdict) -> set[str]:
    """The lines of the deciding rules of one file."""
    text = PREAMBLE + policy
    assert all(file == "0.policy" for file, _ in verdict.rules)
    return {text[start:].partition("\n")[0] for _, start in verdict.rules}


# -- 3. matching: principals -----------------------------------------------------------

PRINCIPALS = [
    ("prod/ns/web/sa/frontend", "prod/ns/web/sa/frontend", True),
    ("prod/ns/web/sa/frontend", "dev/ns/web/sa/frontend", False),
    ("prod/ns/web/sa/frontend", "prod/ns/web/sa/frontend/x", False),
    ("prod/ns/web/sa/frontend", "prod/ns/web/sa", False),
    ("prod/a.c", "prod/abc", False),
    ("prod/ns/*", "prod/ns/web", True),
    ("prod/ns/*", "prod/ns", False),
    ("prod/ns/*", "prod/ns/web/sa", False),
    ("prod/ns/{name}", "prod/ns/web", True),
    ("prod/ns/**", "prod/ns/web/sa/frontend", True),
    ("prod/ns/**", "prod/ns", True),
    ("prod/ns/**", "prod/nsx", False),
    ("prod/**", "prod/a", True),
    ("prod/**", "dev/a", False),
    ("*/a/b", "prod/a/b", True),
    ("*/a/b", "undeclared.test/a/b", True),
    ("*/a/b", "prod/a/c", False),
    ("*/a/b", "dns:a.b", False),
    ("sa prod/web/frontend", "prod/ns/web/sa/frontend", True),
    ("sa prod/web/frontend", "prod/ns/web/sa/backend", False),
    ("namespace prod/web", "prod/ns/web/sa/anything", True),
    ("namespace prod/web", "prod/ns/web/sa/anything/else", False),
    ('"spiffe://prod.example.org/ns/web"', "prod/ns/web", True),
    ('"spiffe://prod.example.org/ns/*"', "prod/ns/web", True),
    ('"spiffe://prod/ns/web"', "prod/ns/web", False),
    ("dns db.example.org", "dns:db.example.org", True),
    ("dns db.example.org", "dns:x.db.example.org", False),
    ("dns *.example.org", "dns:db.example.org", True),
    ("dns *.example.org", "dns:x.db.example.org", False),
    ("dns *.example.org", "dns:example.org", False),
    ("dns *.example.org", "prod/example/org", False),
    ("any principal of prod", "prod/a", True),
    ("any principal of prod", "dev/a", False),
    ("any principal of prod", "dns:prod.example.org", False),
    ("any authenticated", "prod/a", True),
    ("any authenticated", "dns:a.test", True),
    ("any authenticated", "undeclared.test/a", True),
    ("any authenticated", "anonymous", False),
    ("anyone", "prod/a", True),
    ("anyone", "anonymous", True),
    ("prod/a, prod/b", "prod/b", True),
    ("anyone except prod/a", "prod/a", False),
    ("anyone except prod/a and prod/b", "prod/b", False),
    ("anyone except prod/a and prod/b", "prod/c", True),
    ("anyone except any authenticated", "anonymous", True),
]


@pytest.mark.parametrize(("terms", "who", "matches"), PRINCIPALS)
def test_a_principal_matches_a_term_as_the_table_says(terms, who, matches):
    assert allows(f"allow {terms} to GET /", f"{who} GET /") is matches


GROUPS = """
group empty = {}
group web = { prod/web/*, dns web.test }
group some = { web, prod/db except prod/web/old }
"""


@pytest.mark.parametrize(
    ("terms", "who", "matches"),
    [
        ("web", "prod/web/new", True),
        ("web", "dns:web.test", True),
        ("web", "prod/db", False),
        ("some", "prod/web/new", True),
        ("some", "prod/db", True),
        ("some", "prod/web/old", False),
        ("some, prod/web/old", "prod/web/old", True),
        ("empty", "prod/web/new", False),
        ("web except some", "prod/web/old", True),
        ("web except some", "prod/web/new", False),
    ],
)
def test_a_group_matches_its_members(terms, who, matches):
    assert allows(f"{GROUPS} allow {terms} to GET /", f"{who} GET /") is matches


# -- 3. matching: users ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "user", "matches"),
    [
        ("corp/alice", ALICE, True),
        ("corp/bob", ALICE, False),
        ("other/alice", ALICE, False),
        ("corp/*", ALICE, True),
        ("other/*", ALICE, False),
        ("group corp/admins", ALICE, True),
        ("group corp/owners", ALICE, False),
        ("group other/admins", ALICE, False),
        ("any user", ALICE, True),
        ("any user", User(issuer="https://unknown.test", subject="x"), True),
        ("corp/bob, group corp/staff", ALICE, True),
        ("any user", None, False),
    ],
)
def test_a_user_matches_a_pattern(pattern, user, matches):
    assert allows(f"allow anyone on behalf of {pattern} to GET /", "prod/a GET /", user=user) is matches


def test_a_rule_without_on_behalf_of_does_not_read_the_user():
    assert allows("allow anyone to GET /", "prod/a GET /", user=ALICE)
    assert allows("allow anyone to GET /", "prod/a GET /", user=None)


DENY_USER = in_s("allow anyone to GET /\ndeny anyone on behalf of corp/alice to GET /")


@pytest.mark.parametrize(
    ("user", "supplied", "effect"),
    [
        (ALICE, "", Effect.DENY),
        (User(issuer="https://login.example.com", subject="bob"), "", Effect.ALLOW),
        (None, "user", Effect.ALLOW),  # there is none, and that is known
        (None, "", Effect.DENY),  # unknown: the deny is satisfied
    ],
)
def test_without_a_user_the_test_is_false_only_where_users_are_supplied(user, supplied, effect):
    assert ask(DENY_USER, "prod/a GET /", user=user, supplied=supplied).effect is effect


def test_the_test_of_the_user_must_hold_besides_when():
    rule = 'allow anyone on behalf of corp/alice to GET / when mesh.zone == "eu"'

    assert allows(rule, "prod/a GET /", user=ALICE, context={"mesh.zone": "eu"})
    assert not allows(rule, "prod/a GET /", user=ALICE, context={"mesh.zone": "us"})
    assert not allows(rule, "prod/a GET /", context={"mesh.zone": "eu"})


# -- 3. matching: methods and paths ----------------------------------------------------


@pytest.mark.parametrize(
    ("target", "asked", "matches"),
    [
        ("GET /a", "GET /a", True),
        ("GET /a", "POST /a", False),
        ("GET, POST /a", "POST /a", True),
        ("any /a", "PURGE /a", True),
        ("call pkg.Svc/Method", "POST /pkg.Svc/Method", True),
        ("call pkg.Svc/Method", "GET /pkg.Svc/Method", False),
        ("call pkg.Svc/*", "POST /pkg.Svc/Other", True),
        ("call pkg.Svc/*", "POST /pkg.Svc/Other/x", False),
        ("PUBLISH /orders/created", "PUBLISH /orders/created", True),
    ],
)
def test_a_target_matches_its_methods(target, asked, matches):
    assert allows(f"allow anyone to {target}", f"prod/a {asked}") is matches


PATHS = [
    ("/", "/", True),
    ("/", "/a", False),
    ("/a", "/a", True),
    ("/a", "/a/", False),
    ("/a/", "/a/", True),
    ("/a/", "/a", False),
    ("/a", "/A", False),
    ("/a.c", "/abc", False),
    ("/a/*", "/a/b", True),
    ("/a/*", "/a/", False),
    ("/a/*", "/a", False),
    ("/a/*", "/a/b/c", False),
    ("/a/{x}", "/a/b", True),
    ("/a/{x}", "/a/", False),
    ("/*", "/", False),
    ("/ab*", "/ab", True),
    ("/ab*", "/abc", True),
    ("/ab*", "/aab", False),
    ("/ab*", "/ab/c", False),
    ("/*ab", "/ab", True),
    ("/*ab", "/cab", True),
    ("/*ab", "/abc", False),
    ("/admin/**", "/admin", True),
    ("/admin/**", "/admin/", True),
    ("/admin/**", "/admin/a/b", True),
    ("/admin/**", "/admin/a/b/", True),
    ("/admin/**", "/administrator", False),
    ("/**", "/", True),
    ("/**", "/a/b/", True),
    ("/**/*.png", "/x.png", True),
    ("/**/*.png", "/a/b/x.png", True),
    ("/**/*.png", "/a/x.png/", False),
    ("/a/**/b", "/a/b", True),
    ("/a/**/b", "/a/x/y/b", True),
    ("/a/**/b", "/a", False),
    ("/a/**/a", "/a", False),
    ("/a/**/b/c", "/a/b/b/c", True),
    ("/a/**/*", "/a/x/", False),
    ("/a/**/", "/a/", True),
    ("/a/**/", "/a/x/", True),
    ("/a/**/", "/a/x", False),
]


@pytest.mark.parametrize(("pattern", "path", "matches"), PATHS)
def test_a_path_is_matched_segment_by_segment(pattern, path, matches):
    assert allows(f"allow anyone to GET {pattern}", f"prod/a GET {path}") is matches


# -- 3. matching: captures, targets, services ------------------------------------------


@pytest.mark.parametrize(
    ("rule", "asked", "matches"),
    [
        ("allow prod/ns/{t}/sa/* to GET /teams/{t}/**", "prod/ns/web/sa/x GET /teams/web/a", True),
        ("allow prod/ns/{t}/sa/* to GET /teams/{t}/**", "prod/ns/web/sa/x GET /teams/db/a", False),
        ("allow prod/{t}/{t} to GET /", "prod/a/a GET /", True),
        ("allow prod/{t}/{t} to GET /", "prod/a/b GET /", False),
        ("allow anyone to GET /{t}/**/{t}", "prod/a GET /x/y/x", True),
        ("allow anyone to GET /{t}/**/{t}", "prod/a GET /x/y/z", False),
        ("allow sa prod/{t}/web to GET /{t}", "prod/ns/shop/sa/web GET /shop", True),
        ("allow namespace prod/{t} to GET /{t}", "prod/ns/shop/sa/web GET /blog", False),
        # bound by the term and the target that matched, not by another
        ("allow prod/{t}, prod/x/* to GET /{t}", "prod/x/y GET /z", True),
        ("allow prod/{t}, prod/x/* to GET /{t}", "prod/y GET /z", False),
        ("allow prod/{t} to GET /{t}, GET /free/{u}", "prod/y GET /free/z", True),
    ],
)
def test_a_capture_stands_for_one_segment_wherever_it_occurs(rule, asked, matches):
    assert allows(rule, asked) is matches


@pytest.mark.parametrize(
    ("rule", "asked", "matches"),
    [
        ("allow anyone to GET /a/** except /a/secret/**", "prod/a GET /a/open", True),
        ("allow anyone to GET /a/** except /a/secret/**", "prod/a GET /a/secret", False),
        ("allow anyone to GET /a/** except /a/b and /a/c", "prod/a GET /a/c", False),
        ("allow anyone to GET /{t}/** except /{t}/{t}", "prod/a GET /x/y", True),
        ("allow anyone to GET /{t}/** except /{t}/{t}", "prod/a GET /x/x", False),
        ("allow prod/{t} to GET /** except /{t}/**", "prod/me GET /me/x", False),
        ("allow prod/{t} to GET /** except /{t}/**", "prod/me GET /you/x", True),
        # free: it matches any one segment, the same one where it occurs twice
        ("allow anyone to GET /** except /a/{free}", "prod/a GET /a/x", False),
        ("allow anyone to GET /** except /a/{free}", "prod/a GET /a/", True),
        ("allow anyone to GET /** except /{free}/{free}", "prod/a GET /x/x", False),
        ("allow anyone to GET /** except /{free}/{free}", "prod/a GET /x/y", True),
        # one target's exception takes nothing from another target
        ("allow anyone to GET /** except /a, GET /a", "prod/a GET /a", True),
    ],
)
def test_an_excepted_path_takes_away_what_it_matches(rule, asked, matches):
    assert allows(rule, asked) is matches


@pytest.mark.parametrize(
    ("asked", "matches"),
    [
        ("prod/web GET /v1/a", True),
        ("prod/web PUT /web", True),
        ("prod/db PUT /web", False),
        ("prod/web GET /b", False),
    ],
)
def test_a_role_is_its_targets(asked, matches):
    policy = "role user = { GET /v1/**, PUT /{who} }\n" + "allow prod/{who} to user"

    assert allows(policy, asked) is matches


def test_a_role_may_name_a_role():
    assert allows("role one = { GET /a }\nrole two = { one, GET /b }\nallow anyone to two", "prod/a GET /a")


def test_captures_of_groups_and_excluded_terms_bind_nothing():
    excluded = "allow prod/{t} except prod/{t} to GET /{t}"

    assert not allows(excluded, "prod/x GET /x")


@pytest.mark.parametrize(
    ("services", "asked_about", "matches"),
    [("a, b", "a", True), ("a, b", "b", True), ("a, b", "c", False), ("any service", "c", True)],
)
def test_a_rule_outside_blocks_is_about_the_services_it_names(services, asked_about, matches):
    policy = f"service a {{}}\nservice b {{}}\nservice c {{}}\nallow anyone to GET / on {services}"

    assert (ask(policy, "prod/a GET /", service=asked_about).effect is Effect.ALLOW) is matches


def test_a_rule_in_a_service_block_is_about_that_service():
    policy = "service a { allow anyone to GET / }\nservice b {}"

    assert ask(policy, "prod/a GET /", service="a").effect is Effect.ALLOW
    assert ask(policy, "prod/a GET /", service="b").reason is Reason.NO_RULE_MATCHED


# -- 4. conditions ---------------------------------------------------------------------

EU = 'mesh.zone == "eu"'
US = 'mesh.zone == "us"'
LOST = 'user.sub == "x"'  # unknown: nobody supplies it
KLEENE = [
    (f"{EU} and {EU}", "true"),
    (f"{EU} and {US}", "false"),
    (f"{EU} and {LOST}", "unknown"),
    (f"{US} and {LOST}", "false"),
    (f"{US} or {US}", "false"),
    (f"{US} or {EU}", "true"),
    (f"{US} or {LOST}", "unknown"),
    (f"{EU} or {LOST}", "true"),
    (f"not {EU}", "false"),
    (f"not {US}", "true"),
    (f"not {LOST}", "unknown"),
    (f"not ({US} and {LOST})", "true"),
]


@pytest.mark.parametrize(("condition", "expected"), KLEENE)
def test_conditions_are_three_valued(condition, expected):
    assert truth(condition, context={"mesh.zone": "eu"}) == expected


MISSING = [
    ({"mesh.zone": "eu"}, "", "true", "true"),
    ({"mesh.zone": None}, "mesh", "false", "unknown"),  # absent: given as null
    ({"mesh.zone": None}, "", "unknown", "unknown"),  # null says nothing where the family is not supplied
    ({}, "mesh", "false", "unknown"),  # absent: not given, family supplied
    ({}, "user header", "unknown", "unknown"),  # not supplied
]


@pytest.mark.parametrize(("context", "supplied", "has", "equal"), MISSING)
def test_absent_differs_from_not_supplied_for_has_alone(context, supplied, has, equal):
    assert truth("has mesh.zone", context=context, supplied=supplied) == has
    assert truth(EU, context=context, supplied=supplied) == equal


@pytest.mark.parametrize(
    "condition", ['mesh.zone in { "a" }', "user.level < 1", 'user.scope has "x"', "user.vip == true"]
)
def test_any_other_test_of_a_missing_attribute_is_unknown(condition):
    assert truth(condition, supplied="mesh user") == "unknown"
    assert truth(f"not ({condition})", supplied="mesh user") == "unknown"
    assert truth(condition) == "unknown"


VALUES = [
    ('mesh.zone == "eu"', "mesh.zone", "eu", "true"),
    ('mesh.zone == "eu"', "mesh.zone", "EU", "false"),
    ('mesh.zone != "eu"', "mesh.zone", "eu", "false"),
    ('mesh.zone != "eu"', "mesh.zone", "us", "true"),
    ('mesh.zone in { "eu", "us" }', "mesh.zone", "us", "true"),
    ('mesh.zone in { "eu", "us" }', "mesh.zone", "ap", "false"),
    ('mesh.zone in "eu"', "mesh.zone", "eu", "true"),
    ("user.level == 2", "user.level", 2, "true"),
    ("user.level == 2", "user.level", 3, "false"),
    ("user.level < 2", "user.level", 1, "true"),
    ("user.level < 2", "user.level", 2, "false"),
    ("user.level <= 2", "user.level", 2, "true"),
    ("user.level <= 2", "user.level", 3, "false"),
    ("user.level > 2", "user.level", 3, "true"),
    ("user.level > 2", "user.level", 2, "false"),
    ("user.level >= 2", "user.level", 2, "true"),
    ("user.level >= -1", "user.level", -2, "false"),
    ("user.level in { 1, 2 }", "user.level", 2, "true"),
    ("user.vip == true", "user.vip", True, "true"),
    ("user.vip == true", "user.vip", False, "false"),
    ("user.vip != true", "user.vip", False, "true"),
]
LISTS = [
    ('user.scope has "a"', "user.scope", ("b", "a"), "true"),
    ('user.scope has "a"', "user.scope", ("b",), "false"),
    ('header.x-a == "a"', "header.x-a", ("a",), "true"),
    ('header.x-a == "a"', "header.x-a", ("b",), "false"),
    ('header.x-a == "a"', "header.x-a", ("b", "c"), "false"),
    ('header.x-a == "a"', "header.x-a", ("a", "b"), "unknown"),
    ('header.x-a == "a"', "header.x-a", ("a", "a"), "unknown"),
    ('header.x-a != "a"', "header.x-a", ("a",), "false"),
    ('header.x-a != "a"', "header.x-a", ("b", "c"), "true"),
    ('header.x-a != "a"', "header.x-a", ("a", "b"), "unknown"),
    ('header.x-a in { "a", "b" }', "header.x-a", ("b",), "true"),
    ('header.x-a in { "a", "b" }', "header.x-a", ("c", "d"), "false"),
    ('header.x-a in { "a", "b" }', "header.x-a", ("a", "b"), "unknown"),
    ('header.x-a in { "a", "b" }', "header.x-a", ("a", "c"), "unknown"),
    ("has header.x-a", "header.x-a", ("a",), "true"),
    ("has header.x-a", "header.x-a", (), "unknown"),  # an empty list is no value
    ('header.x-a == "a"', "header.x-a", (), "unknown"),
]
ADDRESSES = [
    ("source.ip in 10.0.0.0/8", "source.ip", "10.255.255.255", "true"),
    ("source.ip in 10.0.0.0/8", "source.ip", "11.0.0.0", "false"),
    ("source.ip in { 10.0.0.0/8, 2001:db8::/32 }", "source.ip", "2001:db8:ffff::", "true"),
    ("source.ip in { 10.0.0.0/8, 2001:db8::/32 }", "source.ip", "2001:db9::", "false"),
    ("source.ip == 10.1.2.3", "source.ip", "10.1.2.3", "true"),
    ("source.ip != 10.1.2.3", "source.ip", "10.1.2.4", "true"),
    ("source.ip == 10.1.2.3", "source.ip", "::ffff:10.1.2.3", "true"),
    ("source.ip in 10.0.0.0/8", "source.ip", "::ffff:10.1.2.3", "true"),
    ("source.ip == ::ffff:10.1.2.3", "source.ip", "10.1.2.3", "true"),
    ("source.ip in ::ffff:10.0.0.0/104", "source.ip", "10.1.2.3", "true"),
    ("source.ip in ::ffff:10.0.0.0/104", "source.ip", "::ffff:11.1.2.3", "false"),
    ("source.ip in ::/0", "source.ip", "::ffff:10.1.2.3", "false"),
    ("source.ip == 2001:db8::1", "source.ip", "2001:0db8:0:0::1", "true"),
]


@pytest.mark.parametrize(("condition", "name", "value", "expected"), VALUES + LISTS + ADDRESSES)
def test_a_present_attribute_is_compared_as_its_type_says(condition, name, value, expected):
    assert truth(condition, context={name: value}) == expected


@pytest.mark.parametrize(
    ("condition", "name", "value"),
    [
        ("has user.level", "user.level", "2"),
        ("has user.level", "user.level", True),
        ("has user.level", "user.level", 1 << 63),
        ("has user.vip", "user.vip", 1),
        ("has mesh.zone", "mesh.zone", ("eu",)),
        ("has header.x-a", "header.x-a", "a"),
        ("has source.ip", "source.ip", "10.0.0.0/8"),
        ("has source.ip", "source.ip", "localhost"),
        ("has source.ip", "source.ip", "fe80::1%eth0"),
    ],
)
def test_of_a_value_of_another_type_nothing_is_known(condition, name, value):
    assert truth(condition, context={name: value}, supplied="mesh user header source") == "unknown"


@pytest.mark.parametrize(
    ("condition", "context", "expected"),
    [
        ("mesh.zone == user.email", {"mesh.zone": "a", "user.email": "a"}, "true"),
        ("mesh.zone == user.email", {"mesh.zone": "a", "user.email": "b"}, "false"),
        ("mesh.zone != user.email", {"mesh.zone": "a", "user.email": "b"}, "true"),
        ("mesh.zone == user.email", {"mesh.zone": "a"}, "unknown"),
        ("mesh.zone == user.email", {"mesh.zone": "a", "user.email": None}, "unknown"),
        ("mesh.zone == header.x-a", {"mesh.zone": "a", "header.x-a": ("a",)}, "true"),
        ("header.x-a == mesh.zone", {"mesh.zone": "a", "header.x-a": ("a", "b")}, "unknown"),
        ("mesh.zone == header.x-a", {"mesh.zone": "a", "header.x-a": ("a", "b")}, "unknown"),
        ("header.x-a == mesh.zone", {"mesh.zone": "c", "header.x-a": ("a", "b")}, "false"),
        ("header.x-a != mesh.zone", {"mesh.zone": "a", "header.x-a": ("b",)}, "true"),
        ("source.ip == mesh.peer", {"source.ip": "10.0.0.1", "mesh.peer": "::ffff:10.0.0.1"}, "true"),
        ("source.ip == mesh.peer", {"source.ip": "10.0.0.1", "mesh.peer": "10.0.0.2"}, "false"),
    ],
)
def test_two_attributes_are_compared(condition, context, expected):
    assert truth(condition, context=context) == expected


@pytest.mark.parametrize(
    ("rule", "asked", "context", "expected"),
    [
        ("to GET /{t} when {t} == mesh.zone", "prod/a GET /eu", {"mesh.zone": "eu"}, True),
        ("to GET /{t} when {t} == mesh.zone", "prod/a GET /us", {"mesh.zone": "eu"}, False),
        ("to GET /{t} when {t} == mesh.zone", "prod/a GET /us", {}, False),
        ("to GET /{t} when header.x-t == {t}", "prod/a GET /eu", {"header.x-t": ("eu",)}, True),
        ("to GET /{t} when header.x-t == {t}", "prod/a GET /eu", {"header.x-t": ("eu", "us")}, False),
        ("to GET /{t}/{u} when {t} == {u}", "prod/a GET /eu/eu", {}, True),
        ("to GET /{t}/{u} when {t} == {u}", "prod/a GET /eu/us", {}, False),
        ("to GET /{t}/{u} when {t} != {u}", "prod/a GET /eu/us", {}, True),
        # each way of matching has captures of its own
        ("to GET /{t}/*, GET /*/{t} when {t} == mesh.zone", "prod/a GET /us/eu", {"mesh.zone": "eu"}, True),
    ],
)
def test_a_condition_reads_what_was_captured(rule, asked, context, expected):
    assert allows(f"allow anyone {rule}", asked, context=context) is expected


def test_a_deny_holds_if_any_way_of_matching_is_not_false():
    policy = in_s("allow anyone to any /**\ndeny anyone to GET /{t}/*, GET /*/{t} when {t} == mesh.zone")

    assert ask(policy, "prod/a GET /us/eu", context={"mesh.zone": "eu"}).effect is Effect.DENY
    assert ask(policy, "prod/a GET /us/us", context={"mesh.zone": "eu"}).effect is Effect.ALLOW


@pytest.mark.parametrize(
    ("term", "who", "expected"),
    [("web", "prod/web/a", True), ("web", "prod/db", False), ("any authenticated", "anonymous", False)],
)
def test_principal_in_tests_the_principal_and_is_never_unknown(term, who, expected):
    when = f"{GROUPS} allow anyone to GET / when principal in {term}"
    unless = f"{GROUPS} allow anyone to GET / unless principal in {term}"

    assert allows(when, f"{who} GET /") is expected
    assert allows(unless, f"{who} GET /") is not expected


def test_a_named_condition_is_the_condition():
    policy = f"condition eu = {EU}\ncondition far = not eu\n" + in_s("allow anyone to GET / when far")

    assert ask(policy, "prod/a GET /", context={"mesh.zone": "us"}).effect is Effect.ALLOW
    assert ask(policy, "prod/a GET /", context={"mesh.zone": "eu"}).effect is Effect.DENY


@pytest.mark.parametrize(
    ("window", "now", "expected"),
    [
        ("mon-fri 09:00-17:00 in Europe/Berlin", "2027-03-26T08:00Z", "true"),
        ("mon-fri 09:00-17:00 in Europe/Berlin", "2027-03-26T07:59Z", "false"),
        ("mon-fri 09:00-17:00 in Europe/Berlin", "2027-03-26T15:59Z", "true"),
        ("mon-fri 09:00-17:00 in Europe/Berlin", "2027-03-26T16:00Z", "false"),  # the end is excluded
        ("mon-fri 09:00-17:00 in Europe/Berlin", "2027-03-29T07:00Z", "true"),  # summer time
        ("mon-fri 09:00-17:00 in Europe/Berlin", "2027-03-27T10:00Z", "false"),  # Saturday
        ("sat,sun 00:00-24:00 in UTC", "2027-03-27T23:59Z", "true"),
        ("sun 00:00-24:00 in Australia/Lord_Howe", "2027-03-27T13:00Z", "true"),  # there it is Sunday
        ("sun 00:00-24:00 in Australia/Lord_Howe", "2027-03-27T12:59Z", "false"),
        ("daily 00:00-24:00 in UTC", "2027-03-27T00:00Z", "true"),
    ],
)
def test_a_window_shows_on_the_wall_clock_of_its_zone(window, now, expected):
    assert truth(f"during {window}", now=now) == expected


@pytest.mark.parametrize(
    ("condition", "user", "context", "supplied", "expected"),
    [
        ('user.sub == "alice"', ALICE, {}, "", "true"),
        ('user.sub == "mallory"', ALICE, {"user.sub": "mallory"}, "", "false"),
        ('user.iss == "https://login.example.com"', ALICE, {"user.iss": None}, "", "true"),
        ('user.groups has "staff"', ALICE, {"user.groups": ("x",)}, "", "true"),
        ("has user.groups", User(issuer="i", subject="s"), {"user.groups": ("x",)}, "user", "false"),
        ('user.sub == "mallory"', None, {"user.sub": "mallory"}, "", "unknown"),
        ("has user.sub", None, {"user.sub": "mallory"}, "user", "false"),
        ("has user.sub", None, {"user.sub": "mallory"}, "", "unknown"),
        ('user.email == "m@x"', ALICE, {"user.email": "m@x"}, "", "true"),
    ],
)
def test_the_user_of_the_request_outweighs_the_context(condition, user, context, supplied, expected):
    assert truth(condition, user=user, context=context, supplied=supplied) == expected


@pytest.mark.parametrize(
    ("condition", "context"),
    [
        ('tls.sni == "a"', {"tls.sni": "a"}),
        ('request.host == "a"', {"request.host": "a"}),
        ("request.port > 443", {"request.port": 8443}),
        ('user.aud has "a"', {"user.aud": ("b", "a")}),
        ("user.email_verified == true", {"user.email_verified": True}),
        ('principal.sub == "a"', {"principal.sub": "a"}),
        ('principal.scope has "a"', {"principal.scope": ("a",)}),
    ],
)
def test_known_attributes_have_the_types_of_the_table(condition, context):
    assert truth(condition, context=context) == "true"


# -- 5. rules --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "allow_when", "allow_unless", "deny_when", "deny_unless"),
    [
        ("eu", True, False, True, False),
        ("us", False, True, False, True),
        (None, False, False, True, True),  # what is unknown never opens anything
    ],
)
def test_an_unknown_condition_leaves_an_allow_unsatisfied_and_a_deny_satisfied(
    zone, allow_when, allow_unless, deny_when, deny_unless
):
    context = {} if zone is None else {"mesh.zone": zone}

    def satisfied(rule):
        policy = in_s(f"{rule}\nallow anyone to GET /deny")
        path = "/deny" if rule.startswith("deny") else "/"
        return decided_by(policy, ask(policy, f"prod/a GET {path}", context=context)) == {rule}

    assert satisfied(f"allow anyone to GET / when {EU}") is allow_when
    assert satisfied(f"allow anyone to GET / unless {EU}") is allow_unless
    assert satisfied(f"deny anyone to GET /deny when {EU}") is deny_when
    assert satisfied(f"deny anyone to GET /deny unless {EU}") is deny_unless


def test_when_and_unless_hold_together():
    rule = f"allow anyone to GET / when {EU} unless user.level > 2"

    assert allows(rule, "prod/a GET /", context={"mesh.zone": "eu", "user.level": 2})
    assert not allows(rule, "prod/a GET /", context={"mesh.zone": "eu", "user.level": 3})
    assert not allows(rule, "prod/a GET /", context={"mesh.zone": "us", "user.level": 2})
    assert not allows(rule, "prod/a GET /", context={"mesh.zone": "eu"})


@pytest.mark.parametrize(
    ("now", "effect"),
    [
        ("2027-03-27T11:59Z", Effect.DENY),
        ("2027-03-27T12:00Z", Effect.ALLOW),  # `from` is inclusive
        ("2027-03-27T12:59Z", Effect.ALLOW),
        ("2027-03-27T13:00Z", Effect.DENY),  # `until` is exclusive
    ],
)
def test_a_rule_exists_from_its_first_instant_until_its_last(now, effect):
    policy = in_s("allow anyone to GET / from 2027-03-27T12:00Z until 2027-03-27T14:00+01:00")

    assert ask(policy, "prod/a GET /", now=now).effect is effect


def test_an_expired_deny_denies_nothing_even_if_its_condition_is_unknown():
    policy = in_s(f"allow anyone to GET /\ndeny anyone to GET / when {EU} until 2027-03-01")

    assert ask(policy, "prod/a GET /").effect is Effect.ALLOW


# -- 6. the decision -------------------------------------------------------------------


def test_without_a_rule_a_request_is_denied():
    verdict = ask(in_s(""), "prod/a GET /")

    assert (verdict.effect, verdict.reason, verdict.enforced) == (Effect.DENY, Reason.NO_RULE_MATCHED, True)
    assert (verdict.rules, verdict.obligations, verdict.valid_until, verdict.shadow) == (
        frozenset(),
        (),
        None,
        None,
    )


def test_a_satisfied_deny_wins_and_only_satisfied_denies_decide():
    policy = in_s(
        'allow anyone to GET / set header x-a = "1"\n'
        "deny prod/a to any /\n"
        "deny prod/a to GET /**\n"
        "deny prod/b to any /"
    )

    verdict = ask(policy, "prod/a GET /")

    assert (verdict.effect, verdict.reason) == (Effect.DENY, Reason.DENIED_BY_RULE)
    assert decided_by(policy, verdict) == {"deny prod/a to any /", "deny prod/a to GET /**"}
    assert verdict.obligations == ()


def test_a_deny_on_any_service_wins_over_an_allow_in_the_block():
    policy = in_s("allow anyone to any /**") + "\ndeny prod/a to any /** on any service"

    assert decided_by(policy, ask(policy, "prod/a GET /x")) == {"deny prod/a to any /** on any service"}


def test_obligations_are_the_union_of_the_satisfied_allows_with_the_least_reuse_limit():
    policy = in_s(
        'allow anyone to GET / set header x-b = "1" reuse at most 30s\n'
        'allow anyone to any / set header x-a = "2" set header x-b = "1" reuse at most 5s\n'
        "allow prod/a to any / remove header x-c\n"
        "allow prod/z to any / remove header x-z reuse at most 1s"
    )

    verdict = ask(policy, "prod/a GET /")

    assert (verdict.effect, verdict.reason, len(verdict.rules)) == (Effect.ALLOW, Reason.ALLOWED, 3)
    assert verdict.obligations == (
        Obligation(ObligationKind.REMOVE_HEADER, "x-c"),
        Obligation(ObligationKind.REUSE_AT_MOST, "", "5000"),
        Obligation(ObligationKind.SET_HEADER, "x-a", "2"),
        Obligation(ObligationKind.SET_HEADER, "x-b", "1"),
    )


OBSERVED = "service s observe until 2027-04-01 {\n deny prod/bad to any /**\n allow prod/good to GET /\n}"


@pytest.mark.parametrize(
    ("who", "now", "reason", "enforced"),
    [
        ("prod/other", "2027-03-31T23:59Z", Reason.OBSERVED, False),
        ("prod/other", "2027-04-01T00:00Z", Reason.NO_RULE_MATCHED, True),  # it ends by itself
        ("prod/bad", "2027-03-31T23:59Z", Reason.DENIED_BY_RULE, True),  # denies by rule still bite
        ("prod/good", "2027-03-31T23:59Z", Reason.ALLOWED, True),
    ],
)
def test_an_observed_service_lets_default_denies_pass_until_its_date(who, now, reason, enforced):
    verdict = ask(OBSERVED, f"{who} GET /", now=now)

    assert (verdict.reason, verdict.enforced) == (reason, enforced)
    if reason is Reason.OBSERVED:
        assert (verdict.effect, verdict.rules, verdict.obligations) == (Effect.ALLOW, frozenset(), ())


SHADOWS = [
    (
        "allow anyone to GET /\nshadow deny prod/a to GET /",
        Reason.ALLOWED,
        (Effect.DENY, Reason.DENIED_BY_RULE),
    ),
    ("shadow allow anyone to GET /", Reason.NO_RULE_MATCHED, (Effect.ALLOW, Reason.ALLOWED)),
    ("allow anyone to GET /\nshadow allow anyone to GET /", Reason.ALLOWED, None),  # nothing differs
    ("allow anyone to GET /\nshadow deny prod/b to GET /", Reason.ALLOWED, None),  # it does not match
    ("allow anyone to GET /\nshadow deny anyone to GET / until 2027-01-01", Reason.ALLOWED, None),
    ("deny anyone to GET /\nshadow allow anyone to GET /", Reason.DENIED_BY_RULE, None),
    (
        f"allow anyone to GET /\nshadow deny anyone to GET / when {EU}",
        Reason.ALLOWED,
        (Effect.DENY, Reason.DENIED_BY_RULE),
    ),
    (
        "shadow deny anyone to GET /",
        Reason.NO_RULE_MATCHED,
        (Effect.DENY, Reason.DENIED_BY_RULE),
    ),  # the reason differs
]


@pytest.mark.parametrize(("rules", "reason", "shadow"), SHADOWS)
def test_a_shadow_rule_is_reported_where_it_would_change_effect_or_reason(rules, reason, shadow):
    policy = in_s(rules)

    verdict = ask(policy, "prod/a GET /")

    assert (verdict.reason, verdict.shadow) == (reason, shadow)
    assert not any(line.startswith("shadow") for line in decided_by(policy, verdict))


def test_a_shadow_allow_would_enforce_what_is_only_observed():
    policy = "service s observe until 2027-04-01 { shadow allow anyone to GET / }"

    verdict = ask(policy, "prod/a GET /")

    assert (verdict.reason, verdict.shadow) == (Reason.OBSERVED, (Effect.ALLOW, Reason.ALLOWED))


def test_an_undeclared_service_is_opened_by_no_allow():
    policy = in_s("") + "\nallow anyone to any /** on any service"

    assert ask(policy, "prod/a GET /", service="s").reason is Reason.ALLOWED
    verdict = ask(policy, "prod/a GET /", service="unknown")
    assert (verdict.effect, verdict.reason, verdict.rules) == (
        Effect.DENY,
        Reason.UNKNOWN_SERVICE,
        frozenset(),
    )


def test_an_undeclared_service_is_closed_by_denies_on_any_service():
    policy = "deny anyone to any /** on any service\nshadow allow anyone to any /** on any service"

    verdict = ask(policy, "prod/a GET /", service="unknown")

    assert verdict.reason is Reason.DENIED_BY_RULE
    assert decided_by(policy, verdict) == {"deny anyone to any /** on any service"}


def test_an_undeclared_service_has_no_rules_by_its_name():
    policy = in_s("") + "\ndeny anyone to any /** on unknown"

    assert ask(policy, "prod/a GET /", service="unknown").reason is Reason.UNKNOWN_SERVICE


def test_shadow_rules_on_any_service_are_reported_for_undeclared_ones_too():
    policy = "shadow deny anyone to any /** on any service"

    verdict = ask(policy, "prod/a GET /", service="unknown")

    assert (verdict.reason, verdict.shadow) == (Reason.UNKNOWN_SERVICE, (Effect.DENY, Reason.DENIED_BY_RULE))


@pytest.mark.parametrize(
    ("method", "context", "reason"),
    [
        ("GET", {}, Reason.ALLOWED),
        ("M-SEARCH", {}, Reason.ALLOWED),
        ("get", {}, Reason.AMBIGUOUS_METHOD),
        ("Get", {}, Reason.AMBIGUOUS_METHOD),
        ("", {}, Reason.AMBIGUOUS_METHOD),
        ("GET\n", {}, Reason.AMBIGUOUS_METHOD),
        ("M" * 64, {}, Reason.ALLOWED),
        ("M" * 65, {}, Reason.AMBIGUOUS_METHOD),
        ("1GET", {}, Reason.AMBIGUOUS_METHOD),
        ("GET", {"header.x-http-method-override": ("GET",)}, Reason.ALLOWED),
        ("GET", {"header.x-http-method-override": ("PUT",)}, Reason.AMBIGUOUS_METHOD),
        ("GET", {"header.x-method-override": ("PUT",)}, Reason.AMBIGUOUS_METHOD),
        ("GET", {"header.x-http-method": ("get",)}, Reason.AMBIGUOUS_METHOD),
        ("GET", {"header.x-http-method": ("GET", "PUT")}, Reason.AMBIGUOUS_METHOD),
        ("GET", {"header.x-http-method": ("GET", "GET")}, Reason.AMBIGUOUS_METHOD),
        ("GET", {"header.x-http-method": "PUT"}, Reason.AMBIGUOUS_METHOD),
        ("GET", {"header.x-http-method": None}, Reason.ALLOWED),
        ("GET", {"header.x-http-method": ()}, Reason.ALLOWED),
    ],
)
def test_a_method_with_two_readings_is_denied(method, context, reason):
    request = replace(question("prod/a GET /", context=context), method=method)

    verdict = decide(files_of(in_s("allow anyone to any /**")), request)

    assert verdict.reason is reason
    assert (verdict.effect is Effect.ALLOW) is (reason is Reason.ALLOWED)


def test_an_ambiguous_method_is_refused_before_any_rule_is_asked():
    policy = "deny anyone to any /** on any service\nshadow deny anyone to any /** on any service"

    verdict = ask(policy, "prod/a get /", service="unknown")

    assert (verdict.reason, verdict.rules, verdict.shadow, verdict.valid_until) == (
        Reason.AMBIGUOUS_METHOD,
        frozenset(),
        None,
        None,
    )


# -- 6. validity -----------------------------------------------------------------------

UNTIL = "allow anyone to GET / until 2027-04-01"
VALIDITY = [
    ("allow anyone to GET /", None),
    (UNTIL, "2027-04-01T00:00Z"),
    ("allow anyone to GET / from 2027-03-28", "2027-03-28T00:00Z"),
    ("allow anyone to GET / until 2027-03-01", None),  # it is past
    ("allow anyone to GET /other until 2027-04-01", None),  # it does not match
    (f"{UNTIL}\nallow anyone to GET /", None),  # the answer stays
    (f'{UNTIL} set header x-a = "1"\nallow anyone to GET /', "2027-04-01T00:00Z"),  # its obligations do not
    (f"{UNTIL}\ndeny anyone to GET / from 2027-03-30", "2027-03-30T00:00Z"),
    ("deny anyone to GET / from 2027-03-30", None),  # only the reason would change
    ("allow anyone to GET / when during mon-fri 09:00-17:00 in UTC", "2027-03-29T09:00Z"),
    ("allow anyone to GET / unless during mon-fri 09:00-17:00 in UTC", "2027-03-29T09:00Z"),
    ("allow anyone to GET / when not during sat 00:00-24:00 in UTC", "2027-03-28T00:00Z"),
    ("allow anyone to GET / when during daily 00:00-24:00 in UTC", None),
    # two windows that abut: the first change at which the answer differs is the end of the second
    (
        "allow anyone to GET / when during sat 00:00-18:00 in UTC or during sat 18:00-20:00 in UTC",
        "2027-03-27T20:00Z",
    ),
]


@pytest.mark.parametrize(("rules", "expected"), VALIDITY)
def test_an_answer_is_valid_until_it_would_differ(rules, expected):
    assert shown(ask(in_s(rules), "prod/a GET /").valid_until) == expected


def test_a_window_in_a_named_condition_counts():
    policy = "condition office = during mon 09:00-17:00 in UTC\ncondition any_time = office\n"
    policy += in_s("allow anyone to GET / when any_time")

    assert shown(ask(policy, "prod/a GET /").valid_until) == "2027-03-29T09:00Z"


def test_an_observed_answer_ends_with_its_date():
    assert shown(ask(OBSERVED, "prod/other GET /").valid_until) == "2027-04-01T00:00Z"
    assert ask(OBSERVED, "prod/good GET /").valid_until is None


def test_an_observed_answer_that_an_allow_will_enforce_ends_then():
    policy = "service s observe until 2027-04-01 { allow anyone to GET / from 2027-03-29 }"

    assert shown(ask(policy, "prod/a GET /").valid_until) == "2027-03-29T00:00Z"


CLOSED = "allow anyone to GET /\ndeny anyone to GET /"


def expiring(count: int) -> str:
    """Denies that end on so many days in a row, the first tomorrow."""
    days = [f"2027-04-{day:02}" for day in range(1, count + 1)]
    return "\n".join(f"deny anyone to GET / until {day}" for day in days)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (f"{expiring(16)}\n{CLOSED}", None),  # no more than sixteen, none of which matters
        (f"{expiring(17)}\n{CLOSED}", "2027-04-16T00:00Z"),  # the sixteenth of more
        (f"{expiring(16)}\nallow anyone to GET /", "2027-04-16T00:00Z"),  # the sixteenth matters
        (f"{expiring(17)}\nallow anyone to GET /", "2027-04-16T00:00Z"),  # the seventeenth is not seen
        (
            f"{expiring(17)}\n{expiring(17)}\n{CLOSED}",
            "2027-04-16T00:00Z",
        ),  # distinct instants count
        (
            "deny anyone to GET /\nallow anyone to GET / when during daily 00:00-12:00 in UTC",
            "2027-04-04T12:00Z",
        ),
        (
            "deny anyone to GET /\nallow anyone to GET / when during mon 09:00-10:00 in UTC",
            "2027-05-17T10:00Z",
        ),
    ],
)
def test_no_more_than_sixteen_changes_are_looked_at(rules, expected):
    assert shown(ask(in_s(rules), "prod/a GET /").valid_until) == expected


DAILY = "when during daily 00:00-12:00 in UTC"


def test_changes_of_expired_rules_are_counted_and_those_of_shadow_rules_are_not():
    expired = ask(
        in_s(f"allow anyone to GET /\ndeny anyone to GET / {DAILY} until 2027-01-01"), "prod/a GET /"
    )
    shadow = ask(in_s(f"allow anyone to GET /\nshadow deny anyone to GET / {DAILY}"), "prod/a GET /")

    assert (expired.effect, shown(expired.valid_until)) == (Effect.ALLOW, "2027-04-04T12:00Z")
    assert (shadow.effect, shadow.valid_until) == (Effect.ALLOW, None)


@pytest.mark.parametrize(
    ("policy", "service", "expected"),
    [
        (in_s(f"deny anyone to GET / {DAILY}"), "s", None),
        (in_s(f"deny anyone to GET / {DAILY}\nshadow allow anyone to GET /"), "s", None),
        (in_s(f"deny anyone to GET / {DAILY}\nallow anyone to GET /other"), "s", None),
        (in_s(f"deny anyone to GET / {DAILY}\nallow prod/x to GET / until 2027-01-01"), "s", None),
        (
            in_s(f"deny anyone to GET / {DAILY}\nallow prod/a to GET / until 2027-01-01"),
            "s",
            "2027-04-04T12:00Z",
        ),
        (f"service s observe until 2027-03-01 {{ deny anyone to GET / {DAILY} }}", "s", None),
        (f"service s observe until 2028-03-01 {{ deny anyone to GET / {DAILY} }}", "s", "2027-03-28T00:00Z"),
        (f"allow anyone to GET / on any service {DAILY}", "unknown", None),
    ],
)
def test_where_nothing_can_open_the_decision_does_not_depend_on_time(policy, service, expected):
    verdict = ask(policy, "prod/a GET /", service=service)

    assert shown(verdict.valid_until) == expected


DST = [
    # Berlin, 2027-03-28: 02:00 becomes 03:00 at 01:00Z
    ("sun 02:30-05:00 in Europe/Berlin", "2027-03-27T12:00Z", ["2027-03-28T01:00Z", "2027-03-28T03:00Z"]),
    ("sun 01:00-02:30 in Europe/Berlin", "2027-03-27T12:00Z", ["2027-03-28T00:00Z", "2027-03-28T01:00Z"]),
    ("sun 02:00-03:00 in Europe/Berlin", "2027-03-27T12:00Z", ["2027-04-04T00:00Z", "2027-04-04T01:00Z"]),
    # Berlin, 2027-10-31: 03:00 becomes 02:00 at 01:00Z
    ("sun 02:00-03:00 in Europe/Berlin", "2027-10-30T12:00Z", ["2027-10-31T00:00Z", "2027-10-31T02:00Z"]),
    (
        "sun 02:30-02:45 in Europe/Berlin",
        "2027-10-30T12:00Z",
        ["2027-10-31T00:30Z", "2027-10-31T00:45Z", "2027-10-31T01:30Z", "2027-10-31T01:45Z"],
    ),
    ("sun 01:00-02:00 in Europe/Berlin", "2027-10-30T12:00Z", ["2027-10-30T23:00Z", "2027-10-31T00:00Z"]),
    # Lord Howe moves by half an hour: back on 2027-04-04 at 15:00Z the day before, on at 15:30Z on 2027-10-02
    (
        "sun 01:30-02:00 in Australia/Lord_Howe",
        "2027-04-03T12:00Z",
        ["2027-04-03T14:30Z", "2027-04-03T15:30Z"],
    ),
    (
        "sun 01:45-01:50 in Australia/Lord_Howe",
        "2027-04-03T12:00Z",
        ["2027-04-03T14:45Z", "2027-04-03T14:50Z", "2027-04-03T15:15Z", "2027-04-03T15:20Z"],
    ),
    (
        "sun 02:00-02:30 in Australia/Lord_Howe",
        "2027-10-02T12:00Z",
        ["2027-10-09T15:00Z", "2027-10-09T15:30Z"],
    ),
    # Sao Paulo skipped midnight on 2018-11-04 and repeated the hour before it on 2018-02-18
    ("sun 00:30-02:00 in America/Sao_Paulo", "2018-11-03T12:00Z", ["2018-11-04T03:00Z", "2018-11-04T04:00Z"]),
    ("sun 00:00-01:00 in America/Sao_Paulo", "2018-11-03T12:00Z", ["2018-11-11T02:00Z", "2018-11-11T03:00Z"]),
    ("sat 23:00-24:00 in America/Sao_Paulo", "2018-02-17T12:00Z", ["2018-02-18T01:00Z", "2018-02-18T03:00Z"]),
    # Casablanca moved at midnight UTC, where one day of the search meets the next
    ("mon 00:30-02:00 in Africa/Casablanca", "2009-05-31T12:00Z", ["2009-06-01T00:00Z", "2009-06-01T01:00Z"]),
]


@pytest.mark.parametrize(("window", "now", "expected"), DST)
def test_windows_open_and_close_where_the_clocks_change(window, now, expected):
    interpreter = Interpreter(files_of(in_s(f"allow anyone to GET / when during {window}")))

    found = []
    while len(found) < len(expected):
        found.append(shown(interpreter.decide(question("prod/a GET /", now=now)).valid_until))
        now = found[-1]

    assert found == expected


# -- 1. and 7. files -------------------------------------------------------------------


def test_declarations_and_rules_may_lie_in_any_file():
    files = files_of(
        in_s("allow web to read when eu"),
        f"group web = {{ prod/web }}\ncondition eu = {EU}",
        "role read = { GET /** }",
    )

    for order in (files, files[::-1]):
        assert decide(order, question("prod/web GET /x", context={"mesh.zone": "eu"})).effect is Effect.ALLOW


def test_a_deciding_rule_is_named_by_its_file_and_offset():
    files = files_of(in_s("allow prod/a to GET /"), "deny prod/a to any /** on any service")

    assert decide(files, question("prod/a GET /")).rules == {("1.policy", len("language 1\n"))}


def test_roles_and_conditions_of_a_delegated_directory_are_theirs_alone():
    own = parse(
        Source(
            path="teams/s/s.policy",
            text=f"language 1\ncondition place = {US}\nrole read = {{ GET /team }}\n"
            + in_s("allow anyone to read when place\nallow prod/far to read when elsewhere"),
        )
    )
    platform = files_of(
        'delegate "teams/s" owns service s\nrole read = { GET /platform }\n'
        f"condition place = {EU}\ncondition elsewhere = place"
    )
    files = [*platform, own.file]

    assert decide(files, question("prod/a GET /team", context={"mesh.zone": "us"})).effect is Effect.ALLOW
    assert decide(files, question("prod/a GET /platform", context={"mesh.zone": "us"})).effect is Effect.DENY
    assert decide(files, question("prod/a GET /team", context={"mesh.zone": "eu"})).effect is Effect.DENY
    # what the platform's condition names is the platform's, wherever it is used
    assert decide(files, question("prod/far GET /team", context={"mesh.zone": "eu"})).effect is Effect.ALLOW


@pytest.mark.parametrize(
    "policy",
    [
        in_s('allow from "grants.csv"'),
        'group web from "web.txt"\n' + in_s("allow web to GET /"),
        "allow anyone to GET /",
        "service a { allow anyone to GET / on any service }",
    ],
)
def test_what_files_alone_cannot_decide_is_not_decided(policy):
    with pytest.raises(ValueError, match=r"not for this interpreter|no service"):
        ask(policy, "prod/a GET /")


# -- the laws, on whatever the strategies make -----------------------------------------


def same_answer(one: Verdict, other: Verdict) -> bool:
    return (one.effect, one.enforced, one.obligations) == (other.effect, other.enforced, other.obligations)


def without_shadow(files: tuple[ast.File, ...]) -> tuple[ast.File, ...]:
    def kept(item):
        return not (isinstance(item, ast.Rule) and item.shadow)

    def stripped(item):
        if not isinstance(item, ast.ServiceBlock):
            return item
        rules = tuple(filter(kept, item.items))
        return ast.ServiceBlock(name=item.name, observe_until=item.observe_until, items=rules, span=item.span)

    return tuple(
        ast.File(path=file.path, items=tuple(map(stripped, filter(kept, file.items)))) for file in files
    )


@given(files=policy_sets(), data=st.data())
def test_the_order_of_files_and_statements_means_nothing(files, data):
    request = data.draw(requests(files))

    backwards = [ast.File(path=file.path, items=file.items[::-1]) for file in files[::-1]]

    assert decide(backwards, request) == decide(files, request)


@given(files=policy_sets(), data=st.data())
def test_shadow_rules_change_neither_effect_nor_reason_nor_rules(files, data):
    request = data.draw(requests(files))

    plain, shadowed = decide(without_shadow(files), request), decide(files, request)

    assert same_answer(plain, shadowed)
    assert (plain.reason, plain.rules, plain.shadow) == (shadowed.reason, shadowed.rules, None)


@given(files=policy_sets(), data=st.data())
def test_knowing_that_a_value_is_absent_never_closes_what_was_open(files, data):
    """Only `has` tells absent from not supplied; without it, who supplies more loses no allow."""
    request = data.draw(requests(files))
    has_test = any(isinstance(node, ast.Has) for node in nodes(files))
    silent, supplied = (
        replace(request, supplied=frozenset()),
        replace(request, supplied=frozenset({"user", "mesh", "header", "source"})),
    )

    if decide(files, silent).effect is Effect.ALLOW and not has_test:
        assert decide(files, supplied).effect is Effect.ALLOW


def nodes(value):
    """Every node of an AST."""
    if isinstance(value, tuple):
        yield from chain.from_iterable(map(nodes, value))
    elif hasattr(value, "__dataclass_fields__"):
        yield value
        yield from chain.from_iterable(nodes(getattr(value, name)) for name in value.__dataclass_fields__)


def test_no_answer_changes_before_it_said_it_would():
    """Against every half hour of five days, which is how finely the strategies set their clocks."""
    rng, checked = Random(7), 0
    step, steps = 30 * MINUTE, 5 * 48
    while checked < 60:
        files = random_policy_set(rng)
        interpreter, request = Interpreter(files), random_request(rng, files)
        verdict = interpreter.decide(request)
        if verdict.valid_until is None:
            continue
        checked += 1
        first = (request.now // step + 1) * step
        scanned = range(first, first + steps * step, step)
        changed = next(
            (t for t in scanned if not same_answer(verdict, interpreter.decide(replace(request, now=t)))),
            None,
        )
        assert changed is None or verdict.valid_until <= changed


@given(policy_sets())
def test_what_the_strategies_make_is_what_the_parser_reads(files):
    for file, text in zip(files, as_text(files).values(), strict=True):
        parsed = parse(Source(path=file.path, text=text))
        assert (parsed.diagnostics, parsed.file) == ((), file)


def test_the_strategies_reach_every_outcome():
    """Otherwise agreement on what they make would be agreement on little."""
    rng, seen, deciding = Random(11), {}, 0
    total = 4000
    for _ in range(total // 20):
        files = random_policy_set(rng)
        interpreter = Interpreter(files)
        for _ in range(20):
            verdict = interpreter.decide(random_request(rng, files))
            deciding += bool(verdict.rules)
            for fact in (
                verdict.reason,
                verdict.shadow,
                verdict.valid_until is None,
                bool(verdict.obligations),
            ):
                seen[fact] = seen.get(fact, 0) + 1

    assert {reason for reason in Reason if seen.get(reason, 0) >= total // 100} == set(Reason) - {
        Reason.AMBIGUOUS_PATH,
        Reason.STALE,  # which no rule comes to
        Reason.QUARANTINED,  # the same
    }
    assert deciding >= total // 6
    assert {(Effect.ALLOW, Reason.ALLOWED), (Effect.DENY, Reason.DENIED_BY_RULE), True, False} <= set(seen)
