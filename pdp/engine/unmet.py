"""What of a row's rare parts keeps it from holding: captures, exceptions, dates, tests of its condition."""

from collections.abc import Sequence
from typing import final

from pdp.compiler.evaluation import Evaluation, Place
from pdp.compiler.rows import Detail
from pdp.engine.evaluate import applies, truth
from pdp.engine.explanation import Coordinate, Difference
from pdp.engine.failing import FailingTests
from pdp.index.rule_index import RuleIndex
from pdp.lang import ast
from pdp.lang.print_words import print_instant, print_path_text, print_segments

__all__ = ["Unmet", "shown_path"]


@final
class Unmet:
    """Finds it for one request."""

    def __init__(self, index: RuleIndex, evaluation: Evaluation, principal: str) -> None:
        self._evaluation = evaluation
        self._failing = FailingTests(index, evaluation, principal)

    def of(self, detail: Detail, pattern: Sequence[ast.Segment]) -> list[Difference]:
        """All of it, for a row about the principal and on the path."""
        captures = self.captures(detail, pattern)
        if not captures and not applies(detail, self._evaluation):
            excepted = " and ".join(shown_path(exception.pattern) for exception in detail.exceptions)
            given = "/" + "/".join(self._evaluation.path)
            wanted = f"{shown_path(pattern)} except {excepted}"
            captures = [Difference(coordinate=Coordinate.PATH, given=given, wanted=wanted)]
        return [*captures, *self.elsewhere(detail)]

    def elsewhere(self, detail: Detail) -> list[Difference]:
        """What of it does not depend on captures."""
        return [*self.dates(detail), *self.tests(detail, wanted=True)]

    def captures(self, detail: Detail, pattern: Sequence[ast.Segment]) -> list[Difference]:
        """Captures that stand for two different segments."""
        path, principal = self._evaluation.path, self._evaluation.principal
        found = [
            _differ(
                _name(pattern[index]), f"{principal[other]} in the principal and {path[index]} in the path"
            )
            for index, other in detail.equalities
            if path[index] != principal[other]
        ]
        found += [
            _differ(_name(pattern[index]), f"{path[other]} and {path[index]} in the path")
            for index, other in detail.path_equalities
            if path[index] != path[other]
        ]
        bound = detail.written.captures if detail.written is not None else {}
        named = {place: name for name, place in bound.items()}
        found += [
            _differ(
                named.get(Place(principal=True, index=other), ""),
                f"{principal[other]} and {principal[index]} in the principal",
            )
            for index, other in detail.principal_equalities
            if principal[index] != principal[other]
        ]
        return found

    def dates(self, detail: Detail) -> list[Difference]:
        """The date that has passed, or is yet to come."""
        now, wanted = self._evaluation.now, ""
        if detail.valid_from is not None and now < detail.valid_from:
            wanted = f"from {print_instant(detail.valid_from)}"
        elif detail.until is not None and now >= detail.until:
            wanted = f"until {print_instant(detail.until)}"
        else:
            return []
        return [Difference(coordinate=Coordinate.TIME, given=f"now = {print_instant(now)}", wanted=wanted)]

    def tests(self, detail: Detail, *, wanted: bool) -> tuple[Difference, ...]:
        """The fewest tests that keep the condition from being true, or from being false."""
        test, written = detail.test, detail.written
        if test is None or written is None or test(self._evaluation) is wanted:
            return ()
        return self._failing.of(written, wanted=wanted)

    def unknown(self, detail: Detail | None) -> tuple[Difference, ...]:
        """For a deny that holds: the tests that are unknown, if it holds because of them."""
        if detail is None or truth(detail, self._evaluation) is not None:
            return ()
        return self.tests(detail, wanted=False)


def shown_path(pattern: Sequence[ast.Segment]) -> str:
    """A path pattern as its author wrote it."""
    return print_path_text("/" + print_segments(pattern))


def _differ(name: str, values: str) -> Difference:
    return Difference(
        coordinate=Coordinate.CAPTURE,
        given=f"{{{name}}} is {values}",
        wanted=f"the same {{{name}}} everywhere",
    )


def _name(segment: ast.Segment) -> str:
    return segment.name if isinstance(segment, ast.Capture) else ""
