"""Batches: what is held and what is asked, put together only where both are of one revision."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from pdp_client.cache import RegionCache
from pdp_client.decision import Decision
from pdp_client.errors import CouldNotAnswerError
from pdp_client.question import Question

__all__ = ["answered_alike"]

_Found: TypeAlias = list[Decision | CouldNotAnswerError]


async def answered_alike(
    questions: Sequence[Question],
    cache: RegionCache | None,
    ask: Callable[[Sequence[Question]], Awaitable[_Found]],
) -> _Found:
    """The answers to questions, in order, all of one revision.

    Raises:
        CouldNotAnswerError: There are no answers at all.
    """
    if not questions:
        return []
    held = [None if cache is None else cache.find(question) for question in questions]
    missing = [question for question, answer in zip(questions, held, strict=True) if answer is None]
    asked = iter(await ask(missing) if missing else [])
    found: _Found = [next(asked) if answer is None else answer for answer in held]
    if len({answer.revision for answer in found if isinstance(answer, Decision)}) > 1:
        return await ask(questions)  # there was an edit in between
    return found
