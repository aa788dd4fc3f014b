"""What people are told about rules, in columns: where each stands, and what its author called it."""

from array import array
from dataclasses import dataclass, field
from typing import NamedTuple, Self, final

from pdp.vocabulary import Effect

__all__ = ["RuleText", "RuleTexts", "rule_text"]


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

    def finished(self) -> Self:
        """The same rules, once there will be no more, without the room that was kept for others."""
        self.lines, self.starts = array("I", self.lines), array("I", self.starts)
        self.ids, self.effects, self.scopes = array("Q", self.ids), bytearray(self.effects), [*self.scopes]
        return self

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
