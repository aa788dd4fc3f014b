"""What the caller table lets an authenticated caller ask."""

import pytest

from pdp.identity.caller import Caller, CallerKind
from pdp.principals import Principal, PrincipalKind
from pdp.service.authorization import Permission, as_principal, rights_of
from pdp.service.errors import NotPermittedError
from pdp.vocabulary import User
from tests.engine.asking import NOW, ask, snapshot_of

SERVICES = """
service cart { allow anyone to GET /x }
service pay { allow anyone to GET /x }
service web.shop { allow anyone to GET /x }
service shop.web { allow anyone to GET /x }
"""
ALICE = User(issuer="https://corp.test", subject="alice")


def caller(text="prod/pep"):
    """`prod/a/b` or `dns:vm.test`, as its certificate would name it."""
    principal = ask(f"{text} GET /").principal
    return Caller(
        kind=CallerKind(principal.kind.value),
        id=principal.id,
        trust_domain=principal.trust_domain,
        segments=principal.segments,
        fingerprint="0" * 64,
        not_after=NOW,
        epoch=1,
        serial="",
    )


def permit(entries, request, *, by="prod/pep", explain=False) -> Permission | str:
    """What holds for the answer, or the code of the refusal."""
    snapshot = snapshot_of(SERVICES + entries)
    try:
        return rights_of(caller(by), snapshot.callers, snapshot.index).permit(
            request, snapshot.index, explain=explain
        )
    except NotPermittedError as error:
        return error.code


def question(principal="prod/web", service="cart", **rest):
    return ask(f"{principal} GET /x", service=service, **rest)


PEP = "caller prod/pep fronts cart may assert any principal of prod\n"


# -- who is named ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "by", "granted"),
    [
        ("prod/pep", "prod/pep", True),
        ("prod/pep", "prod/pep/x", False),
        ("prod/pep", "dev/pep", False),
        ("prod/peps/*", "prod/peps/a", True),
        ("prod/peps/*", "prod/peps", False),
        ("dns vm.test", "dns:vm.test", True),
        ("dns vm.test", "dns:vm2.test", False),
        ("dns *.test", "dns:vm.test", True),
        ("any authenticated", "dns:vm.test", True),
        ("any authenticated", "dev/x", True),
    ],
)
def test_an_entry_is_for_the_callers_that_its_terms_hold(named, by, granted):
    snapshot = snapshot_of(f"{SERVICES}caller {named} fronts cart may assert any principal of prod")

    rights = rights_of(caller(by), snapshot.callers, snapshot.index)

    assert bool(rights.grants) is granted


def test_a_caller_that_no_entry_names_may_ask_nothing():
    assert permit(PEP, question(), by="prod/other") == "service_not_permitted"


@pytest.mark.parametrize(
    ("text", "kind"), [("prod/a/b", PrincipalKind.SPIFFE), ("dns:vm.test", PrincipalKind.DNS)]
)
def test_a_caller_is_matched_by_its_own_identity_whole(text, kind):
    one = caller(text)

    assert as_principal(one) == ask(f"{text} GET /").principal
    assert as_principal(one) == Principal(
        kind=kind, id=one.id, trust_domain=one.trust_domain, segments=one.segments
    )
    assert as_principal(one).kind is kind
    assert as_principal(one).segments == one.segments
    assert as_principal(one).trust_domain == one.trust_domain


# -- services -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fronts", "service", "refused"),
    [
        ("cart", "cart", None),
        ("cart", "pay", "service_not_permitted"),
        ("cart, pay", "pay", None),
        ("any service", "pay", None),
        ("any service", "not.declared", "service_not_permitted"),
        ("cart", "not.declared", "service_not_permitted"),
    ],
)
def test_only_declared_services_that_the_entry_fronts(fronts, service, refused):
    entry = f"caller prod/pep fronts {fronts} may assert any principal of prod"

    got = permit(entry, question(service=service))

    assert got == refused if refused else isinstance(got, Permission)


