"""Names that nothing declares: what is said of them, wherever they stand.

A name that a damaged statement would have declared is not called unknown. Groups, roles, trust domains and
conditions are looked up, and missed, where they are resolved.
"""

from pdp.compiler.environment import Environment
from pdp.diagnostics import Diagnostic, Span, did_you_mean
from pdp.lang import ast

__all__ = ["unknown_issuer", "unknown_service"]


def unknown_service(name: ast.Name, environment: Environment) -> list[Diagnostic]:
    """A diagnostic if there is no such service."""
    if name.text in environment.services or name.text in environment.damaged:
        return []
    help_ = did_you_mean(name.text, environment.services) or "declare it: `service NAME { ... }`"
    return [Diagnostic(code="PDP225", message=f"unknown service `{name.text}`", span=name.span, help=help_)]


def unknown_issuer(alias: str, span: Span, environment: Environment) -> list[Diagnostic]:
    """A diagnostic if there is no such issuer."""
    if alias in environment.issuers or alias in environment.damaged:
        return []
    help_ = did_you_mean(alias, environment.issuers) or f'declare it: `issuer {alias} = "https://..."`'
    return [Diagnostic(code="PDP229", message=f"unknown issuer `{alias}`", span=span, help=help_)]
