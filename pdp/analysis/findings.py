"""Invariants that do not hold, are not known to hold, or say nothing: each as a diagnostic.

When they are found is left to `pdp.analysis.invariants`.
"""

from typing import Final

from pdp.analysis.decisions import Undecided
from pdp.analysis.witnesses import Witness, deciding_rules
from pdp.diagnostics import Diagnostic, Severity
from pdp.index.rule_index import RuleIndex
from pdp.lang import ast
from pdp.limits import MAX_INVARIANT_STEPS

__all__ = ["broken", "doubtful", "undecided"]

_HELP_NEVER: Final = "take it away from the rules that allow it, or say in the invariant what it leaves out"
_HELP_DENIED: Final = "narrow the deny, or say in the invariant what it leaves out"
_HELP_DEFAULT: Final = "add an allow, or say in the invariant what it leaves out"


def broken(item: ast.Invariant, seen: Witness, index: RuleIndex) -> Diagnostic:
    """A request that it forbids is allowed, or one that it demands is denied."""
    request = seen.request
    rules = deciding_rules(index, request.service, seen.decision)
    verb = "may not" if item.always else "may"
    asked = f"{request.method} {request.service} {request.path}"
    message = f"`{request.principal.id}` {verb} `{asked}`{seen.words}"
    help_ = (_HELP_DENIED if rules else _HELP_DEFAULT) if item.always else _HELP_NEVER
    by = "denied" if item.always else "allowed"
    return Diagnostic(
        code="PDP502" if item.always else "PDP501",
        message=message,
        span=item.span,
        label="this does not hold",
        help=help_,
        related=tuple((span, f"{by} by `{name}`") for span, name in rules),
    )


def undecided(item: ast.Invariant, why: Undecided, service: str) -> Diagnostic:
    """Whether it holds on a service is not known."""
    if why is Undecided.READINGS:
        message = (
            f"this invariant cannot be decided on service `{service}`, which reads paths in several ways"
        )
        help_ = "drop `paths may have` from the service, or name other services in the invariant"
    else:
        message = f"not decided within {MAX_INVARIANT_STEPS} steps, the last of them on service `{service}`"
        help_ = "name fewer services, methods or paths in it, or compare fewer attributes in one condition"
    return Diagnostic(code="PDP503", message=message, span=item.span, label="not known to hold", help=help_)


def doubtful(item: ast.Invariant, *, never_true: bool) -> Diagnostic:
    """It matches no request, or its condition is never true."""
    message = "the condition can never be true" if never_true else "no request matches this invariant"
    help_ = "it holds whatever the rules say: check its names, exceptions and condition"
    return Diagnostic(code="PDP504", severity=Severity.WARNING, message=message, span=item.span, help=help_)
