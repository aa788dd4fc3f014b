"""What became of the questions of a while: wrong, failed, lost, and how long until all went well again."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.faults.load import Answered, Load

__all__ = ["Row", "judge", "wrong_answers"]

_SLOW_SECONDS = 1.0  # an answer that takes so long is none to whoever waits for it


@dataclass
class Row:
    """One fault: what was seen of it.

    Attributes:
        requests: Questions asked over the load's connections.
        wrong: Of these, answers that are not exactly what a revision that was published says, or
            are of an older one than one that was seen before they were asked.
        failed: Error statuses, by code.
        lost: Connections that ended between question and answer.
        cancelled: Calls that grpcio cancelled.
        refused: Connections that could not be opened.
        recovery: Seconds from the fault until everybody was answered again; None where that is not asked.
        notes: What else was measured.
    """

    name: str
    requests: int = 0
    wrong: list[str] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    cancelled: int = 0
    refused: int = 0
    recovery: float | None = 0.0
    notes: str = ""


def judge(
    name: str,
    load: Load,
    order: Sequence[str],
    began: float,
    hurt: float,
    *,
    apart: str = "",
    until: float | None = None,
) -> Row:
    """What became of the questions asked since an instant.

    Args:
        name: Of the fault.
        load: Who asked.
        order: All revisions that were published, in order.
        began: The instant.
        hurt: When the fault, or what ends it, happened: recovery is counted from here.
        apart: A caller who is left out: it is refused on purpose.
        until: When the service ended: nobody is to answer from then on, and nobody recovers.
    """
    answered = [each for each in tuple(load.answered) if each.asked >= began]
    failed = [each for each in tuple(load.failed) if each.asked >= began and each.caller != apart]
    missed = [
        each
        for each in tuple(load.missed)
        if each.asked >= began and each.caller != apart and (until is None or each.asked < until)
    ]
    bad = [each.heard for each in (*failed, *missed)]
    bad += [each.heard for each in answered if each.heard - each.asked > _SLOW_SECONDS]
    return Row(
        name=name,
        requests=len(answered) + len(failed) + sum(each.lost for each in missed),
        wrong=wrong_answers(tuple(load.answered), order, began),
        failed=Counter(each.code for each in failed),
        lost=sum(each.lost and not each.cancelled for each in missed),
        cancelled=sum(each.cancelled for each in missed),
        refused=sum(not each.lost for each in missed),
        recovery=None if until is not None else max([0.0, *(heard - hurt for heard in bad)]),
    )


def wrong_answers(answered: Sequence[Answered], order: Sequence[str], began: float) -> list[str]:
    """What is wrong with answers to questions asked since an instant, in words."""
    places = {revision: place for place, revision in enumerate(order)}
    wrong = [
        f"not what {each.revision} says: {each.body}"
        for each in answered
        if each.asked >= began and not each.right
    ]
    strange = {each.revision for each in answered} - set(places)
    wrong += [f"{revision} was never published" for revision in sorted(strange)]
    known = [each for each in answered if each.revision in places]
    heard = sorted((each.heard, places[each.revision]) for each in known)
    newest, at = 0, 0
    for each in sorted(known, key=lambda each: each.asked):
        while at < len(heard) and heard[at][0] < each.asked:
            newest = max(newest, heard[at][1])
            at += 1
        if each.asked >= began and places[each.revision] < newest:
            wrong.append(f"{each.revision} over {each.caller} after {order[newest]} was seen")
    return wrong
