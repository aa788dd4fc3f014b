"""Questions to answers, offline: the body of `/v1/decide` in, its answer out.

How a file is read and its answers are written is in `pdp.cli.lines`. A line that cannot be answered has
an `error`, and the next one is answered none the less.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import final

from pdp.adapters.schemas import (
    Answer,
    BadQuestionError,
    ErrorBody,
    Question,
    error_body,
    to_answer,
    to_request,
)
from pdp.adapters.strict_json import BadJsonError, decode
from pdp.cli.lines import answer_each
from pdp.cli.output import current_instant
from pdp.engine.decide import decide
from pdp.engine.explain import Explanation, explain
from pdp.limits import MAX_AGE_LIMIT_MS, MAX_BODY_BYTES
from pdp.service.ids import RANDOM_BYTES, new_decision_id
from pdp.store.snapshot import Snapshot
from pdp.vocabulary import Decision, Millis, Request

__all__ = ["Asker", "answer_lines"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Answers questions under one snapshot.

    Attributes:
        snapshot: The version.
        supplied: Families of attributes that count as supplied.
        at: The instant of every question, or None for the clock.
    """

    snapshot: Snapshot
    supplied: frozenset[str]
    at: Millis | None

    def decide(self, question: Question) -> tuple[Request, Decision]:
        """The request that a question comes to, and the decision.

        Raises:
            BadQuestionError: It cannot be asked, or asks for a revision that this one is not.
        """
        now = current_instant() if self.at is None else self.at
        request = to_request(question, self.snapshot.index, self.supplied, now)
        if question.at_least not in {None, self.snapshot.revision}:
            # Revisions are ordered by publication, of which nothing is known here.
            message = f"`at_least` names another revision than this policy set's, {self.snapshot.revision}"
            raise BadQuestionError("revision_not_seen", message)
        return request, decide(self.snapshot.index, request)

    def answer(self, request: Request, decision: Decision, explanation: Explanation | None) -> Answer:
        """The answer as the service would give it, to a caller who may explain."""
        return to_answer(
            decision,
            request,
            self.snapshot.index,
            revision=self.snapshot.revision,
            age_seconds=0,
            decision_id=new_decision_id(current_instant(), os.urandom(RANDOM_BYTES)),
            max_age_limit_ms=MAX_AGE_LIMIT_MS,
            may_explain=True,
            explanation=explanation,
        )

    def answer_line(self, line: bytes) -> Answer | ErrorBody:
        """The answer to one line, or why there is none."""
        try:
            question = decode(line, Question, max_bytes=MAX_BODY_BYTES, subject="the line")
            request, decision = self.decide(question)
        except (BadJsonError, BadQuestionError) as error:
            return error_body(error.code, error.message)
        explanation = explain(self.snapshot.index, request, decision) if question.explain else None
        return self.answer(request, decision, explanation)


def answer_lines(asker: Asker, path: Path) -> None:
    """Answer a file of questions on standard output.

    Raises:
        CannotError: The file cannot be read to its end.
    """
    answer_each(path, asker.answer_line)
