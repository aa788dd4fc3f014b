"""Principal terms to atoms: names resolved, groups unfolded, `except` made part of the set.

Every mistake about who is meant is found here: unknown trust domains, issuers and groups,
groups that contain themselves, captures where they bind nothing, and an empty group after
`except` or `unless`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, final

from msgspec.structs import replace

from pdp.compiler.atoms import (
    AUTHENTICATED,
    EVERYONE,
    Atom,
    DnsSuffixAtom,
    ExactAtom,
    PatternAtom,
    SetAtom,
)
from pdp.compiler.environment import Environment
from pdp.diagnostics import Diagnostic, Span, did_you_mean
from pdp.lang import ast
from pdp.limits import MAX_GROUP_NESTING

__all__ = ["Resolver"]

# What other languages call everybody.
_EVERYBODY: Final = frozenset({"*", "**", "all", "any", "anybody", "everybody", "everyone", "world"})


@final
@dataclass(slots=True, kw_only=True)
class Resolver:
    """Resolves terms against one environment; groups are unfolded once."""

    environment: Environment
    diagnostics: list[Diagnostic] = field(default_factory=list)
    _groups: dict[str, Atom | None] = field(default_factory=dict)
    _active: list[str] = field(default_factory=list)

    def _report(self, code: str, message: str, span: Span, help_: str = "") -> None:
        self.diagnostics.append(Diagnostic(code=code, message=message, span=span, help=help_))

    def term(self, term: ast.PrincipalTerm, *, binds: bool = False) -> Atom | None:
        """The atom of a term, or None where a mistake was reported.

        Args:
            term: The term.
            binds: Whether its captures may bind: they may in a rule's own terms, and nowhere else.
        """
        match term:
            case ast.Anyone():
                return EVERYONE
            case ast.AnyAuthenticated():
                return AUTHENTICATED
            case ast.AnyPrincipalOf(trust_domain=name):
                domain = self._trust_domain(name.text, name.span)
                return None if domain is None else PatternAtom(domain, (None,), open=True)
            case ast.DnsPattern(name=dns):
                return DnsSuffixAtom(dns[1:]) if dns.startswith("*.") else ExactAtom(f"dns:{dns}")
            case ast.GroupRef(name=name, span=span):
                return self._group(name, span)
            case ast.PrincipalPattern():
                return self._pattern(term, binds=binds)

    def _trust_domain(self, name: str, span: Span) -> str | None:
        domain = self.environment.trust_domains.get(name)
        if domain is None and name not in self.environment.damaged:
            self._report("PDP219", f"unknown trust domain `{name}`", span, self._meant_domain(name))
        return domain

    def _meant_domain(self, name: str) -> str:
        """What to write instead of a trust domain that has no such name."""
        known = self.environment.trust_domains
        alias = next((alias for alias, domain in known.items() if domain == name), "")
        if alias:
            return f"its short name is `{alias}`: write `{alias}/...`"
        return did_you_mean(name, known) or f'declare it: `trust domain {name} = "..."`'

    def _pattern(self, pattern: ast.PrincipalPattern, *, binds: bool) -> Atom | None:
        domain: str | None = pattern.trust_domain
        if domain == "*":
            domain = None
        elif not pattern.written_out:
            first = replace(pattern.span, end=pattern.span.start + len(pattern.trust_domain))
            domain = self._trust_domain(pattern.trust_domain, first)
            if domain is None:
                return None
        segments: list[str | None] = []
        for segment in pattern.segments:
            match segment:
                case ast.LiteralSegment(text=text):
                    segments.append(text)
                case ast.RestSegments():
                    pass
                case ast.Capture(name=name) if not binds:
                    self._report(
                        "PDP220", f"capture `{{{name}}}` binds nothing here", pattern.span, "write `*`"
                    )
                    return None
                case _:
                    segments.append(None)
        is_open = isinstance(pattern.segments[-1], ast.RestSegments)
        if domain is not None and not is_open and None not in segments:
            return ExactAtom(f"spiffe://{domain}/{'/'.join(map(str, segments))}")
        if is_open and not segments:
            segments = [None]  # a workload's ID has at least one segment
        return PatternAtom(domain, tuple(segments), is_open)

    def _group(self, name: str, span: Span) -> Atom | None:
        if name in self._groups:
            return self._groups[name]
        declared = self.environment.groups.get(name)
        if declared is None:
            if name not in self.environment.damaged:
                self._report("PDP221", f"unknown group `{name}`", span, self._meant_group(name))
            return None
        if name in self._active:
            circle = [*self._active[self._active.index(name) :], name]
            help_ = f"it leads back to itself: {' in '.join(f'`{each}`' for each in reversed(circle))}"
            self._report("PDP222", f"group `{name}` contains itself", declared.name.span, help_)
            return None
        if len(self._active) >= MAX_GROUP_NESTING:
            help_ = "write the members of some of them out"
            self._report(
                "PDP913", f"groups nest more than {MAX_GROUP_NESTING} deep", declared.name.span, help_
            )
            return None
        self._active.append(name)
        try:
            members = self.environment.group_files.get(name, declared.members)
            self._groups[name] = self.set_of(members)
        finally:
            self._active.pop()
        return self._groups[name]

    def _meant_group(self, name: str) -> str:
        """What to write instead of a group that does not exist."""
        if name in _EVERYBODY:
            return "everybody is `anyone`"
        if name == "anonymous":
            return "only a test names `anonymous`; a rule's `anyone` includes the unauthenticated"
        if name in self.environment.trust_domains:
            return f"for every principal of a trust domain write `any principal of {name}`"
        declare = f"declare it: `group {name} = {{ ... }}`; a principal has a `/`"
        return did_you_mean(name, self.environment.groups) or declare

    def set_of(self, principals: ast.PrincipalSet) -> Atom | None:
        """The atom of terms with their exceptions; a set of one term is that term."""
        terms = [self.term(term) for term in principals.terms]
        excluded = self.excluded(principals.excluded)
        if excluded is None or None in terms:
            return None
        known = frozenset(atom for atom in terms if atom is not None)
        if len(known) == 1 and not excluded:
            return next(iter(known))
        return SetAtom(known, excluded)

    def excluded(self, terms: Iterable[ast.PrincipalTerm]) -> frozenset[Atom] | None:
        """The atoms after `except`, none of which may be empty."""
        found: set[Atom] = set()
        complete = True
        for term in terms:
            atom = self.nonempty(term)
            complete = complete and atom is not None
            found.update([atom] if atom is not None else [])
        return frozenset(found) if complete else None

    def nonempty(self, term: ast.PrincipalTerm) -> Atom | None:
        """The atom of a term that takes away from a rule: an empty group there is a mistake."""
        atom = self.term(term)
        if isinstance(atom, SetAtom) and _is_empty(atom):
            name = term.name if isinstance(term, ast.GroupRef) else ""
            help_ = (
                "what is left out here would widen the rule in silence; drop the exception or fill the group"
            )
            self._report("PDP223", f"group `{name}` is empty", term.span, help_)
            return None
        return atom


def _is_empty(atom: Atom) -> bool:
    if not isinstance(atom, SetAtom):
        return False
    return all(_is_empty(term) or term in atom.excluded for term in atom.terms)
