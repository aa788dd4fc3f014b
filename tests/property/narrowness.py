"""Why a field of a region could be wider: the classes that docs/caching.md names, as tests on the rules.

Each is recognised from the text of the rules and the reference interpreter's reading of them, not from
what the engine says it read. Where none applies, a region is narrower than documented.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from pdp.lang import ast
from pdp.limits import MAX_REGION_EXCLUSIONS
from pdp.vocabulary import Reason, Region
from tests.property.rule_facts import RuleFacts, standing
from tests.property.small_sets import METHODS, Place, World
from tests.reference import interpreter

CLASSES: Final = (
    "Cells",
    "Ways to a cell",
    "Many names",
    "Equal segments",
    "Rules read whole",
    "Several rules",
    "Allows that are shut",
    "Restricting rules",
    "Time",
    "Observed services",
)


@dataclass(frozen=True, kw_only=True)
class Wider:
    """A region with one field widened by one step.

    Attributes:
        field: Which field.
        step: Index of the path step, or the attribute, that was widened; None where there is one only.
        region: The wider region.
    """

    field: str
    step: int | str | None = None
    region: Region


class Rules:
    """The rules of one world, and where each path leads among their patterns."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.matching = interpreter._Matching(interpreter._Names(world.files))
        targets = [rule.targets[0] for rule in world.rules]
        #: Those of rules and of exceptions, shadow rules among them: all of them make cells.
        self.patterns = [path.segments for target in targets for path in (target.path, *target.excluded)]
        self._ends: dict[int, list[object]] = {}
        self._ways: dict[int, list[list[object]]] = {}

    def why(self, place: Place, wider: Wider, added: list[Place]) -> str | None:
        """The documented class of a region that could be wider, or None if there is none.

        Args:
            place: A request.
            wider: The region of its answer, widened.
            added: The requests that lie in the wider region only; they have the same answer.
        """
        return _Case(self, place, wider, added).name()

    def segments(self, path: int) -> list[str]:
        return self.world.paths[path][1:].split("/")

    def end(self, path: int) -> list[object]:
        """What is left of each pattern where the path ends: the cell."""
        if path not in self._ends:
            self._ends[path] = [standing(pattern, self.segments(path)) for pattern in self.patterns]
        return self._ends[path]

    def way(self, path: int) -> list[list[object]]:
        """The same after each segment, without lengths, until no further segment can matter."""
        if path not in self._ways:
            self._ways[path] = list(self._steps(self.segments(path)))
        return self._ways[path]

    def _steps(self, segments: list[str]) -> Iterator[list[object]]:
        for count in range(1, len(segments) + 1):
            left = [standing(pattern, segments[:count]) for pattern in self.patterns]
            yield [each[0] if isinstance(each, tuple) else each for each in left]
            if all(each in {None, "covered"} for each in left):
                return


