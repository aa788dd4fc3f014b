"""The shape of `/v1/decide`'s answer, and of everything in it.

Everything is plain: no enums, no row numbers, instants as text. Rule names, places and
reasons come from policy text; they are data here, and escaped by whoever prints them. How a
decision gets this shape is left to `pdp.adapters.answer`.
"""

from typing import TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from pdp.vocabulary import AttributeValue, Millis

__all__ = [
    "Answer",
    "ConsideredRule",
    "DifferenceBody",
    "ExplanationBody",
    "NearestRule",
    "ProblemBody",
    "RegionBody",
    "RuleRef",
    "ShadowBody",
    "StepBody",
]

#: A segment; null for any one; or any but those listed, by `not`, `not_prefix` and `not_suffix`.
StepBody: TypeAlias = str | dict[str, tuple[str, ...]] | None


class RuleRef(msgspec.Struct, frozen=True, kw_only=True):
    """A rule: its name, where it stands (`file:line`), and its author's reason, if that is told."""

    name: str
    at: str
    because: str | UnsetType = UNSET


class RegionBody(msgspec.Struct, frozen=True, kw_only=True):
    """The requests over which the answer holds; see `pdp.vocabulary.Region`.

    `evidence` names members of the question, `principal` or `user`, that were proven by evidence: of those
    a question within the region holds the very same. It is left out where nothing was.
    """

    service: str
    principal: str | None
    method: str | None
    path: list[StepBody]
    rest: bool
    context: dict[str, AttributeValue | None]
    evidence: list[str] | UnsetType = UNSET


class ShadowBody(msgspec.Struct, frozen=True, kw_only=True):
    """What the answer would have been with the shadow rules enforced."""

    decision: str
    reason: str
    rules: list[RuleRef]


class DifferenceBody(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that keeps a rule from holding: what was given, and what it wants.

    `truth` is there for a test of a condition: `false`, or `unknown`.
    """

    coordinate: str
    given: str
    wanted: str
    truth: str | UnsetType = UNSET


class ConsideredRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule on the path about the principal, and what became of it.

    `differences` is left out where there are none to tell: what of its captures, exceptions, dates
    and condition keeps it from holding, and for a deny that holds because its condition is unknown,
    what would have to be otherwise.
    """

    rule: RuleRef
    effect: str
    shadow: bool
    outcome: str
    differences: list[DifferenceBody] | UnsetType = UNSET


class NearestRule(msgspec.Struct, frozen=True, kw_only=True):
    """The allow that is closest to the request."""

    rule: RuleRef
    differences: list[DifferenceBody]


class ProblemBody(msgspec.Struct, frozen=True, kw_only=True):
    """What is ambiguous about the path or the method: a stable code, and a sentence."""

    code: str
    sentence: str


class ExplanationBody(msgspec.Struct, frozen=True, kw_only=True):
    """Why the answer came out as it did.

    `reading` is left out where the path was read as it stands in the request, `problem` where path
    and method are not ambiguous, and the version is not stale.
    """

    considered: list[ConsideredRule]
    nearest: NearestRule | None
    reading: str | UnsetType = UNSET
    problem: ProblemBody | UnsetType = UNSET


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one question.

    Attributes:
        decision: `allow` or `deny`.
        reason: Why, a value of `pdp.vocabulary.Reason`.
        enforced: False only where an observed service lets a default deny pass.
        rules: The rules that decided.
        decision_id: A ULID.
        revision: The version it was made under.
        age_seconds: How long ago the source last confirmed that version.
        region: Where it holds, or null for this very request only.
        max_age_ms: How long it may be reused, counted from the instant the question was sent.
        valid_until: The first instant at which it may differ (RFC 3339, UTC), or null for never.
        obligations: What an allow demands: `set_header` with `value`, or `remove_header`.
        reuse: `counted` (hits are reported by decision id) or `no`.
        shadow: What shadow rules would have changed; left out where nothing.
        explanation: Left out where none was asked for.
    """

    decision: str
    reason: str
    enforced: bool
    rules: list[RuleRef]
    decision_id: str
    revision: str
    age_seconds: int
    region: RegionBody | None
    max_age_ms: Millis
    valid_until: str | None
    obligations: list[dict[str, str]]
    reuse: str
    shadow: ShadowBody | UnsetType = UNSET
    explanation: ExplanationBody | UnsetType = UNSET
