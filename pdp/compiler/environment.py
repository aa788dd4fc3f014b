"""What the names of a policy set stand for.

This module gathers the declarations of all files into one `Environment` and reports names
that are declared twice, reserved, or not the declaring directory's to declare. Rules are
lowered against it file by file; it is compared by meaning, so an edit that declares nothing
new leaves every other file's lowered rules valid.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar, final

from pdp.compiler.delegation import Ownership, check_placement
from pdp.diagnostics import Diagnostic, Span
from pdp.lang import ast
from pdp.lang.parser import Parsed
from pdp.paths import AmbiguousHostError, Relaxation, canonical_host
from pdp.vocabulary import FAMILIES, Millis

__all__ = ["Environment", "ServiceInfo", "gather"]

T = TypeVar("T")

_TRUST_DOMAIN: Final = re.compile(r"[a-z0-9._-]{1,255}", re.ASCII)
_ATTRIBUTE: Final = re.compile(r"[a-z][a-z0-9_]*(?:\.[A-Za-z0-9_-]+)+", re.ASCII)
# fmt: off
_RESERVED: Final = frozenset(
    {
        "absent", "allow", "always", "and", "anonymous", "any", "anyone", "as", "at", "because", "behalf",
        "by", "call", "caller", "claims", "condition", "default", "delegate", "deny", "dns", "domain",
        "during", "except", "explain", "false", "from", "fronts", "group", "has", "header", "host", "in",
        "is", "issuer", "itself", "language", "may", "most", "namespace", "never", "not", "nothing",
        "observe", "of", "on", "or", "owner", "owns", "paths", "principal", "remove", "reuse", "role", "sa",
        "service", "set", "shadow", "supplies", "supplying", "test", "to", "true", "trust", "unless",
        "until", "user", "when", "with",
    }
)
# fmt: on
_RELAXATIONS: Final = {
    "encoded-slash": Relaxation.ENCODED_SLASH,
    "merged-slashes": Relaxation.MERGE_SLASHES,
    "trailing-slash": Relaxation.IGNORE_TRAILING_SLASH,
    "any-case": Relaxation.IGNORE_CASE,
}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceInfo:
    """A declared service.

    Attributes:
        observe_until: Until when a default deny is let pass, or None.
        hosts: Canonical host names it answers to.
        relaxations: Which further readings of its paths are decided.
        directory: Where it is declared.
    """

    observe_until: Millis | None
    hosts: tuple[str, ...]
    relaxations: Relaxation
    directory: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Every declaration of a policy set, by name."""

    trust_domains: Mapping[str, str]
    issuers: Mapping[str, str]
    groups: Mapping[str, ast.GroupDecl]
    roles: Mapping[tuple[str, str], ast.RoleDecl]
    conditions: Mapping[tuple[str, str], ast.ConditionDecl]
    attributes: Mapping[str, ast.AttributeType]
    services: Mapping[str, ServiceInfo]
    ownership: Ownership
    damaged: frozenset[str]
    group_files: Mapping[str, ast.PrincipalSet] = field(default_factory=dict)

    @property
    def families(self) -> frozenset[str]:
        """Families of attributes, those of declared attributes included."""
        return FAMILIES | {name.partition(".")[0] for name in self.attributes}

    def role(self, name: str, directory: str) -> ast.RoleDecl | None:
        """The role that a name means in a directory."""
        return _scoped(self.roles, name, self.ownership.scope(directory))

    def condition(self, name: str, directory: str) -> ast.ConditionDecl | None:
        """The condition that a name means in a directory."""
        return _scoped(self.conditions, name, self.ownership.scope(directory))


def _scoped(table: Mapping[tuple[str, str], T], name: str, scope: str) -> T | None:
    found = table.get((scope, name))
    return found if found is not None else table.get(("", name))


@final
class _Gatherer:
    def __init__(self, ownership: Ownership) -> None:
        self.ownership = ownership
        self.diagnostics: list[Diagnostic] = []
        self.seen: dict[tuple[str, str, str], Span] = {}

    def report(self, code: str, message: str, span: Span, help_: str = "", first: Span | None = None) -> None:
        related = () if first is None else ((first, "first declared"),)
        self.diagnostics.append(
            Diagnostic(code=code, message=message, span=span, help=help_, related=related)
        )

    def declare(self, kind: str, name: ast.Name, scope: str = "") -> bool:
        """Whether the name is free; reports it if it is not."""
        if name.text in _RESERVED:
            self.report("PDP107", f"`{name.text}` is a reserved word", name.span, "choose another name")
            return False
        clashes = [key for key in ((kind, "", name.text), (kind, scope, name.text)) if key in self.seen]
        if not scope:
            clashes += [key for key in self.seen if key[0] == kind and key[2] == name.text]
        if clashes:
            help_ = "each name is declared once in a policy set"
            self.report(
                "PDP201", f"{kind} `{name.text}` is declared twice", name.span, help_, self.seen[clashes[0]]
            )
            return False
        self.seen[kind, scope, name.text] = name.span
        return True