class _Case:
    """One region, one way of widening it, and the rules it may rest on."""

    def __init__(self, rules: Rules, place: Place, wider: Wider, added: list[Place]) -> None:
        self.rules, self.place, self.wider, self.added = rules, place, wider, added
        self.world = rules.world
        self.request = self.world.request(place)
        self.reason = self.world.decision(place).reason
        self.region = self.world.decision(place).region
        self.segments = rules.segments(place[2])

    @cached_property
    def deciding(self) -> list[RuleFacts]:
        return [self._facts(rule) for rule in self.world.deciding(self.place)]

    @cached_property
    def here(self) -> list[RuleFacts]:
        """The enforced rules of the cell."""
        enforced = [self._facts(rule) for rule in self.world.rules if not rule.shadow]
        return [facts for facts in enforced if facts.stands_here]

    def _facts(self, rule: ast.Rule) -> RuleFacts:
        return RuleFacts(rule, self.segments, self.world.supplied)

    def name(self) -> str | None:
        by_field = {
            "principal": self._principal,
            "method": self._method,
            "context": self._attribute,
            "segment": self._step,
            "not": self._step,
        }
        return next(by_field.get(self.wider.field, self._path)(), None)

    # -- path --------------------------------------------------------------------------

    def _path(self) -> Iterator[str]:
        asked, others = self.place[2], {path for _, _, path, _ in self.added}
        if any(self.rules.end(other) != self.rules.end(asked) for other in others):
            yield "Cells"
        if any(self.rules.way(other) != self.rules.way(asked) for other in others):
            yield "Ways to a cell"

    def _step(self) -> Iterator[str]:
        yield from self._path()
        at = self.wider.step
        readers = [facts for facts in self._read if at in facts.places]
        of_principal = [facts for facts in readers if (at, None) in facts.equalities]
        if self._names(at) + len(of_principal) > MAX_REGION_EXCLUSIONS:
            yield "Many names"
        if any(
            other is not None and at in {one, other} for facts in readers for one, other in facts.equalities
        ):
            yield "Equal segments"
        yield from self._reasons(readers)

    def _names(self, at: int) -> int:
        """How many literals, prefixes and suffixes may stand at this place of a path that begins so."""
        alive = [p for p in self.rules.patterns if len(p) > at and standing(p, self.segments[:at]) == at]
        return len({p[at] for p in alive if hasattr(p[at], "text")})

    # -- attributes --------------------------------------------------------------------

    def _attribute(self) -> Iterator[str]:
        yield from self._reasons(
            [
                facts
                for facts in self._read
                if self.wider.step in facts.attributes and self.rules.matching.ways(facts.rule, self.request)
            ]
        )

    # -- principal and method ----------------------------------------------------------

    def _principal(self) -> Iterator[str]:
        if self.world.observed:
            yield "Observed services"
        if self._timed({self.request.method}):
            yield "Time"
        for_method = [facts for facts in self.here if facts.admits(self.request.method)]
        if self.reason is Reason.NO_RULE_MATCHED and any(facts.allows for facts in for_method):
            yield "Allows that are shut"
        yield from self._decided([facts for facts in self.deciding if facts.reads_principal])
        if self.reason is Reason.ALLOWED and any(f.restricts and f.reads_principal for f in for_method):
            yield "Restricting rules"

    def _method(self) -> Iterator[str]:
        if self.world.observed:
            yield "Observed services"
        if self._timed(set(METHODS)):
            yield "Time"
        about = self.here if self.region.principal is None else [f for f in self.here if self._about(f)]
        if self.reason is Reason.NO_RULE_MATCHED and any(facts.allows for facts in about):
            yield "Allows that are shut"
        yield from self._decided([facts for facts in self.deciding if facts.target.methods is not None])
        restricting = [facts for facts in self.here if facts.restricts]
        told_apart = [f for f in restricting if f.target.methods is not None and self._about(f)]
        if self.region.principal is None:
            told_apart += [facts for facts in restricting if facts.reads_principal]
        if self.reason is Reason.ALLOWED and told_apart:
            yield "Restricting rules"

    def _timed(self, methods: set[str]) -> bool:
        """Whether an enforced rule depends on time where an allow could open one of the methods."""
        return any(
            any(facts.dated and facts.admits(method) for facts in self.here)
            and any(facts.allows and facts.admits(method) for facts in self.here)
            for method in methods
        )

    # -- what the answer rests on ------------------------------------------------------

    def _about(self, facts: RuleFacts) -> bool:
        who = self.request.principal
        excluded = any(
            self.rules.matching.term(term, who) is not None for term in facts.rule.principals.excluded
        )
        return not excluded and self.rules.matching.term(facts.term, who) is not None

    @cached_property
    def _read(self) -> list[RuleFacts]:
        """The rules that the answer may rest on; of several that decide, each."""
        near = [f for f in self.here if f.admits(self.request.method) and self._about(f)]
        if self.world.observed or self._timed({self.request.method}):
            return near
        if self.reason is Reason.NO_RULE_MATCHED:
            return [facts for facts in near if facts.allows]
        if self.reason is Reason.ALLOWED:
            return [*self.deciding, *(facts for facts in near if facts.restricts)]
        return self.deciding

    def _reasons(self, readers: list[RuleFacts]) -> Iterator[str]:
        """Why it could do without what these rules read."""
        deciding = [facts.rule for facts in self.deciding]
        settled = not self.world.observed and not self._timed({self.request.method})
        if settled:
            yield from self._decided([facts for facts in readers if facts.rule in deciding])
        if any(facts.facts > 1 for facts in readers if not settled or facts.rule not in deciding):
            yield "Rules read whole"
        if readers and self.world.observed:
            yield "Observed services"
        if readers and not settled:
            yield "Time"
        if self.reason is Reason.NO_RULE_MATCHED and readers and self._denied_by_rule():
            yield "Allows that are shut"
        if self.reason is Reason.ALLOWED and any(facts.restricts and facts.allows for facts in readers):
            yield "Restricting rules"

    def _decided(self, readers: list[RuleFacts]) -> Iterator[str]:
        """Why it could do without what these deciding rules read: it rests on one that costs least."""
        least = min((facts.cost for facts in self.deciding), default=None)
        resting = [facts for facts in readers if facts.cost == least]
        if resting and (len(self.deciding) > 1 or not self._one_decides_everywhere()):
            yield "Several rules"
        if any(facts.facts > 1 for facts in resting):
            yield "Rules read whole"

    def _denied_by_rule(self) -> bool:
        """Whether a deny keeps shut what is taken in."""
        return any(self.world.decision(place).reason is Reason.DENIED_BY_RULE for place in self.added)

    def _one_decides_everywhere(self) -> bool:
        common = set(self.world.decision(self.place).rules)
        for place in self.added:
            common &= set(self.world.decision(place).rules)
        return bool(common)
