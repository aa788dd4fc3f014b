"""What an authenticated caller may ask: the caller table, applied.

A question is permitted if one entry permits all of it; entries never add up within one
question. Which services exist is not told: a forbidden one and an unknown one are refused
alike.
"""

from collections.abc import (
    Mapping,
    Set,  # noqa: PYI025 -- as a type only
)
from dataclasses import dataclass, field
from typing import Final, NamedTuple, final

from pdp.compiler.callers import CallerEntry
from pdp.identity.caller import Caller, CallerKind
from pdp.identity.local import LocalCaller
from pdp.index.rule_index import RuleIndex
from pdp.principals import Principal, PrincipalKind
from pdp.service.errors import NotPermittedError
from pdp.vocabulary import EvidenceKind, Request

__all__ = ["Grant", "Permission", "Rights", "as_principal", "rights_of"]

_NOBODY: Final = frozenset[int]()
_NONE: Final = frozenset[str]()
_CLAIMED: Final = frozenset({"user", "principal"})  # families of attributes that come from tokens

#: The checks of one entry, in their order; each is tried of those entries alone that stood the ones before.
_OF_PRINCIPAL, _OF_ATTRIBUTES, _OF_TOKEN, _OF_CLAIMS, _OF_EXPLANATION, _PERMITTED = range(6)


