"""Witnesses: what a search found, as a request, confirmed by the engine and put in words."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import final

from pdp.analysis.demands import Found
from pdp.diagnostics import Span
from pdp.engine.decide import decide
from pdp.index.rule_index import RuleIndex
from pdp.vocabulary import AttributeValue, Decision, Effect, Millis, Reason, Request

__all__ = ["DisagreementError", "Witness", "allowed_by_rule", "deciding_rules", "witness"]


class DisagreementError(RuntimeError):
    """The analysis and the engine disagree about a request: a defect of ours, never an author's mistake."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A request that breaks an invariant.

    Attributes:
        request: The request.
        decision: What the engine makes of it.
        words: The same for people.
    """

    request: Request
    decision: Decision
    words: str


def witness(index: RuleIndex, service: str, found: Found, families: frozenset[str]) -> Witness:
    """What a search found, decided by the engine.

    Args:
        index: The index that is asked.
        service: The service.
        found: What was found.
        families: All families; those that the context does not leave out are supplied.
    """
    context = found.context
    attributes = {name: value for name, value in context.attributes.items() if value is not None}
    request = Request(
        principal=found.who.principal,
        service=service,
        method=found.method,
        path="/" + "/".join(found.path),
        now=context.now,
        user=context.user,
        context=attributes,
        supplied=families - context.missing,
    )
    return Witness(request=request, decision=decide(index, request), words=_words(found))


def allowed_by_rule(decision: Decision) -> bool:
    """Whether a rule allows it: an observed service's default does not count."""
    return decision.effect is Effect.ALLOW and decision.reason is Reason.ALLOWED


def deciding_rules(index: RuleIndex, service: str, decision: Decision) -> list[tuple[Span, str]]:
    """Where the deciding rules are written, and their names."""
    columns = index.service(service).columns
    found = []
    for rule in decision.rules:
        text, start = columns.text(rule), columns.start(rule)
        found.append((Span(file=text.file, start=start, end=start + 1), text.name))
    return found


def _words(found: Found) -> str:
    """The parts of a request's context that made a difference; empty where none did."""
    context = found.context
    parts = []
    if context.user is not None:
        groups = f" in {_value(context.user.groups)}" if context.user.groups else ""
        parts.append(f"on behalf of {_value(context.user.subject)} of {_value(context.user.issuer)}{groups}")
    elif context.user_read:
        parts.append("without a user")
    given = [f"`{name}` = {_value(value)}" for name, value in context.attributes.items() if value is not None]
    if given:
        parts.append(f"with {', '.join(given)}")
    missing = [f"`{name}`" for name, value in context.attributes.items() if value is None]
    if missing:
        parts.append(f"without {', '.join(missing)}")
    if context.missing:
        families = ", ".join(f"`{family}`" for family in sorted(context.missing))
        parts.append(f"where nobody supplies {families}")
    if context.timed:
        parts.append(f"at {_instant(context.now)}")
    return "".join(f", {part}" for part in parts)


def _value(value: AttributeValue) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _instant(instant: Millis) -> str:
    """An instant as the language writes it."""
    moment = datetime.fromtimestamp(instant // 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
