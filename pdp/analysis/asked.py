"""A question while it is put together: what has been chosen, and whether constraints hold of it.

The *variables* of a question are its attributes by name, the user, the instant, and for each
family whether it is supplied. What there is to choose from is left to `pdp.analysis.contexts`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, final

from pdp.analysis.facts import USER_ATTRIBUTES
from pdp.analysis.lines import Line
from pdp.analysis.members import Members
from pdp.compiler.evaluation import Evaluation
from pdp.engine.evaluate import truth
from pdp.vocabulary import AttributeValue, Millis, User

__all__ = ["NOW", "OVERRIDES", "SUPPLY", "USER", "Asked", "Choice", "Constraint", "Context", "Level"]

#: Headers that override the method: a request in which one differs from it is refused before any rule.
OVERRIDES: Final = frozenset(
    {"header.x-http-method-override", "header.x-method-override", "header.x-http-method"}
)
USER: Final = "@user"
NOW: Final = "@now"
SUPPLY: Final = "@supply "

#: What a line's condition has to be.
Level: TypeAlias = Callable[[bool | None], bool]
Choice: TypeAlias = AttributeValue | User | None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """The condition of a line has to be as `level` says."""

    line: Line
    level: Level


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What was chosen, and what made no difference.

    Attributes:
        attributes: Every attribute that was read but those of the user; None for no value.
        user: The user, or None.
        user_read: Whether the user was read.
        missing: Families that are not supplied.
        now: The instant.
        timed: Whether the instant was read.
    """

    attributes: Mapping[str, AttributeValue | None] = field(default_factory=dict)
    user: User | None = None
    user_read: bool = False
    missing: frozenset[str] = frozenset()
    now: Millis
    timed: bool = False


def _variables(line: Line) -> frozenset[str]:
    """What the truth of a line depends on, principal, method and path given."""
    facts = line.facts
    found = {name for name in facts.tests if name not in USER_ATTRIBUTES}
    found |= {f"{SUPPLY}{family}" for family in facts.families}
    if facts.user:
        found.add(USER)
    if line.row.detail is not None and line.row.detail.timed:
        found.add(NOW)
    return frozenset(found)


@final
class Asked:
    """The question so far: what has been chosen, and whether constraints hold of it."""

    def __init__(
        self,
        constraints: Sequence[Constraint],
        who: Members,
        path: list[str],
        families: frozenset[str],
        now: Millis,
    ) -> None:
        self._constraints = constraints
        self._reads = [_variables(constraint.line) for constraint in constraints]
        self._who = who
        self._path = path
        self._families = families
        self._start = now
        self._chosen: dict[str, Choice] = {}

    def reads(self, number: int) -> frozenset[str]:
        """What a constraint reads."""
        return self._reads[number]

    def set(self, name: str, value: Choice) -> None:
        """Choose a value."""
        self._chosen[name] = value

    def unset(self, name: str) -> None:
        """Take a choice back."""
        self._chosen.pop(name, None)

    def all_hold(self, numbers: Sequence[int]) -> bool:
        """Whether these constraints, of which everything is chosen, are as they have to be."""
        if not numbers:
            return True
        context = self.context()
        for number in numbers:
            constraint = self._constraints[number]
            evaluation = self._evaluation(context, constraint.line)
            if not constraint.level(truth(constraint.line.row.detail, evaluation)):
                return False
        return True

    def context(self) -> Context:
        """What has been chosen."""
        chosen = self._chosen
        user, now = chosen.get(USER), chosen.get(NOW)
        return Context(
            attributes={name: value for name, value in chosen.items() if not name.startswith("@")},  # type: ignore[misc]
            user=user if isinstance(user, User) else None,
            user_read=USER in chosen,
            missing=frozenset(
                name.removeprefix(SUPPLY)
                for name, value in chosen.items()
                if name.startswith(SUPPLY) and value is False
            ),
            now=now if isinstance(now, int) else self._start,
            timed=NOW in chosen,
        )

    def _evaluation(self, context: Context, line: Line) -> Evaluation:
        user = context.user
        attributes = context.attributes
        if user is not None:
            own = {"user.iss": user.issuer, "user.sub": user.subject, "user.groups": user.groups or None}
            attributes = {**attributes, **own}
        return Evaluation(
            atoms=self._who.numbers(line.atoms),
            principal=self._who.principal.segments,
            path=self._path,
            context=attributes,
            supplied=self._families - context.missing,
            user=user,
            now=context.now,
        )
