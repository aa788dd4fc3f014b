"""Answers to questions that were asked before in the very same words, byte for byte.

What is remembered is all that such a question comes to under one version: that this caller may ask it, the
decision, its region, and the text of it all. What is new in each answer is worked out each time, by the same
code as for any other (`DecisionService.give`): the instant, the age, the quarantine, freshness, its id, its
line in the log, what is counted. How a text is written and completed is the protocol's (`Form`).

docs/caching.md says why that is right, how much of it there is, and what it saves.
"""

import time
from typing import Final, NamedTuple, Protocol, TypeAlias, final

from pdp.adapters.answer import max_age_of, reuse_of
from pdp.adapters.answer_body import Answer
from pdp.adapters.answering import Told, told
from pdp.identity.caller import Caller
from pdp.limits import MAX_REMEMBERED_BODY_BYTES, MAX_REMEMBERED_TEXT_BYTES
from pdp.service.answered import Settled
from pdp.service.decision_service import DecisionService
from pdp.service.errors import CannotAnswerError, NotPermittedError
from pdp.service.proof import NOTHING
from pdp.store.versions import Published
from pdp.vocabulary import Millis

__all__ = ["NEW", "Form", "New", "RememberedAnswers"]

#: Of a caller its certificate and the trust that it was verified under: its rights depend on nothing else.
_Key: TypeAlias = tuple[str, int, bytes]


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


class _Known(NamedTuple):
    settled: Settled
    template: bytes


@final
class RememberedAnswers:
    """What was answered under the version that is served, by caller and body.

    The older half is let go when there is no more room; whatever of it was asked again meanwhile stays.
    For one thread, that of the event loop.
    """

    def __init__(self, service: DecisionService, most: int, form: Form) -> None:
        """Remember so many answers at most, written in one form."""
        self._service, self._form = service, form
        self._half = most // 2
        self._published: Published | None = None
        self._young: dict[_Key, _Known] = {}
        self._old: dict[_Key, _Known] = {}

    def answer(self, caller: Caller, body: bytes) -> bytes | None:
        """Answer a question again; None if it is not remembered, or if there is more to it now.

        Raises:
            OverloadedError: There is too much to do, or this caller asks too often.
        """
        service = self._service
        known = self._find((caller.fingerprint, caller.epoch, body))
        if known is None or service.gate.closed:
            return None
        settled, template = known
        now, decision, log = service.now(), settled.decision, service.log
        if decision.valid_until is not None and now >= decision.valid_until:
            return None
        if log is not None and log.blocks and not log.has_room():
            return None
        began = time.perf_counter_ns()
        try:
            service.require_in_force(caller, now)
            service.admission.enter(caller.id)
            try:
                answered = service.give(caller, settled, now, began)
            finally:
                service.admission.leave()
        except (NotPermittedError, CannotAnswerError):
            return None  # the long way says why, and counts it
        service.metrics.remembered()
        if answered.decision is not decision:
            return self._form.whole(told(Told(answered, explain=False)))
        max_age = max_age_of(decision, now, answered.max_age_ms)
        return self._form.completed(
            template, (answered.decision_id, answered.age_seconds, max_age, reuse_of(max_age))
        )

    def remember(self, caller: Caller, body: bytes, about: Told, answer: Answer) -> None:
        """Remember an answer, unless something in it holds for this once."""
        settled = about.answered.settled
        current = self._service.versions.current
        if (
            settled.published is not current
            or settled.proof is not NOTHING  # evidence is looked at each time
            or about.explain
            or about.answered.decision is not settled.decision
            or len(body) > MAX_REMEMBERED_BODY_BYTES
        ):
            return
        template = self._form.template(answer)
        if len(template) > MAX_REMEMBERED_TEXT_BYTES:
            return
        if self._published is not current:
            self._forget(current)
        if len(self._young) >= self._half:
            self._young, self._old = {}, self._young
        self._young[caller.fingerprint, caller.epoch, body] = _Known(settled, template)

    def _find(self, key: _Key) -> _Known | None:
        if self._published is not self._service.versions.current:
            return None
        found = self._young.get(key)
        if found is None and (found := self._old.pop(key, None)) is not None:
            self._young[key] = found
        return found

    def _forget(self, current: Published) -> None:
        self._published, self._young, self._old = current, {}, {}
