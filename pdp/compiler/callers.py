"""The caller table: who may ask about what, assert whom, and supply which attributes.

Entries are compiled like rules, to numbers of atoms; `pdp.service.authorization` applies them
to an authenticated caller.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from pdp.compiler.environment import Environment
from pdp.compiler.evaluation import Place
from pdp.compiler.matchers import capture_places
from pdp.compiler.numbers import Numbers
from pdp.compiler.resolve import Resolver
from pdp.compiler.unknown import unknown_issuer, unknown_service
from pdp.diagnostics import Diagnostic, did_you_mean
from pdp.lang import ast
from pdp.lang.parsed import Parsed
from pdp.vocabulary import EvidenceKind

__all__ = ["CallerEntry", "ServiceTemplate", "lower_callers"]

_KINDS: Final = tuple(kind.value for kind in EvidenceKind)
_CAPTURE: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTemplate:
    """A service's name with segments of the caller's identity in it.

    `parts` alternates text and indexes of the caller's segments.
    """

    parts: tuple[str | int, ...]

    def fill(self, segments: Sequence[str]) -> str:
        """The name for a caller with these segments."""
        return "".join(segments[part] if isinstance(part, int) else part for part in self.parts)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CallerEntry:
    """One entry, for one of its caller terms.

    Attributes:
        who: Number of the atom that the caller must be in.
        services: Services by name, or None for every service.
        templates: Services by the caller's own identity.
        asserts: Numbers of atoms that asserted principals may be in.
        itself: Whether the caller may be the principal.
        claims: Whether users and claims may be asserted.
        presents: Numbers of atoms whose principals evidence of a kind may prove.
        user_tokens: Issuers whose tokens may name the user, by their `iss`.
        explain: Whether explanations may be asked for.
        supplies: Families of attributes that the caller supplies whenever they exist.
    """

    who: int
    services: frozenset[str] | None
    templates: tuple[ServiceTemplate, ...]
    asserts: frozenset[int]
    itself: bool
    claims: bool
    presents: Mapping[EvidenceKind, frozenset[int]]
    user_tokens: frozenset[str]
    explain: bool
    supplies: frozenset[str]


def lower_callers(
    parsed: Sequence[Parsed], environment: Environment, numbers: Numbers, resolver: Resolver
) -> tuple[tuple[CallerEntry, ...], tuple[Diagnostic, ...]]:
    """Every caller entry of the set, and what is wrong with them."""
    before = len(resolver.diagnostics)
    diagnostics: list[Diagnostic] = []
    entries: list[CallerEntry] = []
    for item in (item for file in parsed for item in file.file.items):
        if isinstance(item, ast.Callers):
            entries.extend(_lower(item, environment, numbers, resolver, diagnostics))
    return tuple(entries), (*diagnostics, *resolver.diagnostics[before:])


def _lower(
    item: ast.Callers,
    environment: Environment,
    numbers: Numbers,
    resolver: Resolver,
    diagnostics: list[Diagnostic],
) -> list[CallerEntry]:
    asserts = set()
    kinds = set()
    for assertion in item.assertions:
        if isinstance(assertion.what, ast.AssertionKind):
            kinds.add(assertion.what)
        elif (atom := resolver.term(assertion.what)) is not None:
            asserts.add(numbers.atom(atom))
    presents = _presents(item.presents, numbers, resolver, diagnostics)
    for name in item.user_tokens:
        diagnostics += unknown_issuer(name.text, name.span, environment)
    known = (environment.issuers.get(name.text) for name in item.user_tokens)
    user_tokens = frozenset(issuer for issuer in known if issuer is not None)
    supplies = {name.text for name in item.supplies if _known_family(name, environment, diagnostics)}
    claims = ast.AssertionKind.CLAIMS in kinds
    if claims or user_tokens:
        supplies.add("user")
    if claims:
        supplies.add("principal")
    entries = []
    for term in item.who:
        who = resolver.term(term, binds=True)
        pattern = term.segments if isinstance(term, ast.PrincipalPattern) else ()
        places = dict(capture_places(pattern, principal=True))
        services, templates = _services(item.services, places, environment, diagnostics)
        if who is None:
            continue
        entries.append(
            CallerEntry(
                who=numbers.atom(who),
                services=services,
                templates=templates,
                asserts=frozenset(asserts),
                itself=ast.AssertionKind.ITSELF in kinds,
                claims=claims,
                presents=presents,
                user_tokens=user_tokens,
                explain=item.explain,
                supplies=frozenset(supplies),
            )
        )
    return entries


def _presents(
    presented: Sequence[ast.Presented],
    numbers: Numbers,
    resolver: Resolver,
    diagnostics: list[Diagnostic],
) -> dict[EvidenceKind, frozenset[int]]:
    found: dict[EvidenceKind, frozenset[int]] = {}
    for each in presented:
        resolved = [resolver.term(term) for term in each.principals]
        atoms = frozenset(numbers.atom(atom) for atom in resolved if atom is not None)
        for name in each.kinds:
            if name.text in _KINDS:
                kind = EvidenceKind(name.text)
                found[kind] = found.get(kind, frozenset()) | atoms
                continue
            message = f"unknown kind of evidence `{name.text}`"
            help_ = did_you_mean(name.text, _KINDS) or f"one of {', '.join(f'`{kind}`' for kind in _KINDS)}"
            diagnostics.append(Diagnostic(code="PDP233", message=message, span=name.span, help=help_))
    return found


def _known_family(name: ast.Name, environment: Environment, diagnostics: list[Diagnostic]) -> bool:
    if name.text in environment.families:
        return True
    help_ = did_you_mean(name.text, environment.families) or "declare an attribute of that family"
    message = f"unknown family of attributes `{name.text}`"
    diagnostics.append(Diagnostic(code="PDP230", message=message, span=name.span, help=help_))
    return False


def _services(
    services: ast.Services,
    places: Mapping[str, Place],
    environment: Environment,
    diagnostics: list[Diagnostic],
) -> tuple[frozenset[str] | None, tuple[ServiceTemplate, ...]]:
    if isinstance(services, ast.AnyService):
        return None, ()
    names = set()
    templates = []
    for name in services:
        if "{" in name.text:
            template = _template(name, places, diagnostics)
            templates.extend([template] if template is not None else [])
        elif name.text in environment.services:
            names.add(name.text)
        else:
            diagnostics += unknown_service(name, environment)
    return frozenset(names), tuple(templates)


def _template(
    name: ast.Name, places: Mapping[str, Place], diagnostics: list[Diagnostic]
) -> ServiceTemplate | None:
    parts: list[str | int] = []
    for index, part in enumerate(_CAPTURE.split(name.text)):
        if index % 2 == 0:
            parts.append(part)
        elif part in places:
            parts.append(places[part].index)
        else:
            message = f"capture `{{{part}}}` is not bound"
            help_ = "bind it in the caller's own pattern: `caller prod/ns/{ns}/sa/{sa} ...`"
            diagnostics.append(Diagnostic(code="PDP218", message=message, span=name.span, help=help_))
            return None
    return ServiceTemplate(parts=tuple(parts))
