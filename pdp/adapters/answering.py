"""One question or a batch of them, over the decision service, whatever protocol they came by.

A protocol says how its bytes are read; what happens when, and who is told what, is the same for all.
"""

import asyncio
import time
from collections.abc import (
    Callable,
    Iterator,
    Sequence,
    Set,  # noqa: PYI025 -- as a type only
)
from contextlib import contextmanager
from typing import Final, NamedTuple, TypeAlias, TypeVar

from pdp.adapters.schemas import (
    Answer,
    AskedByProxy,
    BadQuestionError,
    ErrorBody,
    Question,
    error_body,
    presented,
    to_answer,
    to_request,
)
from pdp.adapters.strict_json import BadJsonError
from pdp.audit.decision_log import DecisionLog
from pdp.engine.explain import Explanation
from pdp.engine.explain import explain as explanation_of
from pdp.identity.caller import Caller
from pdp.limits import (
    AT_LEAST_WAIT_SECONDS,
    LOG_WAIT_SECONDS,
    MAX_BATCH_ITEMS,
    MAX_REVISION_CHARS,
)
from pdp.service.answered import Answered
from pdp.service.authorization import Rights
from pdp.service.decision_service import DecisionService
from pdp.service.errors import CannotAnswerError, EvidenceRefusedError, NotPermittedError
from pdp.service.proof import NOTHING, Presented
from pdp.service.quarantined import explained
from pdp.store.versions import Published
from pdp.vocabulary import Millis

__all__ = ["Told", "ask_batch", "decided", "told"]

_T = TypeVar("_T")
#: What a question presents, if it does; or why that is nothing.
_Evidence: TypeAlias = Presented | BadQuestionError | EvidenceRefusedError | NotPermittedError | None
_POLL_SECONDS: Final = 0.01
_REFUSALS: Final = (
    BadJsonError, BadQuestionError, EvidenceRefusedError, NotPermittedError, CannotAnswerError,
)  # fmt: skip


class Told(NamedTuple):
    """What there is to tell of one question.

    Attributes:
        answered: The decision, and what it was made of.
        explain: Whether an explanation was asked for.
    """

    answered: Answered
    explain: bool


async def decided(
    service: DecisionService, caller: Caller, read: Callable[[Rights, Millis], Question]
) -> Told:
    """Decide one question.

    Args:
        service: Who decides.
        caller: Who asks.
        read: Reads the question. Called once it is known that the caller may ask anything at all, with its
            rights and the instant.

    Raises:
        BadQuestionError: Something in the question has no meaning.
        EvidenceRefusedError: Evidence in it proves nothing.
        NotPermittedError: The caller may not ask it.
        CannotAnswerError: In time, the revision that it asks for was not seen, or the log had no room.
        OverloadedError: There is too much to do, or this caller asks too often.
        Exception: Whatever `read` raises.
    """
    try:
        return await _let_in(service, caller, read)
    except _REFUSALS as error:
        service.metrics.question_refused(error.code)
        raise


async def _let_in(
    service: DecisionService, caller: Caller, read: Callable[[Rights, Millis], Question]
) -> Told:
    if service.gate.closed:
        await service.gate.passed()
    now = service.now()
    published = service.versions.current
    rights = service.rights(caller, published, now)  # who may ask nothing is told nothing
    service.admission.enter(caller.id)
    try:
        question = read(rights, now)
        evidence = _presented(question)
        while True:
            if _may_wait(service, question) and await _waited(service, {question.at_least}, 1):
                now, published = service.now(), service.versions.current
                rights = service.rights(caller, published, now)
            try:
                return _decided(service, caller, published, now, question, evidence, rights)
            except EvidenceRefusedError as error:
                # At most twice: one look is followed by a pause, in which there is none.
                if evidence is None or not error.by_keys or not await _looked(service, caller, evidence):
                    raise
            await service.gate.passed()
            now, published = service.now(), service.versions.current
            rights = service.rights(caller, published, now)
    finally:
        service.admission.leave()


