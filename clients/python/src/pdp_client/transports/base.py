"""What every transport does. None of them tries twice: that is `pdp_client.core`'s business."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from pdp_client.decision import Decision
from pdp_client.errors import CouldNotAnswerError
from pdp_client.limits import CONNECT_SECONDS, OVERALL_SECONDS, READ_SECONDS
from pdp_client.question import Question

__all__ = ["Timeouts", "Transport", "is_given_up"]


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """How long things may take, in seconds.

    Raise them for questions that the service waits for itself: with `at_least`, or with tokens whose keys it
    may have to look for.

    Attributes:
        connect: For a connection.
        read: For an answer, once there is a connection.
        overall: For all tries together.
    """

    connect: float = CONNECT_SECONDS
    read: float = READ_SECONDS
    overall: float = OVERALL_SECONDS


class Transport(Protocol):
    """Connections under one certificate. All methods raise errors of `CouldNotAnswerError`."""

    async def decide(self, endpoint: str, question: Question, *, explain: bool) -> Decision:
        """Ask one question."""

    async def decide_batch(
        self, endpoint: str, questions: Sequence[Question]
    ) -> list[Decision | CouldNotAnswerError]:
        """Ask several questions."""

    async def report(self, endpoint: str, times: dict[str, int]) -> None:
        """Report how often answers were used again."""

    def revisions(self, endpoint: str, silence: float) -> AsyncGenerator[str | None]:
        """Revisions as they are told; None is a sign of life. Ends as the service ends it.

        A stream that is silent for so many seconds raises `UnreachableError`.
        """

    async def close(self) -> None:
        """Close all connections."""


def is_given_up() -> bool:
    """Whether a cancellation is for whoever waits here, and not for what is waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
