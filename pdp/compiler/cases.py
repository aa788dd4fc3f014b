"""What is checked of the tests beside the policies: that each names one request, and rules that exist.

Whether a case holds is the business of `pdp.analysis.policy_tests`.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from pdp.compiler.attributes import attribute_type, how_to_write, type_problem
from pdp.compiler.environment import Environment
from pdp.compiler.lower import PLATFORM
from pdp.compiler.resolve import Resolver
from pdp.compiler.rows import Unit
from pdp.compiler.unknown import unknown_issuer, unknown_service
from pdp.diagnostics import Diagnostic, Span, did_you_mean, has_errors
from pdp.lang import ast
from pdp.lang.parsed import Parsed

__all__ = ["test_problems"]

_CONTENT_ID: Final = re.compile(r"(?:allow|deny)-([0-9a-f]{10})")


def test_problems(
    parsed: Sequence[Parsed], environment: Environment, units: Sequence[Unit], resolver: Resolver
) -> list[Diagnostic]:
    """What is wrong with the test cases of a set."""
    cases = [
        case
        for file in parsed
        for item in file.file.items
        if isinstance(item, ast.TestBlock)
        for case in item.cases
    ]
    found = [problem for case in cases for problem in _case(case, environment, resolver)]
    whole = not any(has_errors(file.diagnostics) for file in parsed)
    named = [
        (case.service.text, case.rule)
        for case in cases
        if case.rule is not None and case.service.text in environment.services
    ]
    if named and whole:  # else the rule may be among those that could not be read
        found += _unknown_rules(named, units)
    return found


def _case(case: ast.TestCase, environment: Environment, resolver: Resolver) -> Iterator[Diagnostic]:
    yield from unknown_service(case.service, environment)
    if isinstance(case.principal, ast.PrincipalPattern):
        literal = all(isinstance(segment, ast.LiteralSegment) for segment in case.principal.segments)
        if literal and case.principal.trust_domain != "*":
            resolver.term(case.principal)
        else:
            help_ = "write every segment out"
            yield _error("PDP106", "a test names one exact principal", case.principal.span, help_)
    elif isinstance(case.principal, ast.DnsPattern) and case.principal.name.startswith("*"):
        help_ = "write the name out"
        yield _error("PDP106", "a test names one exact principal", case.principal.span, help_)
    if case.user is not None:
        yield from _user(case.user, environment)
    for name, values in case.context:
        yield from _attribute(name, values, environment)
    for family in case.supplying or ():
        if family.text not in environment.families:
            known = ", ".join(f"`{known}`" for known in sorted(environment.families))
            help_ = did_you_mean(family.text, environment.families) or f"known are {known}"
            yield _error("PDP230", f"unknown family of attributes `{family.text}`", family.span, help_)


def _user(user: ast.UserPattern, environment: Environment) -> list[Diagnostic]:
    if user.kind is not ast.UserKind.SUBJECT:
        return [_error("PDP109", "a test names one user", user.span, "write `on behalf of ISSUER/SUBJECT`")]
    return unknown_issuer(user.issuer, user.span, environment)


def _attribute(
    name: ast.Name, values: tuple[ast.Value, ...] | None, environment: Environment
) -> list[Diagnostic]:
    type_ = attribute_type(name.text, environment.attributes)
    if isinstance(type_, str) and name.text in environment.damaged:
        return []
    if isinstance(type_, str):
        help_ = type_ or f"declare it: `attribute {name.text} is string`"
        return [_error("PDP206", f"unknown attribute `{name.text}`", name.span, help_)]
    if values is None:
        return []
    if len(values) > 1 and type_ is not ast.AttributeType.STRINGS:
        help_ = f"write one value, without braces: `{name.text} = ...`"
        return [_error("PDP331", f"`{name.text}` holds one {type_.value}", name.span, help_)]
    for value in values:
        plain = value.text if isinstance(value, ast.AddressValue) else value.value
        if type_problem(type_, plain):
            message = f"`{name.text}` is of type `{type_.value}`"
            return [_error("PDP332", message, value.span, how_to_write(type_))]
    return []


# -- rules by name ---------------------------------------------------------------------


def _unknown_rules(named: Sequence[tuple[str, ast.Name]], units: Sequence[Unit]) -> Iterator[Diagnostic]:
    scopes = {service for service, _ in named} | {PLATFORM}
    names: dict[str, set[str]] = {scope: set() for scope in scopes}
    for unit in units:
        for rule, name in unit.texts.names.items():
            names.get(unit.texts.scopes[rule], set()).add(name)
    for service, wanted in named:
        known = {name for scope in (service, PLATFORM) for name in names[scope]}
        plain = wanted.text
        for scope in (service, PLATFORM):
            plain = plain.removeprefix(f"{scope}/")
        if plain not in known and not _has_content_id(plain, {service, PLATFORM}, units):
            help_ = did_you_mean(plain, known) or _name_it(plain)
            yield _error("PDP232", f"service `{service}` has no rule `{wanted.text}`", wanted.span, help_)


def _name_it(name: str) -> str:
    if _CONTENT_ID.fullmatch(name):
        return "the rule says something else by now, or is gone: give it a name with `as`"
    if "/" in name:
        return "only rules of the service and of the platform decide about it"
    return f"name a rule so: `as {name}`"


def _has_content_id(name: str, scopes: set[str], units: Sequence[Unit]) -> bool:
    """Whether a rule without a name is called so; those of other services are not meant."""
    match = _CONTENT_ID.fullmatch(name)
    if match is None:
        return False
    wanted = int(match[1], 16)
    return any(
        content == wanted
        and unit.texts.scopes[rule] in scopes
        and unit.texts.text(rule).name == f"{unit.texts.scopes[rule]}/{name}"
        for unit in units
        if wanted in unit.texts.ids
        for rule, content in enumerate(unit.texts.ids)
    )


def _error(code: str, message: str, span: Span, help_: str = "") -> Diagnostic:
    return Diagnostic(code=code, message=message, span=span, help=help_)
