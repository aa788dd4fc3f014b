"""The one way to a decision, whatever protocol the question came by.

Adapters turn bytes into a `Request`; what happens to it then (who may ask, under which
version, how old that is) is the same for all and happens here.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, final

from pdp.audit.decision_log import DecisionLog
from pdp.audit.record import Entry
from pdp.engine.decide import OVERRIDES, decide
from pdp.engine.region import covers_service, for_one_principal
from pdp.identity.caller import Caller
from pdp.identity.quarantine.lists import NOBODY, Quarantine
from pdp.limits import (
    DEFAULT_CONNECTION_SECONDS,
    DEFAULT_IN_FLIGHT,
    MAX_AGE_LIMIT_MS,
    MAX_RIGHTS_CACHED,
)
from pdp.service.admission import Admission
from pdp.service.answered import Answered, Seen, Settled
from pdp.service.authorization import Rights, rights_of
from pdp.service.errors import CannotAnswerError, EvidenceRefusedError, NotPermittedError
from pdp.service.evidence import Verifier
from pdp.service.gate import Gate
from pdp.service.ids import DecisionIds
from pdp.service.metrics import Metrics
from pdp.service.proof import NOTHING, TOKENS, Presented, Proof, claimed
from pdp.service.quarantined import DENIED, entry_about, entry_of_caller, narrowed
from pdp.service.revisions import Revisions
from pdp.store.freshness import UNLIMITED, Freshness
from pdp.store.versions import Published, Versions
from pdp.vocabulary import Decision, Effect, EvidenceKind, Millis, Reason, Request

__all__ = ["DecisionService"]

#: Denied where everything at once was asked for, and something of it is not known to be allowed.
_NOT_ALL: Final = Decision(
    effect=Effect.DENY, reason=Reason.NO_RULE_MATCHED, enforced=True, rules=(), region=None, valid_until=None,
    obligations=(), shadow=None,
)  # fmt: skip
#: For this very request: the next confirmation may come at any moment.
_STALE: Final = Decision(
    effect=Effect.DENY, reason=Reason.STALE, enforced=True, rules=(), region=None, valid_until=None,
    obligations=(), shadow=None,
)  # fmt: skip


@final
class DecisionService:
    """Answers questions of authenticated callers under the current version.

    Every request reads the clock once and takes the current version once; all of its answer
    comes from that version.

    Attributes:
        max_age_ms: How long a region may be reused at most.
        freshness: How old the last confirmation of a version may be. One reference, replaced whole.
        connection_seconds: How old a connection becomes, whatever its protocol.
    """

    def __init__(  # noqa: PLR0913 -- what a service is made of, all by keyword
        self,
        versions: Versions,
        *,
        clock: Callable[[], Millis],
        max_age_ms: Millis = MAX_AGE_LIMIT_MS,
        metrics: Metrics | None = None,
        admission: Admission | None = None,
        log: DecisionLog | None = None,
        connection_seconds: float = DEFAULT_CONNECTION_SECONDS,
        freshness: Freshness = UNLIMITED,
        verifier: Verifier | None = None,
        quarantine: Callable[[], Quarantine] = lambda: NOBODY,
    ) -> None:
        """A service over what `versions` serves.

        Args:
            versions: What is served.
            clock: The wall clock.
            max_age_ms: How long a region may be reused at most.
            metrics: Where everything is counted; its own if none is given.
            admission: Who is let in; by default so many at a time, and callers as often as they like.
            log: Where decisions are logged, if they are.
            connection_seconds: How old a connection becomes, whatever its protocol.
            freshness: How old the last confirmation of a version may be, for each service.
            verifier: Looks at evidence, if any is believed.
            quarantine: Gives who is believed no more.
        """
        self.metrics: Final = metrics or Metrics()
        self.admission: Final = admission or Admission(
            in_flight=DEFAULT_IN_FLIGHT,
            per_second=0,
            clock=time.monotonic,
            shed=self.metrics.question_shed,
        )
        self.log: Final = log
        self.connection_seconds = connection_seconds
        self.max_age_ms = max_age_ms
        self.freshness = freshness
        #: Closed while all processes that serve change over to a new version.
        self.gate: Final = Gate()
        self._versions = versions
        self._revisions = Revisions(versions)
        self._clock = clock
        self._ids = DecisionIds()
        self._verifier = verifier
        self._quarantine = quarantine
        # Key: the verified certificate and the version. Both are part of what rights depend on, so
        # nothing has to be invalidated; a new version means new keys. Errors are not kept.
        # Looked up for each question: `OrderedDict` does that in C, an LRU of `cachetools` does not.
        self._rights: OrderedDict[tuple[str, int, int], Rights] = OrderedDict()

    @property
    def versions(self) -> Versions:
        """What is served."""
        return self._versions

    @property
    def revisions(self) -> Revisions:
        """For whoever wants to follow versions; rung by whoever publishes."""
        return self._revisions

    @property
    def quarantine(self) -> Quarantine:
        """Who is believed no more."""
        return self._quarantine()

    def now(self) -> Millis:
        """The instant to decide at."""
        return self._clock()

    def rights(self, caller: Caller, published: Published, now: Millis) -> Rights:
        """What a caller may ask under a version.

        Raises:
            NotPermittedError: The caller's certificate has expired, or no entry names it.
        """
        self.require_in_force(caller, now)
        key = (caller.fingerprint, caller.epoch, published.number)
        rights = self._rights.get(key)
        if rights is None:
            snapshot = published.snapshot
            rights = self._rights[key] = rights_of(caller, snapshot.callers, snapshot.index)
            if len(self._rights) > MAX_RIGHTS_CACHED:
                self._rights.popitem(last=False)
        else:
            self._rights.move_to_end(key)
        if not rights.grants:
            raise NotPermittedError(
                "caller_not_listed", "no caller entry of the policy set names this caller"
            )
        return rights

    def require_in_force(self, caller: Caller, now: Millis) -> None:
        """Check that a caller is one at this instant.

        Raises:
            NotPermittedError: Its certificate has expired, or it is quarantined.
        """
        if now > caller.not_after:
            message = (
                "the certificate of this caller has expired, or the revocation list of its authority has"
            )
            raise NotPermittedError("caller_expired", message)
        self.require_free(caller, now)

    def require_free(self, caller: Caller, now: Millis) -> None:
        """Check that no entry of the quarantine is about a caller.

        Raises:
            NotPermittedError: One is.
        """
        quarantine = self._quarantine()
        if quarantine.entries and entry_of_caller(quarantine, caller, now) is not None:
            # Not by which entry, nor until when: perhaps it is told to a thief.
            raise NotPermittedError("caller_quarantined", "this caller is quarantined")

    def prove(self, caller: Caller, published: Published, now: Millis, presented: Presented) -> Proof:
        """What the evidence that a caller presents proves.

        Raises:
            NotPermittedError: It may not present such.
            EvidenceRefusedError: It proves nothing.
        """
        rights = self.rights(caller, published, now)
        kinds = self._kinds(presented, rights)
        with_user = presented.user_token is not None
        if not any(rights.may_present(kind, user_token=with_user) for kind in kinds):
            message = "this caller may not present this kind of evidence"
            raise NotPermittedError("evidence_not_permitted", message)
        if self._verifier is None:
            raise EvidenceRefusedError("no evidence is verified here")
        return self._verifier.prove(presented, caller, now)

    def _kinds(self, presented: Presented, rights: Rights) -> frozenset[EvidenceKind | None]:
        """As which kinds its evidence counts; of who may present no token none is taken apart."""
        any_token = any(rights.may_present(kind, user_token=False) for kind in TOKENS)
        if presented.kind not in TOKENS or self._verifier is None or not any_token:
            return frozenset({presented.kind})
        return self._verifier.kinds(presented)

    async def look(self, caller: Caller, refused: Sequence[Presented]) -> list[bool]:
        """Look for newer keys or ask clusters, where evidence was refused for that; for each, whether."""
        if self._verifier is None:
            return [False] * len(refused)
        with self.admission.aside(len(refused)):
            return await self._verifier.look(refused, caller.id)

    def answer(  # noqa: PLR0913 -- what a question may bring with it, all by keyword
        self,
        caller: Caller,
        published: Published,
        now: Millis,
        request: Request,
        *,
        explain: bool = False,
        proof: Proof = NOTHING,
        seen: Seen | None = None,
        rights: Rights | None = None,
    ) -> Answered:
        """Decide one question.

        Args:
            caller: Who asks.
            published: The version.
            now: The instant.
            request: The question, with what was proven of principal and user.
            explain: Whether an explanation is asked for.
            proof: What its evidence proves.
            seen: What a proxy has seen, where it asks in its own protocol. Attributes are then those that it
                happens to have, and what its entry does not supply is left out, and not refused.
            rights: What `rights` has said of this caller, version and instant, if it was asked already.

        Raises:
            NotPermittedError: The caller may not ask it.
            CannotAnswerError: The version is stale, and questions about the service are refused then.
        """
        began = time.perf_counter_ns()
        if rights is None:
            rights = self.rights(caller, published, now)
        settled = self.settle(rights, published, now, request, explain=explain, proof=proof, seen=seen)
        return self.give(caller, settled, now, began)

    def settle(
        self,
        rights: Rights,
        published: Published,
        now: Millis,
        request: Request,
        *,
        explain: bool,
        proof: Proof,
        seen: Seen | None,
    ) -> Settled:
        """Decide one question, as it holds under a version; see `answer`.

        Raises:
            NotPermittedError: The caller may not ask it.
        """
        index = published.snapshot.index
        permission = rights.permit(
            request,
            index,
            explain=explain,
            kind=proof.kind,
            proven_user=proof.user is not None,
            offered=seen is not None,
        )
        context, supplied = request.context, permission.supplies
        if seen is not None:
            context = {  # an override of the method is looked at, whoever supplies it
                name: value
                for name, value in context.items()
                if name.partition(".")[0] in supplied or name in OVERRIDES
            }
            supplied &= seen.families
        if proof is not NOTHING:
            context, supplied = claimed(proof, context, supplied, index)
        asked = Request(
            principal=request.principal,
            service=request.service,
            method=request.method,
            path=request.path,
            now=now,
            user=request.user,
            context=context,
            supplied=supplied,
        )
        decision = decide(index, asked)
        if permission.of_principal:
            decision = for_one_principal(decision, asked.principal.id)
        if seen is not None and seen.everything and not covers_service(decision.region):
            decision = _NOT_ALL
        return Settled(asked, decision, published, proof, permission.may_explain)

    def give(self, caller: Caller, settled: Settled, now: Millis, began: int) -> Answered:
        """Answer what is settled, at an instant before the end of its decision's validity.

        Args:
            caller: Who asks: known to be in force, and the one for whom it was settled.
            settled: The question.
            now: The instant.
            began: When work on it began, by `time.perf_counter_ns`.

        Raises:
            CannotAnswerError: The version is stale, and questions about the service are refused then.
        """
        request, decision, published, proof, _ = settled
        # INVARIANT: of the version that was taken; another may be served by now, confirmed later.
        confirmed_at = published.confirmed.at
        max_age = min(self.max_age_ms, caller.not_after - now, proof.expires - now)
        limit = self.freshness.limit(request.service)
        quarantine = self._quarantine()
        entry = entry_about(quarantine, request, proof, now) if quarantine.entries else None
        if entry is not None:
            decision = DENIED
        elif limit is None or (left := limit.left(confirmed_at, now)) >= 0:
            if quarantine.entries:
                decision = narrowed(decision, request, quarantine)
            if limit is not None:
                max_age = min(max_age, left)  # from sending the question, so no reuse outlives the limit
        elif limit.refuse:
            raise CannotAnswerError("stale", "the policies were confirmed too long ago to answer by them")
        else:
            decision = _STALE
        decision_id = self._ids.new(now)
        self.metrics.decided(request.service, decision, time.perf_counter_ns() - began)
        if self.log is not None:
            snapshot = published.snapshot
            held = "" if entry is None else entry.id
            self.log.record(
                Entry(
                    decision_id, now, caller.id, request, decision, snapshot.index, snapshot.revision,
                    proof.kinds, held,
                )
            )  # fmt: skip
        age_seconds = max(0, now - confirmed_at) // 1000
        return Answered(settled, decision, decision_id, now, age_seconds, max(0, max_age), entry)

    def require_revision(self, revision: str) -> None:
        """Check the floor that a question sets.

        Raises:
            CannotAnswerError: The revision has not been seen here.
        """
        if not self._versions.has_seen(revision):
            raise CannotAnswerError("revision_not_seen", "the revision asked for has not been seen here yet")
