"""The caller table, applied: one entry permits all of a question; rights end with what they rest on."""

from typing import Any

import msgspec
import pytest

from pdp.identity.caller import Caller, CallerKind
from pdp.limits import MAX_AGE_LIMIT_MS, MAX_RIGHTS_CACHED
from pdp.principals import ANONYMOUS, Principal, dns_principal, spiffe_principal
from pdp.service.authorization import as_principal, rights_of
from pdp.service.decision_service import DecisionService
from pdp.service.errors import CannotAnswerError, NotPermittedError
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from pdp.store.publish import Publisher
from pdp.store.snapshot import Snapshot
from pdp.vocabulary import Effect, EvidenceKind, Request, User

NOW = 1_800_000_000_000
POLICY = """\
language 1
trust domain prod = "prod.example.org"
trust domain other = "other.example.org"
issuer corp = "https://corp.example.com"
issuer other = "https://other.example.com"
service a { allow prod/** to GET /** as a }
service b { allow prod/** to GET /** as b }
service x.y { allow prod/** to GET /** as xy }

caller prod/split fronts a may assert any principal of prod supplies source
caller prod/split fronts b may assert any principal of other supplies header
caller prod/split fronts b may assert prod/only may explain supplies source, user
caller prod/all fronts any service may assert any principal of prod, claims supplies source
caller prod/self fronts a may assert itself supplies source
caller prod/edge fronts a may present jwt-svid of prod/web, prod/only may present xfcc of prod/web
    may present user-token of corp supplies header may present xfcc of prod/second
caller prod/edge fronts a may present certificate of prod/web
caller prod/edge fronts b may present jwt-svid of prod/web may present user-token of other
caller prod/edge fronts a may assert prod/named supplies user
caller prod/{n}/of/{s} fronts "{s}.{n}" may assert any principal of prod supplies source
"""


def load(text: str = POLICY) -> tuple[Loader, Snapshot]:
    loader = Loader()
    loaded = loader.load(make_bundle({"a.policy": text.encode()}), now=NOW)
    assert loaded.snapshot is not None, loaded.diagnostics
    return loader, loaded.snapshot