def _may_wait(service: DecisionService, question: Question) -> bool:
    """Whether a question may have to wait for something."""
    return question.at_least is not None or (service.log is not None and service.log.blocks)


async def _looked(service: DecisionService, caller: Caller, evidence: Presented) -> bool:
    """Whether newer keys were looked for, or a cluster asked."""
    await asyncio.sleep(0)  # a look takes a task, and whoever has begun this may have had none
    return all(await service.look(caller, [evidence]))


async def ask_batch(
    service: DecisionService,
    caller: Caller,
    items: Callable[[], Sequence[_T]],
    read: Callable[[_T], Question],
) -> list[Answer | ErrorBody]:
    """Answer every question of a batch, all under one version; a bad item spoils no other.

    Args:
        service: Who decides.
        caller: Who asks.
        items: Takes the batch apart. Called once it is known that the caller may ask anything at all.
        read: Reads one item; an error about it stands in its place.

    Raises:
        BadQuestionError: There are too many questions.
        NotPermittedError: The caller may ask nothing.
        CannotAnswerError: The decision log has no room in time.
        OverloadedError: There is too much to do, or this caller asks too often.
        Exception: Whatever `items` raises.
    """
    with _counted(service):
        await service.gate.passed()
        now = service.now()
        service.rights(caller, service.versions.current, now)
        batch = items()
        if len(batch) > MAX_BATCH_ITEMS:
            raise BadQuestionError("batch_too_large", f"a batch has at most {MAX_BATCH_ITEMS} questions")
        service.admission.enter(caller.id, len(batch))
        try:
            questions = [_read_or_error(service, read, item) for item in batch]
            evidence = [_evidence(item) for item in questions]
            if any(evidence):
                evidence = await _looked_at(service, caller, evidence)
                await service.gate.passed()
                now = service.now()
            floors = {item.at_least for item in questions if isinstance(item, Question)}
            if await _waited(service, floors, len(batch)):
                now = service.now()
            published = service.versions.current
            asked = zip(questions, evidence, strict=True)
            return [_or_error(service, caller, published, now, item, each) for item, each in asked]
        finally:
            service.admission.leave(len(batch))


@contextmanager
def _counted(service: DecisionService) -> Iterator[None]:
    """Count what is refused; what is shed is counted where it is."""
    try:
        yield
    except _REFUSALS as error:
        service.metrics.question_refused(error.code)
        raise


def _read_or_error(
    service: DecisionService, read: Callable[[_T], Question], item: _T
) -> Question | ErrorBody:
    try:
        with _counted(service):
            return read(item)
    except (BadJsonError, BadQuestionError) as error:
        return error_body(error.code, error.message)


def _evidence(item: Question | ErrorBody) -> _Evidence:
    """What an item presents, if it does, or why it cannot."""
    if isinstance(item, ErrorBody):
        return None
    try:
        return presented(item.principal, item.user)
    except BadQuestionError as error:
        return error


async def _looked_at(
    service: DecisionService, caller: Caller, evidence: Sequence[_Evidence]
) -> list[_Evidence]:
    """What a batch presents, with all at hand that it is verified by; or what it is refused as.

    Each is proven once more, from memory, when it is decided.
    """
    found, wanted = list(evidence), []
    for number, each in enumerate(evidence):
        if not isinstance(each, Presented):
            continue
        try:
            service.prove(caller, service.versions.current, service.now(), each)
        except (EvidenceRefusedError, NotPermittedError) as error:
            found[number] = error
            if isinstance(error, EvidenceRefusedError) and error.by_keys:
                wanted.append((number, each))
        await asyncio.sleep(0)  # signatures take a while: others have their turn between two
    if wanted:
        looked = await service.look(caller, [each for _, each in wanted])
        for (number, each), was in zip(wanted, looked, strict=True):
            found[number] = each if was else found[number]
    return found


