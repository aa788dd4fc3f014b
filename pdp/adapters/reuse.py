"""Reports of reuse: how often a client has answered by itself, with which of our answers.

What a report says is its caller's word: nothing here knows whether such an answer was ever given, or to
whom. So it decides nothing. It is counted, and written to the decision log as a line of its own kind.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from pdp.adapters.bad_question import BadQuestionError
from pdp.adapters.strict_json import decode
from pdp.audit.reuse import ReuseReport
from pdp.identity.caller import Caller
from pdp.limits import MAX_REUSE_BODY_BYTES, MAX_REUSE_ITEMS, MAX_REUSE_TIMES
from pdp.service.decision_service import DecisionService

__all__ = ["ReuseBody", "Reused", "read_reuse_body", "take_report"]

#: A ULID, as `pdp.service.ids` makes them.
_DECISION_ID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII).fullmatch


class Reused(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One answer that was used again.

    Attributes:
        decision_id: Its name.
        times: How often, since it was last reported.
    """

    decision_id: str
    times: int


class ReuseBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often answers were used again; what the client says, and nothing that we know."""

    reused: list[Reused]


def read_reuse_body(body: bytes) -> list[Reused]:
    """The items of a report in JSON.

    Raises:
        BadJsonError: The body is not JSON that is read in one way, or not a report.
    """
    return decode(body, ReuseBody, max_bytes=MAX_REUSE_BODY_BYTES).reused


def take_report(service: DecisionService, caller: Caller, read: Callable[[], Sequence[Reused]]) -> None:
    """Count a report and have it logged, all of it or nothing.

    Args:
        service: Who counts and logs.
        caller: Whose report it is.
        read: Reads the items. Called once it is known that the caller may ask anything at all.

    Raises:
        BadQuestionError: Something in it has no meaning.
        NotPermittedError: The caller may ask nothing.
        OverloadedError: There is too much to do, or this caller comes too often.
        Exception: Whatever `read` raises.
    """
    now = service.now()
    service.rights(caller, service.versions.current, now)
    service.admission.enter(caller.id)
    try:
        items = read()
        if len(items) > MAX_REUSE_ITEMS:
            raise BadQuestionError("report_too_large", f"a report has at most {MAX_REUSE_ITEMS} items")
        for number, item in enumerate(items):
            _check(number, item)
        service.metrics.reused(sum(item.times for item in items))
        if service.log is not None and items:
            reused = tuple((item.decision_id, item.times) for item in items)
            service.log.report(ReuseReport(caller.id, now, reused))
    finally:
        service.admission.leave()


def _check(number: int, item: Reused) -> None:
    if _DECISION_ID(item.decision_id) is None:
        message = f"`reused[{number}].decision_id` is not the name of an answer: 26 characters, a ULID"
        raise BadQuestionError("invalid_decision_id", message)
    if not 1 <= item.times <= MAX_REUSE_TIMES:
        message = f"`reused[{number}].times` is not a number from 1 to {MAX_REUSE_TIMES}"
        raise BadQuestionError("invalid_times", message)