class Permission(NamedTuple):
    """What holds for the answer to a permitted question.

    It depends on service and principal alone, never on the rest of the question or on the order of
    entries: otherwise two questions of one region could be answered differently.

    Attributes:
        supplies: Families of attributes that the caller supplies.
        may_explain: Whether the caller may learn more of rules than their names and places.
        of_principal: Whether the caller supplies other families for some other principal.
    """

    supplies: frozenset[str]
    may_explain: bool
    of_principal: bool


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One entry of the caller table, for one caller.

    Attributes:
        services: Services it may ask about, or None for every one.
        asserts: Numbers of atoms that asserted principals may be in.
        itself: The caller's id, where it may be the principal; else None.
        claims: Whether users and claims may be asserted.
        presents: Numbers of atoms whose principals evidence of a kind may prove.
        user_tokens: Issuers whose tokens may name the user.
        explain: Whether explanations may be asked for.
        supplies: Families of attributes that the caller supplies.
    """

    services: frozenset[str] | None
    asserts: frozenset[int]
    itself: str | None
    claims: bool
    presents: Mapping[EvidenceKind, frozenset[int]]
    user_tokens: frozenset[str]
    explain: bool
    supplies: frozenset[str]
    #: What holds where it is the only one about a service.
    alone: Permission = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        alone = Permission(supplies=self.supplies, may_explain=self.explain, of_principal=False)
        object.__setattr__(self, "alone", alone)

    def reached(
        self,
        request: Request,
        atoms: tuple[int, ...],
        families: Set[str],
        kind: EvidenceKind | None,
        explain: bool,  # noqa: FBT001 -- as above
        proven_user: bool,  # noqa: FBT001 -- as above
    ) -> int:
        """How far a question comes by this entry: the check that it fails, or `_PERMITTED`.

        INVARIANT: no check looks at what another entry says. So of several entries the one that a question
        comes furthest by tells what it is refused for.
        """
        if kind is None:
            if request.principal.id != self.itself and self.asserts.isdisjoint(atoms):
                return _OF_PRINCIPAL
        elif self.presents.get(kind, _NOBODY).isdisjoint(atoms):
            return _OF_PRINCIPAL
        if not families <= self.supplies:
            return _OF_ATTRIBUTES
        user = request.user
        if proven_user and user is not None and user.issuer not in self.user_tokens:
            return _OF_TOKEN
        # Whatever an entry supplies: what a user or a token is said to claim takes `claims`.
        claims = (user is not None and not proven_user) or not _CLAIMED.isdisjoint(families)
        if claims and not self.claims:
            return _OF_CLAIMS
        return _OF_EXPLANATION if explain and not self.explain else _PERMITTED


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """Everything that one caller may ask under one index."""

    grants: tuple[Grant, ...]
    #: Of them those about a service, by the services that were asked about and that there are.
    _about: dict[str, tuple[Grant, ...]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def only_service(self) -> str | None:
        """The service that its entries name, where they name just one; templates in them are filled."""
        named: set[str] = set()
        for grant in self.grants:
            if grant.services is None:
                return None
            named |= grant.services
        return named.pop() if len(named) == 1 else None

    def about(self, service: str) -> tuple[Grant, ...]:
        """The grants about a service of the index that these rights are for."""
        found = self._about.get(service)
        if found is None:
            found = self._about[service] = tuple(
                grant for grant in self.grants if grant.services is None or service in grant.services
            )
        return found

    def may_present(self, kind: EvidenceKind | None, *, user_token: bool) -> bool:
        """Whether some single entry says that such evidence may be presented: else nobody looks at it."""
        return any(
            (kind is None or kind in grant.presents) and (not user_token or grant.user_tokens)
            for grant in self.grants
        )

    def permit(
        self,
        request: Request,
        index: RuleIndex,
        *,
        explain: bool,
        kind: EvidenceKind | None = None,
        proven_user: bool = False,
        offered: bool = False,
    ) -> Permission:
        """Check that a question may be asked.

        Args:
            request: The question, with what was proven of principal and user, and the attributes that
                the caller gives; its `supplied` is not looked at.
            index: The index that it will be decided under.
            explain: Whether an explanation is asked for.
            kind: By which kind of evidence the principal was proven; None if the caller asserts it.
            proven_user: Whether a token has proven the user.
            offered: Whether attributes are only what the caller happens to have: those that the entry does
                not supply are left out then, by whoever asks this.

        Raises:
            NotPermittedError: No single entry permits all of it.
        """
        about = self.about(request.service) if request.service in index.services else ()
        if not about:
            raise NotPermittedError("service_not_permitted", "this caller may not ask about this service")
        atoms = index.principals.atoms(request.principal)
        families = (
            _NONE if offered or not request.context else {name.partition(".")[0] for name in request.context}
        )
        if len(about) == 1:  # as for most callers
            found = about[0].reached(request, atoms, families, kind, explain, proven_user)
            if found < _PERMITTED:
                raise _refused(found)
            return about[0].alone
        reached = [grant.reached(request, atoms, families, kind, explain, proven_user) for grant in about]
        furthest = max(reached)
        if furthest < _PERMITTED:
            raise _refused(furthest)
        asserting = [grant for grant, found in zip(about, reached, strict=True) if found > _OF_PRINCIPAL]
        permitting = [grant for grant, found in zip(about, reached, strict=True) if found == _PERMITTED]
        supplied = [max(permitting, key=lambda grant: len(grant.supplies))] if offered else asserting
        return Permission(
            supplies=frozenset().union(*(grant.supplies for grant in supplied)),
            may_explain=any(grant.explain for grant in asserting),
            of_principal=any(grant.supplies != about[0].supplies for grant in about),
        )


def _refused(check: int) -> NotPermittedError:
    """What is said where a question fails at a check."""
    if check == _OF_PRINCIPAL:
        return NotPermittedError("principal_not_permitted", "this caller may not ask about this principal")
    if check == _OF_ATTRIBUTES:
        message = "this caller's entry does not supply these attributes"
        return NotPermittedError("attributes_not_permitted", message)
    if check == _OF_TOKEN:
        message = "this caller may not present tokens of this issuer"
        return NotPermittedError("evidence_not_permitted", message)
    if check == _OF_CLAIMS:
        return NotPermittedError("claims_not_permitted", "this caller may not assert a user or claims")
    return NotPermittedError("explain_not_permitted", "this caller may not ask for explanations")


def as_principal(caller: Caller) -> Principal:
    """The caller's identity in the form that patterns are matched against.

    For the caller table alone: a caller is never the principal of a question because it asked.
    """
    kind = PrincipalKind.SPIFFE if caller.kind is CallerKind.SPIFFE else PrincipalKind.DNS
    return Principal(kind=kind, id=caller.id, trust_domain=caller.trust_domain, segments=caller.segments)


def rights_of(caller: Caller, entries: tuple[CallerEntry, ...], index: RuleIndex) -> Rights:
    """What the caller table grants to a caller."""
    atoms = set(index.principals.atoms(as_principal(caller)))
    grants = []
    for entry in entries:
        if entry.who not in atoms:
            continue
        services = entry.services
        if services is not None and entry.templates:
            services |= {template.fill(caller.segments) for template in entry.templates}
        grants.append(
            Grant(
                services=services,
                asserts=entry.asserts,
                itself=caller.id if entry.itself else None,
                claims=entry.claims,
                presents=entry.presents,
                user_tokens=entry.user_tokens,
                # Whoever shows no certificate is told nothing of rules, whatever its entry says.
                explain=entry.explain and not isinstance(caller, LocalCaller),
                supplies=entry.supplies,
            )
        )
    return Rights(grants=tuple(grants))
