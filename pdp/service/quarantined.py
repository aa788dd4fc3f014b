"""Who is believed no more, as it bears on questions: callers, and whom questions are about.

It only takes away. A caller of whom an entry tells is refused like one that nobody has listed. A question
about such a workload or user, or with such evidence, is denied whatever the rules say, also about a service
that is only observed. What entries are is said in `pdp.identity.quarantine`.

INVARIANT: while entries name workloads or users, no region reaches from one of these to another: an answer
about somebody else must not be used again for whom an entry is about.
"""

from typing import Final

from pdp.compiler.atoms import ExactAtom, SetAtom
from pdp.engine.explanation import Explanation, Problem
from pdp.engine.region import for_this_principal, for_this_user
from pdp.identity.caller import Caller
from pdp.identity.quarantine.entries import Entry
from pdp.identity.quarantine.lists import Quarantine
from pdp.identity.quarantine.workloads import WorkloadPattern
from pdp.index.principals import Principals
from pdp.service.proof import Proof
from pdp.vocabulary import Decision, Effect, Millis, Reason, Request

__all__ = ["DENIED", "entry_about", "entry_of_caller", "explained", "named_in", "narrowed"]

#: For this very request: what it is about may be lifted at any moment.
DENIED: Final = Decision(
    effect=Effect.DENY, reason=Reason.QUARANTINED, enforced=True, rules=(), region=None, valid_until=None,
    obligations=(), shadow=None,
)  # fmt: skip


def entry_of_caller(quarantine: Quarantine, caller: Caller, now: Millis) -> Entry | None:
    """The entry that is about a caller, by its name or by its certificate."""
    found = quarantine.workload(caller.id, caller.trust_domain, caller.segments, now)
    if found is None and caller.serial:
        found = quarantine.certificate(caller.trust_domain, caller.serial, now)
    return found


def entry_about(quarantine: Quarantine, request: Request, proof: Proof, now: Millis) -> Entry | None:
    """The entry that is about whom a question is about, or about the evidence of that, at an instant."""
    principal, user = request.principal, request.user
    found = quarantine.workload(principal.id, principal.trust_domain, principal.segments, now)
    if found is None and proof.serial:
        found = quarantine.certificate(principal.trust_domain, proof.serial, now)
    if found is None and user is not None:
        found = quarantine.subject(user.issuer, user.subject, now)
    for token in proof.tokens:
        found = found or quarantine.token(*token, now)
    return found


def narrowed(decision: Decision, request: Request, quarantine: Quarantine) -> Decision:
    """A decision with a region of nobody else but whom it was asked about."""
    if quarantine.names_workloads:
        decision = for_this_principal(decision, request.principal.id)
    return for_this_user(decision, request.user) if quarantine.names_users else decision


def explained(entry: Entry) -> Explanation:
    """What an entry comes to, for whoever may know."""
    kind, value = entry.target
    sentence = f"`{kind}` {value} is quarantined until {entry.until} by {entry.who}: {entry.why} ({entry.id})"
    return Explanation(considered=(), nearest=None, problem=Problem(code="quarantined", sentence=sentence))


def named_in(pattern: WorkloadPattern, principals: Principals) -> int:
    """How many identities that policies name are in a pattern; slow."""
    found = set[str]()
    for atom in principals.numbers():
        terms = (*atom.terms, *atom.excluded) if isinstance(atom, SetAtom) else (atom,)
        found.update(term.id for term in terms if isinstance(term, ExactAtom))
    return sum(pattern.holds_id(id_) for id_ in found)
