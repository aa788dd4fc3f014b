"""Decisions: whether one invariant holds on one service.

A broken `never` is one request that some allow opens and no deny closes, so each allow that can
meet the invariant is looked at with the denies that can meet both. A broken `always` is one that
some deny closes, or that no allow opens. Whatever is found is put to the engine before it counts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, final

from pdp.analysis.asked import Level
from pdp.analysis.books import Book, Overlaps, Shelf, covers, meet
from pdp.analysis.budget import Budget
from pdp.analysis.demands import Demand, Found, Setting, is_true, not_false, not_true, only_false
from pdp.analysis.lines import Line, Scribe
from pdp.analysis.lowered import Obliged
from pdp.analysis.search import find
from pdp.analysis.witnesses import DisagreementError, Witness, allowed_by_rule, witness
from pdp.compiler.environment import Environment
from pdp.index.rule_index import RuleIndex
from pdp.paths import Relaxation

__all__ = ["Decider", "Shared", "Undecided", "Verdict"]


class Undecided(Enum):
    """Why an invariant is not known to hold, though nothing breaks it as far as was looked."""

    TOO_LARGE = "too large"
    READINGS = "readings"


#: None where it holds.
Verdict: TypeAlias = Witness | Undecided | None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all decisions about one version share.

    Attributes:
        index: The version's index.
        environment: What names stand for.
        setting: What searches share.
        scribe: Turns rows into lines.
        overlaps: Which principals can be the same.
        book: The rows of a service.
    """

    index: RuleIndex
    environment: Environment
    setting: Setting
    scribe: Scribe
    overlaps: Overlaps
    book: Callable[[str], Book]


@final
class Decider:
    """Decides one invariant on one service."""

    def __init__(self, shared: Shared, service: str, obliged: Obliged, budget: Budget) -> None:
        self.shared = shared
        self.service = service
        self.obliged = obliged
        self.budget = budget
        info = shared.environment.services.get(service)
        self.declared = info is not None
        self.relaxations = info.relaxations if info is not None else Relaxation.NONE
        self.observed = info is not None and info.observe_until is not None

    def run(self, *, always: bool) -> Verdict:
        """What comes of it.

        Args:
            always: Which of the two kinds of invariant it is.

        Raises:
            TooLargeError: The budget is spent.
            DisagreementError: The engine does not confirm what was found: a defect.
        """
        if self.relaxations is not Relaxation.NONE and self.observed:
            return Undecided.READINGS  # one reading may be allowed by a rule, and another let pass
        return self._always() if always else self._never()

    def _find(self, *must: tuple[Line, Level], block: tuple[tuple[Line, Level], ...] = ()) -> Found | None:
        return find(Demand(must=must, block=block), self.shared.setting, self.budget)

    def _meeting(self, line: Line) -> tuple[list[Line], list[Line]]:
        """Allows and denies that can meet a line."""
        met = self.shared.book(self.service).meeting(line, self.shared.scribe, self.shared.overlaps)
        return [one for one in met if not one.deny], [one for one in met if one.deny]

    def _never(self) -> Verdict:
        undecided: Verdict = None
        for line in self.obliged.lines:
            allows, denies = self._meeting(line)
            if any(covers(deny, line) for deny in denies):
                continue
            shelf: Shelf[Line] = Shelf()
            for deny in denies:
                shelf.add(deny.row.path, deny)
            for allow in allows:
                near = [deny for deny in shelf.near(allow.row.path) if self._meet(allow, deny)]
                if any(covers(deny, allow) for deny in near):
                    continue
                block = tuple((deny, only_false) for deny in near)
                found = self._find((line, not_false), (allow, is_true), block=block)
                if found is None:
                    continue
                seen = self._witness(found)
                if allowed_by_rule(seen.decision):
                    return seen
                # Another reading of the same path is denied: what that means for other paths is not known.
                self._expect(self.relaxations is not Relaxation.NONE, seen)
                undecided = Undecided.READINGS
        return undecided

    def _meet(self, allow: Line, deny: Line) -> bool:
        overlaps = self.shared.overlaps
        return overlaps.may_share(overlaps.of(allow.atom), allow.atom, deny.row.atom) and meet(allow, deny)

    def _always(self) -> Verdict:
        lines = self.obliged.lines
        if Relaxation.IGNORE_TRAILING_SLASH in self.relaxations:
            lines = (*lines, *self.obliged.toggled)
        for line in lines:
            found = self._not_allowed(line)
            if found is not None:
                seen = self._witness(found)
                self._expect(not allowed_by_rule(seen.decision), seen)
                return seen
        return Undecided.READINGS if self._readings_differ(lines) else None

    def _readings_differ(self, lines: Sequence[Line]) -> bool:
        """Whether a request may be denied though each path that matches the lines is allowed by itself."""
        if self.relaxations & (Relaxation.ENCODED_SLASH | Relaxation.IGNORE_CASE):
            return bool(lines)
        if Relaxation.IGNORE_TRAILING_SLASH not in self.relaxations:
            return False  # merged slashes leave one reading
        allows = [allow for line in lines for allow in self._meeting(line)[0]]
        # What the two readings' allows demand may be contradictory, and is denied then.
        return any(allow.row.detail is not None and allow.row.detail.obligations for allow in allows)

    def _not_allowed(self, line: Line) -> Found | None:
        if not self.declared:
            return self._find((line, is_true))
        allows, denies = self._meeting(line)
        for deny in denies:
            found = self._find((line, is_true), (deny, not_false))
            if found is not None:
                return found
        if any(covers(allow, line) for allow in allows):
            return None
        block = tuple((allow, not_true) for allow in allows)
        return self._find((line, is_true), block=block)

    def _witness(self, found: Found) -> Witness:
        return witness(self.shared.index, self.service, found, self.shared.environment.families)

    def _expect(self, confirmed: bool, seen: Witness) -> None:  # noqa: FBT001 - an assertion's condition
        if not confirmed:
            raise DisagreementError(f"the engine decides {seen.decision} on {seen.request}")
