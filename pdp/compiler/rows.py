"""What rules come to: rows, one for each principal term and target.

A row is flat and small, since there may be a million. What most rows do without (conditions,
exceptions, equalities between captures, obligations, dates) is in a `Detail` beside it.
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, final

import msgspec

from pdp.compiler.conditions import Condition, Test
from pdp.compiler.evaluation import Place
from pdp.diagnostics import Diagnostic
from pdp.lang import ast
from pdp.vocabulary import Effect, Millis, Obligation

__all__ = [
    "ANY_METHOD",
    "Detail",
    "ExceptedPath",
    "Row",
    "RowKind",
    "RuleText",
    "RuleTexts",
    "Unit",
    "Written",
    "rule_text",
]

#: The mask of `any`: every method that has a number, and all that have none (bit 0).
ANY_METHOD: Final = (1 << 63) - 1


class RowKind:
    """What a row does, as bits; the index keeps them in one byte.

    Plain integers: an `IntFlag` takes longer to test than a whole decision may.
    """

    ALLOW: Final = 0
    DENY: Final = 1
    SHADOW: Final = 2
    DETAILED: Final = 4  # it has a Detail
    RESTRICTS: Final = 8  # a deny, or an allow with obligations: its absence matters to an allow


@final
class Written(msgspec.Struct, frozen=True, gc=False):
    """What a row's condition was compiled from, for explanations; nothing that decides reads it.

    Attributes:
        users: `on behalf of`, or empty.
        when: The condition that has to be true, or None.
        unless: The condition that has to be false, or None.
        captures: What each capture stands for.
    """

    users: tuple[ast.UserPattern, ...]
    when: ast.Expr | None
    unless: ast.Expr | None
    captures: Mapping[str, Place]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """The rare parts of a row.

    Attributes:
        condition: `when`, `unless` and the user, or None.
        test: What decides the condition.
        equalities: Pairs of a path index and the index of a principal's segment that must be equal.
        path_equalities: Pairs of path indexes that must be equal.
        principal_equalities: Pairs of indexes of the principal's segments that must be equal.
        exceptions: Excepted path patterns, with the equalities that make each one apply.
        obligations: What an allow demands.
        valid_from: First instant at which it holds, or None.
        until: First instant at which it no longer holds, or None.
        written: What its author wrote, where there is a condition or the principal has a capture twice.
    """

    condition: Condition | None = None
    test: Test | None = None
    equalities: tuple[tuple[int, int], ...] = ()
    path_equalities: tuple[tuple[int, int], ...] = ()
    principal_equalities: tuple[tuple[int, int], ...] = ()
    exceptions: tuple["ExceptedPath", ...] = ()
    obligations: tuple[Obligation, ...] = ()
    valid_from: Millis | None = None
    until: Millis | None = None
    written: Written | None = None

    @property
    def timed(self) -> bool:
        """Whether its truth can change with time alone."""
        windows = self.condition is not None and bool(self.condition.windows)
        return windows or self.valid_from is not None or self.until is not None

    @property
    def reads_principal(self) -> bool:
        """Whether it reads the principal beyond its atom."""
        return (
            bool(self.equalities or self.principal_equalities)
            or any(exception.equalities for exception in self.exceptions)
            or (self.condition is not None and self.condition.principal)
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptedPath:
    """One excepted path: it applies where the pattern matches and all equalities hold."""

    pattern: tuple[ast.Segment, ...]
    equalities: tuple[tuple[int, int], ...]
    path_equalities: tuple[tuple[int, int], ...]


@final
class Row(msgspec.Struct, frozen=True, gc=False):
    """One rule for one principal term and one target.

    Attributes:
        atom: Number of the principal atom.
        mask: Bit mask of method numbers.
        path: The path pattern.
        kind: What it does: bits of `RowKind`.
        rule: The rule's number within its unit.
        detail: Its rare parts, or None.
    """

    atom: int
    mask: int
    path: tuple[ast.Segment, ...]
    kind: int
    rule: int
    detail: Detail | None


class RuleText(NamedTuple):
    """What people are told about a rule."""

    name: str
    file: str
    line: int
    effect: Effect
    shadow: bool
    because: str
    owner: str


def rule_text(
    *, file: str, line: int, effects: int, content_id: int, scope: str, name: str, notes: tuple[str, str]
) -> RuleText:
    """What people are told about a rule, of what is kept of it; see `RuleTexts`."""
    deny, shadow = effects & 1, effects & 2
    effect = Effect.DENY if deny else Effect.ALLOW
    own = name or f"{effect._value_}-{content_id:010x}"  # `value` is a call
    return RuleText(f"{scope}/{own}", file, line, effect, bool(shadow), *notes)


@final
@dataclass(slots=True, kw_only=True)
class RuleTexts:
    """The rules of one file, in columns: a rule costs some twenty bytes here.

    Attributes:
        file: The file.
        lines: Line of each rule.
        starts: Offset of each rule in the file.
        names: Qualified names, where an author gave one.
        ids: Content ids of all rules.
        scopes: Where each is written: the service, or `platform`.
        effects: 0 allow, 1 deny, plus 2 for shadow.
        notes: Reason and owner, where given.
    """

    file: str
    lines: "array[int]" = field(default_factory=lambda: array("I"))
    starts: "array[int]" = field(default_factory=lambda: array("I"))
    ids: "array[int]" = field(default_factory=lambda: array("Q"))
    effects: bytearray = field(default_factory=bytearray)
    scopes: list[str] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    notes: dict[int, tuple[str, str]] = field(default_factory=dict)

    def add(self, *, line: int, start: int, content_id: int, effect: Effect, shadow: bool, scope: str) -> int:
        """Append a rule; returns its number."""
        self.lines.append(line)
        self.starts.append(start)
        self.ids.append(content_id)
        self.effects.append((effect is Effect.DENY) + 2 * shadow)
        self.scopes.append(scope)
        return len(self.lines) - 1

    def within(self, scope: str) -> list[int]:
        """The rules that are written in a scope."""
        return [rule for rule, written in enumerate(self.scopes) if written == scope]

    def text(self, rule: int) -> RuleText:
        """What people are told about it."""
        return rule_text(
            file=self.file,
            line=self.lines[rule],
            effects=self.effects[rule],
            content_id=self.ids[rule],
            scope=self.scopes[rule],
            name=self.names.get(rule, ""),
            notes=self.notes.get(rule, ("", "")),
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One file, lowered.

    Attributes:
        texts: Its rules, for people.
        by_service: Rows about one service.
        on_any: Rows about every service.
        scopes: Where its rules are written: services, or `platform`.
        demanding: The rows that demand something of a header, by service, None for every one.
        diagnostics: What is wrong with it.
    """

    texts: RuleTexts
    by_service: Mapping[str, tuple[Row, ...]]
    on_any: tuple[Row, ...]
    scopes: frozenset[str]
    demanding: Mapping[str | None, tuple[Row, ...]]
    diagnostics: tuple[Diagnostic, ...]
