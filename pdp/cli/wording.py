"""Questions and answers in words, for people at a terminal.

Every function returns text that is safe to print: names and values from policies and
arguments are escaped here. Nothing parses these words; programs read `--json`.
"""

from collections.abc import Callable, Mapping
from typing import Final

from pdp.compiler.rule_texts import RuleText
from pdp.diagnostics import escape
from pdp.paths import AmbiguousPathError, canonical, method_problem
from pdp.vocabulary import (
    AttributeValue,
    Decision,
    Excluding,
    Obligation,
    ObligationKind,
    PathStep,
    Reason,
    Region,
    Request,
)

__all__ = ["attribute", "duty", "outcome", "question", "reason", "region", "rule"]

_REASONS: Final = {
    Reason.ALLOWED: "allowed",
    Reason.OBSERVED: "no rule matched, and the service is only observed: nothing is enforced",
    Reason.DENIED_BY_RULE: "denied by a rule",
    Reason.NO_RULE_MATCHED: "no rule matched",
    Reason.AMBIGUOUS_PATH: "the path is ambiguous",
    Reason.AMBIGUOUS_METHOD: "the method is ambiguous",
    Reason.UNKNOWN_SERVICE: "the service is not declared",
    Reason.STALE: "the policies were confirmed too long ago",
    Reason.QUARANTINED: "whom it is about is quarantined",
}


def question(request: Request) -> str:
    """May who do what, with which attributes."""
    asked = f"may {escape(request.principal.id)} {escape(request.method)} {escape(request.path)}"
    parts = [f"{asked} on {escape(request.service)}"]
    if request.user is not None:
        parts.append(f"on behalf of {escape(request.user.issuer)} {escape(request.user.subject)}")
    parts += [f"with {attribute(name, value)}" for name, value in request.context.items()]
    return ", ".join(parts) + "?"


def outcome(decision: Decision, rules: tuple[RuleText, ...], shown: Callable[[str], str]) -> str:
    """Effect and why, on one line."""
    if not rules:
        return f"{decision.effect.value}: {_REASONS[decision.reason]}"
    return f"{decision.effect.value} by {', '.join(rule(text, shown) for text in rules)}"


def rule(text: RuleText, shown: Callable[[str], str]) -> str:
    """A rule by name and place."""
    return f"{escape(text.name)} at {escape(shown(text.file))}:{text.line}"


def reason(decision: Decision, request: Request) -> str:
    """Why, with what made a path or method ambiguous where one reading shows it."""
    said = _REASONS[decision.reason]
    if decision.reason is Reason.AMBIGUOUS_METHOD:
        problem = method_problem(request.method)
        return f"{said}: {problem.sentence if problem is not None else 'a header overrides it'}"
    if decision.reason is Reason.AMBIGUOUS_PATH:
        try:
            canonical(request.path)
        except AmbiguousPathError as error:
            return f"{said}: {error.problem.sentence}"
    return said


def region(found: Region) -> str:
    """The requests over which an answer holds."""
    path = "/" + "/".join(_step(step) for step in found.path)
    if found.rest:
        path = f"{path.removesuffix('/')}/**"
    who = "anyone" if found.principal is None else "this principal"
    held = f"{escape(found.method or 'any method')} {path} on {escape(found.service)} by {who}"
    return f"{held}, while {_context(found.context)}" if found.context else held


def _step(step: PathStep) -> str:
    if step is None:
        return "*"
    if isinstance(step, str):
        return escape(step)
    return f"<any but {', '.join(escape(text) for text in _excluded(step))}>"


def _excluded(step: Excluding) -> list[str]:
    prefixes = [f"{text}*" for text in step.prefixes]
    suffixes = [f"*{text}" for text in step.suffixes]
    return [*step.segments, *prefixes, *suffixes]


def _context(context: Mapping[str, AttributeValue | None]) -> str:
    return " and ".join(attribute(name, value) for name, value in context.items())


def attribute(name: str, value: AttributeValue | None) -> str:
    """An attribute with its value."""
    if value is None:
        return f"{escape(name)} is absent"
    if isinstance(value, bool):
        return f"{escape(name)} = {'true' if value else 'false'}"
    if isinstance(value, tuple):
        return f"{escape(name)} = {{ {', '.join(escape(item) for item in value)} }}"
    return f"{escape(name)} = {escape(str(value))}"


def duty(obligation: Obligation) -> str:
    """What the enforcement point must do."""
    match obligation.kind:
        case ObligationKind.SET_HEADER:
            return f'set header {escape(obligation.name)} = "{escape(obligation.value)}"'
        case ObligationKind.REMOVE_HEADER:
            return f"remove header {escape(obligation.name)}"
        case ObligationKind.REUSE_AT_MOST:
            return f"reuse for at most {obligation.value} ms"
