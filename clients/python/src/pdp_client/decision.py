"""What an answer says, once all of it is understood.

How answers are read is left to `pdp_client.answers`; which later requests one answers, to
`pdp_client.region`.
"""

from typing import Any, Literal, NoReturn, TypeAlias

import msgspec

from pdp_client.region import Region

__all__ = ["Decision", "Obligation", "RemoveHeader", "Rule", "SetHeader"]


class SetHeader(msgspec.Struct, frozen=True):
    """The request goes on with this header, and no other of that name."""

    name: str
    value: str


class RemoveHeader(msgspec.Struct, frozen=True):
    """The request goes on without this header."""

    name: str


Obligation: TypeAlias = SetHeader | RemoveHeader


class Rule(msgspec.Struct, frozen=True):
    """A rule that decided: its name, its file and line, and its author's reason, if that is told."""

    name: str
    at: str
    because: str | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """An answer. Look at `allowed`, and fulfil all `obligations` of an allow, or let nothing pass.

    Attributes:
        effect: `allow` or `deny`.
        reason: Why.
        enforced: False only where an observed service lets a default denial pass.
        obligations: What an allow demands.
        decision_id: The answer's name in the decision log.
        revision: The version of the policies that it was made under.
        age_seconds: How long before the source had confirmed that version.
        reused: Whether it was taken from memory. Then it has no rules, shadow and explanation: those
            are of the request that was asked first.
        rules: The rules that decided.
        shadow: What shadow rules would have changed, as the service says it.
        explanation: Where one was asked for, as the service says it.
        region: The requests over which it holds, or None for this one only.
        max_age_ms: How long it may be used again, counted from when the question was sent.
        valid_until: The instant (Unix time, in seconds) at which it ends, or None for never.
        counted: Whether it may be used again at all, each time counted.
    """

    effect: Literal["allow", "deny"]
    reason: str
    enforced: bool
    obligations: tuple[Obligation, ...]
    decision_id: str
    revision: str
    age_seconds: int
    reused: bool = False
    rules: tuple[Rule, ...] = ()
    shadow: dict[str, Any] | None = None
    explanation: dict[str, Any] | None = None
    region: Region | None = None
    max_age_ms: int = 0
    valid_until: float | None = None
    counted: bool = False

    @property
    def allowed(self) -> bool:
        """Whether the request may go on, its obligations fulfilled."""
        return self.effect == "allow"

    def __bool__(self) -> NoReturn:
        # An `if client.decide(...)` would let everything pass that has an answer.
        raise TypeError("a decision has no truth of its own: ask `.allowed`, and fulfil `.obligations`")

    def again(self) -> "Decision":
        """The same for another request of its region: without what is of the first one alone."""
        return msgspec.structs.replace(self, reused=True, rules=(), shadow=None, explanation=None)