def _or_error(
    service: DecisionService,
    caller: Caller,
    published: Published,
    now: Millis,
    item: Question | ErrorBody,
    evidence: _Evidence,
) -> Answer | ErrorBody:
    if isinstance(item, ErrorBody):
        return item
    try:
        with _counted(service):
            return told(_decided(service, caller, published, now, item, evidence))
    except (BadQuestionError, EvidenceRefusedError, NotPermittedError, CannotAnswerError) as error:
        return error_body(error.code, error.message)


def _presented(question: Question) -> Presented | None:
    """The evidence in a question, if there is any."""
    if question.__class__ is Question and question.user is None and isinstance(question.principal, str):
        return None  # as for nearly all
    found = presented(question.principal, question.user)
    if isinstance(question, AskedByProxy) and question.serial:
        return (found or Presented())._replace(serial=question.serial)
    return found


def _decided(
    service: DecisionService,
    caller: Caller,
    published: Published,
    now: Millis,
    question: Question,
    evidence: _Evidence,
    rights: Rights | None = None,
) -> Told:
    if isinstance(evidence, Exception):
        raise evidence
    proof = NOTHING if evidence is None else service.prove(caller, published, now, evidence)
    request = to_request(question, published.snapshot.index, frozenset(), now, proof)
    if question.at_least is not None:
        service.require_revision(question.at_least)
    answered = service.answer(
        caller,
        published,
        now,
        request,
        explain=question.explain,
        proof=proof,
        seen=question.seen if isinstance(question, AskedByProxy) else None,
        rights=rights,
    )
    return Told(answered, question.explain)


def told(about: Told) -> Answer:
    """An answer in the shape in which answers are sent."""
    answered, explain = about
    settled = answered.settled
    proof, snapshot = settled.proof, settled.published.snapshot
    return to_answer(
        answered.decision,
        settled.request,
        snapshot.index,
        revision=snapshot.revision,
        age_seconds=answered.age_seconds,
        decision_id=answered.decision_id,
        max_age_limit_ms=answered.max_age_ms,
        may_explain=settled.may_explain,
        now=answered.now,
        evidence=() if proof is NOTHING else proof.members,
        explanation=_explanation(answered) if explain else None,
    )


def _explanation(answered: Answered) -> Explanation:
    if answered.quarantined is not None:
        return explained(answered.quarantined)
    return explanation_of(answered.published.snapshot.index, answered.request, answered.decision)


async def _waited(service: DecisionService, floors: Set[str | None], entries: int) -> bool:
    """Wait for revisions, for room in the log and for the gate; whether the clock has to be read again.

    Raises:
        CannotAnswerError: The log had no room in time.
    """
    revisions = {floor for floor in floors if floor is not None}
    if revisions:
        await _wait_for(service, revisions)
    log = service.log
    full = log is not None and log.blocks and not log.has_room(entries)
    if log is not None and full:
        await _room(log, entries)
    if not (revisions or full):
        return False
    await service.gate.passed()
    return True


async def _room(log: DecisionLog, entries: int) -> None:
    """Wait until the decision log has room, where no decision may go without its line."""
    deadline = time.monotonic() + LOG_WAIT_SECONDS
    while not log.has_room(entries):
        if time.monotonic() >= deadline:
            raise CannotAnswerError(
                "log_full", "decisions cannot be logged now, and none goes without its line"
            )
        await asyncio.sleep(_POLL_SECONDS)


async def _wait_for(service: DecisionService, floors: Set[str]) -> None:
    """Wait until all these revisions were published, as long as questions may wait for all together.

    Returns in either case: `_answer` checks the floor of each question. What cannot name a revision
    is not waited for, since `to_request` will refuse it.
    """
    missing = {floor for floor in floors if floor.isprintable() and 0 < len(floor) <= MAX_REVISION_CHARS}
    deadline = time.monotonic() + AT_LEAST_WAIT_SECONDS
    while True:
        missing = {floor for floor in missing if not service.versions.has_seen(floor)}
        if not missing or time.monotonic() >= deadline:
            return
        await asyncio.sleep(_POLL_SECONDS)
