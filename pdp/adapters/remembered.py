"""Answers to questions that were asked before in the very same words, byte for byte.

What is remembered is all that such a question comes to under one version: that this caller may ask it, the
decision, its region, and the text of it all. What is new in each answer is worked out each time, by the same
code as for any other (`DecisionService.give`): the instant, the age, the quarantine, freshness, its id, its
line in the log, what is counted. How a text is written and completed is the protocol's (`Form`).

docs/caching.md says why that is right, how much of it there is, and what it saves.
"""

import time
from collections import OrderedDict
from typing import Final, Protocol, TypeAlias, final

import msgspec

from pdp.adapters.answer import max_age_of, reuse_of
from pdp.adapters.answer_body import Answer
from pdp.adapters.answering import Told, told
from pdp.identity.caller import Caller
from pdp.limits import MAX_REMEMBERED_BODY_BYTES, MAX_REMEMBERED_TEXT_BYTES
from pdp.service.answered import Settled
from pdp.service.decision_service import DecisionService
from pdp.service.errors import CannotAnswerError, NotPermittedError
from pdp.service.proof import NOTHING
from pdp.vocabulary import Decision, Millis, Request

__all__ = ["NEW", "Form", "New", "RememberedAnswers"]

#: The version's number; of a caller its certificate and the trust that it was verified under, for its rights
#: depend on nothing else; and the body.
_Key: TypeAlias = tuple[int, str, int, bytes]

#: Members that are new in each answer, and what they are.
NEW: Final = ("decision_id", "age_seconds", "max_age_ms", "reuse")
New: TypeAlias = tuple[str, int, Millis, str]


class Form(Protocol):
    """How a protocol writes answers."""

    def whole(self, answer: Answer) -> bytes:
        """An answer."""

    def template(self, answer: Answer) -> bytes:
        """An answer without what is new in each."""

    def completed(self, template: bytes, new: New) -> bytes:
        """The answer that a template becomes."""


class _Known(msgspec.Struct, frozen=True, gc=False):
    """What a question came to; of the version itself nothing, lest an old one be kept in memory for it."""

    request: Request
    decision: Decision
    may_explain: bool
    template: bytes


@final
class RememberedAnswers:
    """Answers by version, caller and body, from the second time on that a caller has asked the same.

    The one that was not asked for longest is let go when there is no more room, one at a time: to let go of
    thousands would stop all others for milliseconds. For one thread, that of the event loop.
    """

    def __init__(self, service: DecisionService, most: int, form: Form) -> None:
        """Remember so many answers at most, written in one form."""
        self._service, self._form, self._most = service, form, most
        self._known: OrderedDict[_Key, _Known] = OrderedDict()
        self._asked_once = _Recently(most)

    def answer(self, caller: Caller, body: bytes) -> bytes | None:
        """Answer a question again; None if it is not remembered, or if there is more to it now.

        Raises:
            OverloadedError: There is too much to do, or this caller asks too often.
            CannotAnswerError: The version is stale, and questions about the service are refused then.
        """
        service = self._service
        published, log = service.versions.current, service.log
        key = (published.number, caller.fingerprint, caller.epoch, body)
        known = self._known.get(key)
        if known is None or service.gate.closed or (log is not None and log.blocks and not log.has_room()):
            return None
        now, decision = service.now(), known.decision
        if not _is_valid(known, now):
            return None
        began = time.perf_counter_ns()
        try:
            service.require_in_force(caller, now)
        except NotPermittedError:
            return None  # the long way says why, and counts it
        service.admission.enter(caller.id)
        try:
            settled = Settled(known.request, decision, published, NOTHING, known.may_explain)
            answered = service.give(caller, settled, now, began)
        except CannotAnswerError as error:
            service.metrics.question_refused(error.code)
            raise
        finally:
            service.admission.leave()
        self._known.move_to_end(key)
        service.metrics.remembered()
        if answered.decision is not decision:
            return self._form.whole(told(Told(answered, explain=False)))
        max_age = max_age_of(decision, now, answered.max_age_ms)
        return self._form.completed(
            known.template, (answered.decision_id, answered.age_seconds, max_age, reuse_of(max_age))
        )

    def remember(self, caller: Caller, body: bytes, about: Told, answer: Answer) -> None:
        """Remember an answer, unless it is the first, or something in it holds for this once."""
        request, decision, published, proof, may_explain = about.answered.settled
        if (
            proof is not NOTHING  # evidence is looked at each time
            or about.explain
            or about.answered.decision is not decision
            or len(body) > MAX_REMEMBERED_BODY_BYTES
            or self._asked_once.is_new(hash((caller.fingerprint, body)))
        ):
            return
        template = self._form.template(answer)
        if len(template) > MAX_REMEMBERED_TEXT_BYTES:
            return
        key = (published.number, caller.fingerprint, caller.epoch, body)
        self._known[key] = _Known(request, decision, may_explain, template)
        self._known.move_to_end(key)  # it may take the place of one that is not valid any more
        if len(self._known) > self._most:
            self._known.popitem(last=False)


def _is_valid(known: _Known, now: Millis) -> bool:
    """Whether a decision holds at an instant: not before it was made either, where the clock was set back."""
    until = known.decision.valid_until
    return known.request.now <= now and (until is None or now < until)


@final
class _Recently:
    """Numbers that came by recently: the last so many, and at most as many before them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._young: set[int] = set()
        self._old: set[int] = set()

    def is_new(self, number: int) -> bool:
        """Whether a number did not come by recently; from now on it did."""
        if number in self._young:
            return False
        new = number not in self._old
        if len(self._young) >= self._most:
            self._young, self._old = set(), self._young
        self._young.add(number)
        return new