def caller(path: str, **changes: Any) -> Caller:
    made = Caller(
        kind=CallerKind.SPIFFE, id=f"spiffe://prod.example.org/{path}", trust_domain="prod.example.org",
        segments=tuple(path.split("/")), fingerprint=path, not_after=NOW + 60_000, epoch=1, serial="",
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def prod(path: str = "web") -> Principal:
    return spiffe_principal(f"spiffe://prod.example.org/{path}")


OTHER = spiffe_principal("spiffe://other.example.org/web")
B_OTHER = {"service": "b", "principal": OTHER}
B_ONLY = {"service": "b", "principal": prod("only")}


def request(**what: Any) -> Request:
    return Request(**{"principal": prod(), "service": "a", "method": "GET", "path": "/x", "now": NOW, **what})


def permitted(
    who: str,
    *,
    explain: bool = False,
    kind: EvidenceKind | None = None,
    proven_user: bool = False,
    **what: Any,
) -> str:
    """What becomes of a question: `""`, or the code of the refusal."""
    _, snapshot = load()
    rights = rights_of(caller(who), snapshot.callers, snapshot.index)
    try:
        rights.permit(request(**what), snapshot.index, explain=explain, kind=kind, proven_user=proven_user)
    except NotPermittedError as error:
        return error.code
    return ""


@pytest.mark.parametrize(
    ("who", "what", "code"),
    [
        ("split", {}, ""),
        ("split", B_OTHER, ""),
        # Two entries that together would permit it do not.
        ("split", {"service": "b"}, "principal_not_permitted"),
        ("split", {"principal": OTHER}, "principal_not_permitted"),
        ("split", {"context": {"header.x-a": ("b",)}}, "attributes_not_permitted"),
        ("split", {**B_OTHER, "context": {"source.ip": "10.0.0.1"}}, "attributes_not_permitted"),
        ("split", {"explain": True}, "explain_not_permitted"),
        ("split", {**B_ONLY, "explain": True}, ""),
        ("split", {"service": "x.y"}, "service_not_permitted"),
        ("split", {"service": "no"}, "service_not_permitted"),
        # What a user or a token claims takes `claims`, whatever families are supplied.
        ("split", {**B_ONLY, "context": {"user.email": "a@b"}}, "claims_not_permitted"),
        ("split", {**B_ONLY, "user": User(issuer="i", subject="s")}, "claims_not_permitted"),
        ("all", {"context": {"user.email": "a@b", "principal.iss": "x"}}, ""),
        ("all", {"user": User(issuer="i", subject="s")}, ""),
        ("all", {"service": "no"}, "service_not_permitted"),
        ("all", {"principal": ANONYMOUS}, "principal_not_permitted"),
        ("all", {"principal": dns_principal("a.example.com")}, "principal_not_permitted"),
        ("self", {"principal": prod("self")}, ""),
        ("self", {}, "principal_not_permitted"),
        ("y/of/x", {"service": "x.y"}, ""),
        ("x/of/y", {"service": "x.y"}, "service_not_permitted"),
        ("y/of/x", {}, "service_not_permitted"),
    ],
)  # fmt: skip
def test_one_entry_permits_all_of_it_or_none_does(who: str, what: dict[str, Any], code: str) -> None:
    assert permitted(who, **what) == code


NO_EVIDENCE = "evidence_not_permitted"
CORP = User(issuer="https://corp.example.com", subject="alice")
OTHERS = User(issuer="https://other.example.com", subject="alice")


@pytest.mark.parametrize(
    ("kind", "what", "code"),
    [
        (EvidenceKind.JWT_SVID, {}, ""),
        (EvidenceKind.XFCC, {}, ""),
        (EvidenceKind.CERTIFICATE, {}, ""),
        # What a kind may prove is its own, and what may be named another thing.
        (EvidenceKind.XFCC, {"principal": prod("second")}, ""),
        (EvidenceKind.XFCC, {"principal": prod("only")}, "principal_not_permitted"),
        (EvidenceKind.JWT_SVID, {"principal": prod("named")}, "principal_not_permitted"),
        (None, {}, "principal_not_permitted"),
        (None, {"principal": prod("named")}, ""),
        (EvidenceKind.XFCC, {"service": "b"}, "principal_not_permitted"),
        (EvidenceKind.JWT_SVID, {"service": "b"}, ""),
        # Users, by one entry with the principal.
        (EvidenceKind.JWT_SVID, {"user": CORP, "proven_user": True}, ""),
        (EvidenceKind.JWT_SVID, {"user": OTHERS, "proven_user": True}, NO_EVIDENCE),
        (EvidenceKind.JWT_SVID, {"user": OTHERS, "proven_user": True, "service": "b"}, ""),
        (
            EvidenceKind.JWT_SVID,
            {"user": CORP, "proven_user": True, "service": "b"},
            NO_EVIDENCE,
        ),
        (EvidenceKind.CERTIFICATE, {"user": CORP, "proven_user": True}, NO_EVIDENCE),
        (None, {"principal": prod("named"), "user": CORP, "proven_user": True}, NO_EVIDENCE),
        # A right to show tokens is no right to say what they say.
        (EvidenceKind.JWT_SVID, {"user": CORP}, "claims_not_permitted"),
        (EvidenceKind.JWT_SVID, {"context": {"user.email": "a@b"}}, "claims_not_permitted"),
        (EvidenceKind.JWT_SVID, {"context": {"principal.iss": "x"}}, "attributes_not_permitted"),
        (EvidenceKind.JWT_SVID, {"context": {"header.x-a": ("b",)}}, ""),
        (EvidenceKind.CERTIFICATE, {"context": {"header.x-a": ("b",)}}, "attributes_not_permitted"),
    ],
)
def test_one_entry_permits_evidence_and_all_the_rest(
    kind: EvidenceKind | None, what: dict[str, Any], code: str
) -> None:
    assert permitted("edge", kind=kind, **what) == code


def test_who_presents_tokens_of_users_supplies_what_they_claim() -> None:
    _, snapshot = load()
    rights = rights_of(caller("edge"), snapshot.callers, snapshot.index)

    token = rights.permit(request(), snapshot.index, explain=False, kind=EvidenceKind.JWT_SVID)
    certificate = rights.permit(request(), snapshot.index, explain=False, kind=EvidenceKind.CERTIFICATE)

    assert token.supplies == {"user", "header"}
    assert certificate.supplies == frozenset()


@pytest.mark.parametrize(
    ("who", "kind", "user_token", "may"),
    [
        ("edge", EvidenceKind.JWT_SVID, True, True),
        ("edge", EvidenceKind.CERTIFICATE, False, True),
        ("edge", EvidenceKind.CERTIFICATE, True, False),  # no entry of the three has both
        ("edge", None, True, True),
        ("all", EvidenceKind.JWT_SVID, False, False),
        ("all", None, True, False),
    ],
)
def test_evidence_is_looked_at_only_for_those_who_may_present_it(
    who: str, kind: EvidenceKind | None, *, user_token: bool, may: bool
) -> None:
    _, snapshot = load()
    rights = rights_of(caller(who), snapshot.callers, snapshot.index)

    assert rights.may_present(kind, user_token=user_token) is may


def test_caller_of_no_entry_has_no_grant() -> None:
    _, snapshot = load()
    assert rights_of(caller("nobody"), snapshot.callers, snapshot.index).grants == ()


def test_caller_is_no_principal_by_itself() -> None:
    assert as_principal(caller("split")) == prod("split")
    assert caller("split") != prod("split")


# -- the service -----------------------------------------------------------------------


class Clock:
    now = NOW

    def __call__(self) -> int:
        return self.now


def decisions(clock: Clock, **options: Any) -> tuple[DecisionService, Loader]:
    loader, snapshot = load()
    publisher = Publisher(loader, snapshot, on_event=lambda _: None, now=NOW)
    return DecisionService(publisher, clock=clock, **options), loader


def test_rights_end_with_the_last_instant_of_the_chain() -> None:
    service, _ = decisions(Clock())
    who = caller("all")

    service.rights(who, service.versions.current, who.not_after)  # RFC 5280: inclusive
    with pytest.raises(NotPermittedError) as refused:
        service.rights(who, service.versions.current, who.not_after + 1)
    assert refused.value.code == "caller_expired"


def test_rights_follow_the_version() -> None:
    service, _ = decisions(Clock())
    before = service.versions.current
    service.rights(caller("all"), before, NOW)

    service.versions.offer(
        make_bundle({"a.policy": POLICY.replace("caller prod/all", "caller prod/none").encode()}), NOW
    )

    with pytest.raises(NotPermittedError) as refused:
        service.rights(caller("all"), service.versions.current, NOW)
    assert refused.value.code == "caller_not_listed"
    assert service.rights(caller("all"), before, NOW).grants


def test_rights_of_one_certificate_are_not_those_of_another() -> None:
    service, _ = decisions(Clock())
    current = service.versions.current

    assert (
        service.rights(caller("all"), current, NOW).grants
        != service.rights(caller("self"), current, NOW).grants
    )
    assert service.rights(caller("self", epoch=2), current, NOW).grants


def test_rights_kept_have_a_bound() -> None:
    service, _ = decisions(Clock())
    for number in range(MAX_RIGHTS_CACHED + 10):
        service.rights(caller("all", fingerprint=str(number)), service.versions.current, NOW)

    assert len(service._rights) == MAX_RIGHTS_CACHED


@pytest.mark.parametrize(
    ("left", "limit", "most"),
    [(60_000, MAX_AGE_LIMIT_MS, MAX_AGE_LIMIT_MS), (60_000, 10, 10), (7, 10, 7), (0, 10, 0)],
)
def test_reuse_is_bounded_by_operator_and_evidence(left: int, limit: int, most: int) -> None:
    service, _ = decisions(Clock(), max_age_ms=limit)

    answered = service.answer(caller("all", not_after=NOW + left), service.versions.current, NOW, request())

    assert answered.max_age_ms == most
    assert answered.decision.effect is Effect.ALLOW


def test_decision_is_made_with_the_families_that_the_entry_supplies() -> None:
    service, _ = decisions(Clock())
    claimed = request(supplied=frozenset({"tls"}))

    answered = service.answer(caller("all"), service.versions.current, NOW, claimed)

    assert answered.request.supplied == {"source", "user", "principal"}


def test_age_counts_from_the_last_confirmation_and_is_never_negative() -> None:
    service, _ = decisions(Clock())
    for later, age in ((0, 0), (999, 0), (1000, 1), (61_000, 61), (-5000, 0)):
        answered = service.answer(
            caller("all", not_after=NOW + 100_000), service.versions.current, NOW + later, request()
        )
        assert answered.age_seconds == age
    service.versions.confirm(NOW + 60_000)
    answered = service.answer(
        caller("all", not_after=NOW + 100_000), service.versions.current, NOW + 61_000, request()
    )
    assert answered.age_seconds == 1


def test_answer_comes_whole_from_the_version_it_was_given() -> None:
    service, _ = decisions(Clock())
    before = service.versions.current
    service.versions.offer(make_bundle({"a.policy": POLICY.replace("allow", "deny").encode()}), NOW)

    old = service.answer(caller("all"), before, NOW, request())
    new = service.answer(caller("all"), service.versions.current, NOW, request())

    assert (old.decision.effect, new.decision.effect) == (Effect.ALLOW, Effect.DENY)
    assert (old.published.number, new.published.number) == (1, 2)


def test_floor_is_what_was_published_and_nothing_else() -> None:
    service, _ = decisions(Clock())
    first = service.versions.current.snapshot.revision
    service.versions.offer(make_bundle({"a.policy": (POLICY + "# x\n").encode()}), NOW)
    bad = service.versions.offer(make_bundle({"a.policy": b"language 1\nallow"}), NOW)

    service.require_revision(first)
    service.require_revision(service.versions.current.snapshot.revision)
    for unseen in ("", "0" * 16, first[:-1], first.upper() + "x"):
        with pytest.raises(CannotAnswerError):
            service.require_revision(unseen)
    assert bad.loaded.snapshot is None


ATTRIBUTES = """\
language 1
trust domain prod = "prod.example.org"
service a {
    allow anyone to GET /x
    deny anyone to any /x when has header.x-debug
    allow anyone to GET /plain
}
"""
PINNED = "spiffe://prod.example.org/one"


@pytest.mark.parametrize(
    ("entries", "path", "principal"),
    [
        (("prod/one supplies header", "prod/two supplies source"), "/x", PINNED),
        (("prod/one supplies header", "prod/two"), "/x", PINNED),
        (("prod/one supplies header", "prod/two supplies header"), "/x", None),
        (("prod/one, prod/two supplies header",), "/x", None),
        (("prod/one supplies header", "prod/two supplies source"), "/plain", None),
    ],
)
def test_a_region_that_read_attributes_is_of_one_principal_if_others_come_with_other_families(
    entries, path, principal
):
    table = "".join(f"caller prod/pep fronts a may assert {entry}\n" for entry in entries)
    loader, snapshot = load(ATTRIBUTES + table)
    service = DecisionService(
        Publisher(loader, snapshot, on_event=lambda _: None, now=NOW), clock=lambda: NOW
    )
    asked = Request(
        principal=spiffe_principal(PINNED), service="a", method="GET", path=path, now=NOW, user=None,
        context={}, supplied=frozenset(),
    )  # fmt: skip

    answered = service.answer(caller("pep"), service.versions.current, NOW, asked)

    assert answered.decision.effect is Effect.ALLOW
    assert answered.decision.region is not None
    assert answered.decision.region.principal == principal
