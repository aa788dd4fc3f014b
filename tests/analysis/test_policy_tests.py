"""Test cases in policies: the question that each asks, and when its answer is the expected one."""

import pytest

from pdp.analysis.policy_tests import Outcome, families, names_of, run_case
from pdp.lang import ast
from pdp.principals import ANONYMOUS, PrincipalKind
from pdp.vocabulary import FAMILIES, Effect, Reason, Request, User
from tests.cli.example import CHECKOUT, NOW, POLICY, snapshot


def outcome(case: str) -> Outcome:
    compiled = snapshot(f'{POLICY}\ntest "t" {{ {case} }}\n')
    files = [parsed.file for parsed in compiled.files]
    (block,) = [item for file in files for item in file.items if isinstance(item, ast.TestBlock)]
    return run_case(block.cases[0], compiled.index, names_of(files), NOW)


def asked(case: str) -> Request:
    return outcome(case).request


def test_aliases_stand_for_domains_and_issuers() -> None:
    request = asked("allow prod/ns/checkout/sa/web on behalf of corp/al GET payments /v1/me")

    assert request.principal.id == CHECKOUT
    assert request.principal.kind is PrincipalKind.SPIFFE
    assert (request.principal.trust_domain, request.principal.segments) == (
        "prod.example.org",
        ("ns", "checkout", "sa", "web"),
    )
    assert request.user == User(issuer="https://login.example.com", subject="al")


@pytest.mark.parametrize(
    ("subject", "id_"),
    [
        ("anonymous", ANONYMOUS.id),
        ("dns vm.example.org", "dns:vm.example.org"),
        ('"spiffe://other.test/ns/x"', "spiffe://other.test/ns/x"),
        ("sa prod/web/frontend", "spiffe://prod.example.org/ns/web/sa/frontend"),
    ],
)
def test_every_form_of_a_principal_is_asked_about(subject: str, id_: str) -> None:
    assert asked(f"deny {subject} GET payments /x").principal.id == id_


def test_calls_are_posts() -> None:
    request = asked("deny anonymous call cart shop.Cart/Get")

    assert (request.method, request.path, request.service) == ("POST", "/shop.Cart/Get", "cart")


def test_the_instant_is_the_cases_or_that_of_the_run() -> None:
    assert asked("deny anonymous GET payments /x").now == NOW
    assert asked("deny anonymous GET payments /x at 1970-01-01T00:00:01Z").now == 1000


def test_every_family_is_supplied_unless_the_case_says_otherwise() -> None:
    everything = asked("deny anonymous GET payments /x").supplied

    assert everything >= FAMILIES
    assert asked("deny anonymous GET payments /x supplying source, user").supplied == {"source", "user"}
    assert asked("deny anonymous GET payments /x supplying nothing").supplied == frozenset()


def test_families_of_declared_attributes_are_among_them() -> None:
    index = snapshot(f"{POLICY}\nattribute mesh.zone is string\n").index

    assert families(index) == FAMILIES | {"mesh"}


def test_attributes_have_the_form_of_their_type() -> None:
    given = (
        'source.ip = 10.0.0.1, header.x-a = "a", header.x-b = { "a", "b" }, header.x-c = absent, '
        'user.level = -3, user.email_verified = true, tls.sni = "x"'
    )

    assert asked(f"deny anonymous GET payments /x with {given}").context == {
        "source.ip": "10.0.0.1",
        "header.x-a": ("a",),
        "header.x-b": ("a", "b"),
        "header.x-c": None,
        "user.level": -3,
        "user.email_verified": True,
        "tls.sni": "x",
    }


@pytest.mark.parametrize(
    ("given", "groups"),
    [('user.groups = "a"', ("a",)), ('user.groups = { "a", "b" }', ("a", "b")), ("user.groups = absent", ())],
)
def test_groups_given_as_an_attribute_are_the_users(given: str, groups: tuple[str, ...]) -> None:
    user = asked(f"deny anonymous on behalf of corp/al GET payments /x with {given}").user

    assert user is not None
    assert user.groups == groups


CREATE = "prod/ns/checkout/sa/web POST payments /v1/charges"
NOTHING = "prod/ns/blog/sa/web POST payments /v1/charges"


@pytest.mark.parametrize(
    ("case", "passed"),
    [
        (f"allow {CREATE}", True),
        (f"deny {CREATE}", False),
        (f"allow {CREATE} by charge-create", True),
        (f"allow {CREATE} by payments/charge-create", True),
        (f"allow {CREATE} by charge-read", False),
        (f"allow {CREATE} by payments/charge-read", False),
        (f"allow {CREATE} by default", False),
        (f"deny {NOTHING}", True),
        (f"deny {NOTHING} by default", True),
        (f"deny {NOTHING} by charge-create", False),
        ("deny prod/ns/dev/sa/x GET payments /v1/charges by platform/no-dev", True),
        ("deny prod/ns/dev/sa/x GET payments /v1/charges by default", False),
        ("allow anonymous GET cart /x by default", True),
        ("deny anonymous GET payments /v1/%2e%2e/x", True),
        ("deny anonymous GET payments /v1/%2e%2e/x by default", False),
    ],
)
def test_a_case_passes_when_effect_and_rule_are_as_it_says(case: str, passed: bool) -> None:  # noqa: FBT001 -- a column
    assert outcome(case).passed is passed


def test_an_outcome_names_the_deciding_rules() -> None:
    found = outcome(f"allow {CREATE}")

    assert [rule.name for rule in found.rules] == ["payments/charge-create"]
    assert (found.decision.effect, found.decision.reason) == (Effect.ALLOW, Reason.ALLOWED)


@pytest.mark.parametrize(
    "subject", ["*/ns/checkout/sa/web", "prod/ns/*/sa/web", "prod/**", "dns *.example.org"]
)
def test_a_case_about_more_than_one_principal_does_not_compile(subject: str) -> None:
    with pytest.raises(AssertionError, match="PDP106"):
        outcome(f"deny {subject} GET payments /x")