def gather(parsed: Sequence[Parsed]) -> tuple[Environment, tuple[Diagnostic, ...]]:
    """Collect the declarations of all files, in the order of their paths."""
    files = [item.file for item in sorted(parsed, key=lambda item: item.file.path)]
    ownership, problems = Ownership.of(files)
    gatherer = _Gatherer(ownership)
    gatherer.diagnostics.extend(problems)
    for file in files:
        gatherer.diagnostics.extend(check_placement(file, ownership))
    environment = Environment(
        trust_domains=_trust_domains(gatherer, _all(files, ast.TrustDomainDecl)),
        issuers={
            decl.name.text: decl.url
            for _, decl in _all(files, ast.IssuerDecl)
            if gatherer.declare("issuer", decl.name)
        },
        groups={
            decl.name.text: decl
            for _, decl in _all(files, ast.GroupDecl)
            if gatherer.declare("group", decl.name)
        },
        roles=_scoped_table(gatherer, "role", _all(files, ast.RoleDecl)),
        conditions=_scoped_table(gatherer, "condition", _all(files, ast.ConditionDecl)),
        attributes=_attributes(gatherer, _all(files, ast.AttributeDecl)),
        services=_services(gatherer, _all(files, ast.ServiceBlock)),
        ownership=ownership,
        damaged=frozenset().union(*(item.damaged for item in parsed)),
    )
    return environment, tuple(gatherer.diagnostics)


def _all(files: Iterable[ast.File], kind: type[T]) -> list[tuple[str, T]]:
    """Every statement of a kind, with the directory of its file."""
    return [
        (file.path.rpartition("/")[0], item)
        for file in files
        for item in file.items
        if isinstance(item, kind)
    ]


def _scoped_table(gatherer: _Gatherer, kind: str, declared: list[tuple[str, T]]) -> dict[tuple[str, str], T]:
    table = {}
    for directory, decl in declared:
        scope = gatherer.ownership.scope(directory)
        name: ast.Name = decl.name  # type: ignore[attr-defined]
        if gatherer.declare(kind, name, scope):
            table[scope, name.text] = decl
    return table


def _trust_domains(gatherer: _Gatherer, declared: list[tuple[str, ast.TrustDomainDecl]]) -> dict[str, str]:
    table: dict[str, str] = {}
    for _, decl in declared:
        if not _TRUST_DOMAIN.fullmatch(decl.domain):
            help_ = "it is made of lower-case letters, digits, `.`, `-` and `_`, without `spiffe://`"
            gatherer.report("PDP309", f"`{decl.domain}` is not a trust domain", decl.span, help_)
        elif decl.domain in table.values():
            other = next(name for name, domain in table.items() if domain == decl.domain)
            gatherer.report(
                "PDP202", f"trust domain `{decl.domain}` has a name already: `{other}`", decl.span
            )
        elif gatherer.declare("trust domain", decl.name):
            table[decl.name.text] = decl.domain
    return table


def _attributes(
    gatherer: _Gatherer, declared: list[tuple[str, ast.AttributeDecl]]
) -> dict[str, ast.AttributeType]:
    table = {}
    for _, decl in declared:
        name = decl.name.text
        if not _ATTRIBUTE.fullmatch(name):
            help_ = "write the family first, in lower case: `mesh.zone`, `user.department`"
            gatherer.report("PDP104", f"`{name}` is not the name of an attribute", decl.name.span, help_)
        elif name.partition(".")[0] in {"source", "header", "tls", "request"}:
            help_ = "declare attributes of `user`, `principal`, or of a family of your own"
            gatherer.report("PDP209", f"the family of `{name}` is complete", decl.name.span, help_)
        elif gatherer.declare("attribute", decl.name):
            table[name] = decl.type
    return table


def _services(gatherer: _Gatherer, blocks: list[tuple[str, ast.ServiceBlock]]) -> dict[str, ServiceInfo]:
    table: dict[str, ServiceInfo] = {}
    owners: dict[str, str] = {}
    for directory, block in blocks:
        if not gatherer.declare("service", block.name):
            continue
        hosts = []
        relaxations = Relaxation.NONE
        for item in block.items:
            if isinstance(item, ast.Host):
                host = _host(gatherer, item, block.name.text, owners)
                hosts.extend([host] if host else [])
            elif isinstance(item, ast.RelaxationClause):
                relaxations |= _relaxations(gatherer, item)
        table[block.name.text] = ServiceInfo(
            observe_until=block.observe_until,
            hosts=tuple(hosts),
            relaxations=relaxations,
            directory=directory,
        )
    return table


def _host(gatherer: _Gatherer, item: ast.Host, service: str, owners: dict[str, str]) -> str | None:
    try:
        host, port = canonical_host(item.name)
    except AmbiguousHostError as error:
        gatherer.report("PDP330", f"`{item.name}` is not a host name", item.span, str(error))
        return None
    if port is not None:
        gatherer.report(
            "PDP330", "a host is named without its port", item.span, "test `request.port` in a condition"
        )
        return None
    if owners.setdefault(host, service) != service:
        message = f"host `{host}` belongs to service `{owners[host]}`"
        gatherer.report("PDP203", message, item.span, "a host belongs to one service")
        return None
    return host


def _relaxations(gatherer: _Gatherer, clause: ast.RelaxationClause) -> Relaxation:
    found = Relaxation.NONE
    for name in clause.names:
        if name.text not in _RELAXATIONS:
            known = ", ".join(f"`{word}`" for word in _RELAXATIONS)
            gatherer.report(
                "PDP210", f"unknown reading of paths `{name.text}`", name.span, f"write one of {known}"
            )
        found |= _RELAXATIONS.get(name.text, Relaxation.NONE)
    return found