@pytest.mark.parametrize(
    ("by", "service", "refused"),
    [
        ("prod/shop/web", "web.shop", None),
        ("prod/shop/web", "shop.web", "service_not_permitted"),
        ("prod/web/shop", "shop.web", None),
        ("prod/shop/web", "cart", None),
        ("prod/shop/web", "pay", "service_not_permitted"),
        ("prod/no/such", "such.no", "service_not_permitted"),
    ],
)
def test_a_template_is_filled_from_the_callers_own_identity_besides_the_names(by, service, refused):
    entry = 'caller prod/{ns}/{sa} fronts "{sa}.{ns}", cart may assert any principal of prod'

    got = permit(entry, question(service=service), by=by)

    assert got == refused if refused else isinstance(got, Permission)


def test_a_name_that_a_template_makes_up_is_no_service():
    snapshot = snapshot_of(f'{SERVICES}caller prod/{{sa}} fronts "{{sa}}.x" may assert any principal of prod')

    rights = rights_of(caller("prod/pep"), snapshot.callers, snapshot.index)

    assert rights.grants[0].services == frozenset({"pep.x"})
    with pytest.raises(NotPermittedError, match="may not ask about this service"):
        rights.permit(question(service="pep.x"), snapshot.index, explain=False)


# -- principals -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asserted", "principal", "granted"),
    [
        ("any principal of prod", "prod/web", True),
        ("any principal of prod", "dev/web", False),
        ("any principal of prod", "-", False),
        ("prod/web", "prod/web", True),
        ("prod/web", "prod/other", False),
        ("prod/web", "prod/pep", False),
        ("itself", "prod/pep", True),
        ("itself", "prod/web", False),
        ("itself", "-", False),
        ("itself, prod/web", "prod/web", True),
        ("itself, prod/web", "prod/pep", True),
        ("itself, prod/web", "prod/third", False),
        ("anyone", "-", True),
        ("any authenticated", "-", False),
        ("claims", "prod/pep", False),
    ],
)
def test_only_principals_that_the_entry_may_assert(asserted, principal, granted):
    got = permit(f"caller prod/pep fronts cart may assert {asserted}", question(principal))

    assert isinstance(got, Permission) if granted else got == "principal_not_permitted"


def test_a_caller_without_assertions_may_not_even_assert_itself():
    assert permit("caller prod/pep fronts cart", question("prod/pep")) == "principal_not_permitted"


# -- attributes, users, explanations ----------------------------------------------------------


@pytest.mark.parametrize(
    ("supplies", "context", "refused"),
    [
        ("source", {"source.ip": "10.0.0.1"}, None),
        ("source", {"source.ip": None}, None),
        ("source", {}, None),
        ("source", {"header.x-a": ("1",)}, "attributes_not_permitted"),
        ("source", {"source.ip": "10.0.0.1", "header.x-a": ("1",)}, "attributes_not_permitted"),
        ("source, header", {"source.ip": "10.0.0.1", "header.x-a": ("1",)}, None),
        ("source", {"user.scope": ("x",)}, "attributes_not_permitted"),
        ("user", {"user.scope": ("x",)}, "claims_not_permitted"),
        ("principal", {"principal.aud": ("x",)}, "claims_not_permitted"),
    ],
)
def test_only_attributes_of_families_that_the_entry_supplies(supplies, context, refused):
    entry = f"caller prod/pep fronts cart may assert any principal of prod supplies {supplies}"

    got = permit(entry, question(context=context))

    assert got == refused if refused else isinstance(got, Permission)


@pytest.mark.parametrize("context", [{"user.scope": ("x",)}, {"principal.aud": ("x",)}, {}])
@pytest.mark.parametrize("user", [None, ALICE])
def test_claims_open_users_and_what_tokens_say(user, context):
    claiming = "caller prod/pep fronts cart may assert any principal of prod, claims"

    assert isinstance(permit(claiming, question(user=user, context=context)), Permission)


def test_a_user_takes_claims():
    assert permit(PEP, question(user=ALICE)) == "claims_not_permitted"
    supplying = "caller prod/pep fronts cart may assert any principal of prod supplies user"
    assert permit(supplying, question(user=ALICE)) == "claims_not_permitted"


@pytest.mark.parametrize("explain", [False, True])
def test_explanations_take_the_right_to_them(explain):
    assert permit(PEP, question(), explain=True) == "explain_not_permitted"
    entitled = "caller prod/pep fronts cart may assert any principal of prod may explain"
    assert permit(entitled, question(), explain=explain).may_explain is True
    assert permit(PEP, question()).may_explain is False


# -- several entries ------------------------------------------------------------------------

ADDING_UP = {
    "service and principal": (
        """caller prod/pep fronts cart may assert prod/a
           caller prod/pep fronts pay may assert prod/b""",
        {"principal": "prod/b", "service": "cart"},
        "principal_not_permitted",
    ),
    "principal and attributes": (
        """caller prod/pep fronts cart may assert prod/a
           caller prod/pep fronts cart may assert prod/b supplies source""",
        {"principal": "prod/a", "context": {"source.ip": "10.0.0.1"}},
        "attributes_not_permitted",
    ),
    "two families": (
        """caller prod/pep fronts cart may assert prod/a supplies source
           caller prod/pep fronts cart may assert prod/a supplies header""",
        {"principal": "prod/a", "context": {"source.ip": "10.0.0.1", "header.x": ("1",)}},
        "attributes_not_permitted",
    ),
    "attributes and a user": (
        """caller prod/pep fronts cart may assert prod/a supplies source
           caller prod/pep fronts cart may assert prod/a, claims""",
        {"principal": "prod/a", "context": {"source.ip": "10.0.0.1"}, "user": ALICE},
        "claims_not_permitted",
    ),
    "attributes and an explanation": (
        """caller prod/pep fronts cart may assert prod/a supplies source
           caller prod/pep fronts cart may assert prod/a may explain""",
        {"principal": "prod/a", "context": {"source.ip": "10.0.0.1"}, "explain": True},
        "explain_not_permitted",
    ),
}


@pytest.mark.parametrize("case", ADDING_UP)
def test_entries_never_add_up_within_one_question(case):
    entries, asked, refused = ADDING_UP[case]
    explain = asked.pop("explain", False) if "explain" in asked else False

    assert permit(entries, question(**asked), explain=explain) == refused


def test_the_second_of_two_entries_may_permit_what_the_first_does_not():
    entries = """caller prod/pep fronts cart may assert prod/a
        caller prod/pep fronts cart may assert prod/a, claims supplies source may explain"""
    asked = question("prod/a", context={"source.ip": "10.0.0.1"}, user=ALICE)

    assert isinstance(permit(entries, asked, explain=True), Permission)


ENTRIES = """caller prod/pep fronts cart may assert prod/a, prod/b supplies source
    caller prod/pep fronts cart may assert prod/a, claims supplies header may explain
    caller prod/pep fronts cart may assert prod/c supplies tls may explain
    caller prod/pep fronts pay may assert prod/a supplies request
"""


@pytest.mark.parametrize(
    ("principal", "supplies", "may_explain"),
    [
        ("prod/a", {"source", "header", "user", "principal"}, True),
        ("prod/b", {"source"}, False),
        ("prod/c", {"tls"}, True),
    ],
)
@pytest.mark.parametrize("context", [{}, {"source.ip": "10.0.0.1"}, {"tls.version": "1.3"}])
def test_what_is_supplied_depends_on_service_and_principal_alone(principal, supplies, may_explain, context):
    """Two questions of one region must not be answered differently for what else they hold."""
    got = permit(ENTRIES, question(principal, context=context))

    if isinstance(got, str):
        assert got == "attributes_not_permitted"
        return
    assert got.supplies == supplies
    assert got.may_explain is may_explain


def test_the_words_of_a_refusal_tell_no_service_apart():
    snapshot = snapshot_of(SERVICES + PEP)
    rights = rights_of(caller(), snapshot.callers, snapshot.index)
    said = []
    for service in ("pay", "not.declared"):
        with pytest.raises(NotPermittedError) as refusal:
            rights.permit(question(service=service), snapshot.index, explain=False)
        said.append((refusal.value.code, refusal.value.message))

    assert said[0] == said[1]
