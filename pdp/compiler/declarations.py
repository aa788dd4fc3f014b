"""Declarations, one kind after another, each checked by itself and against those before it.

What they come to together is the `Environment` that `pdp.compiler.environment` gathers.
"""

import re
from dataclasses import dataclass, field
from typing import Final, final

from pdp.compiler.delegation import Ownership
from pdp.diagnostics import Diagnostic, Span
from pdp.lang import ast
from pdp.paths import AmbiguousHostError, HostProblem, Relaxation, canonical_host
from pdp.vocabulary import Millis

__all__ = ["RELAXATIONS", "Gatherer", "ServiceInfo", "attributes", "issuers", "services", "trust_domains"]

_TRUST_DOMAIN: Final = re.compile(r"[a-z0-9._-]{1,255}", re.ASCII)
# OpenID Connect Discovery 1.0, section 2: https, without a query and a fragment.
_ISSUER: Final = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[^\s?#]*)?", re.ASCII)
_ATTRIBUTE: Final = re.compile(r"[a-z][a-z0-9_]*(?:\.[A-Za-z0-9_-]+)+", re.ASCII)
#: As `pdp.identity.tokens.attributes` has it: another is never read from a token, and would count as absent.
_CLAIM: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_HOST_HELP: Final = {
    HostProblem.NOT_A_HOST_NAME: "write a host name, such as `payments.example.org`",
    HostProblem.TOO_LONG: "write a name that can be resolved: none is longer",
    HostProblem.NOT_AN_ADDRESS: "write a host name, or a whole address: `10.1.2.3`, `[2001:db8::1]`",
    HostProblem.BAD_PORT: "leave the port out",
}
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
#: The words after `paths may have`.
RELAXATIONS: Final = {
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
        span: Where its name stands. Takes no part in equality, as in the nodes of the language.
    """

    observe_until: Millis | None
    hosts: tuple[str, ...]
    relaxations: Relaxation
    directory: str
    span: Span = field(compare=False)


@final
class Gatherer:
    """What was declared so far, and what was wrong with it."""

    def __init__(self, ownership: Ownership) -> None:
        self.ownership = ownership
        self.diagnostics: list[Diagnostic] = []
        self.seen: dict[tuple[str, str], dict[str, Span]] = {}  # by kind and name, then by scope
        self.damaged: set[str] = set()  # names that are not declared for a reason that was reported

    def report(self, code: str, message: str, span: Span, help_: str = "", first: Span | None = None) -> None:
        """Add a mistake; `first` is where the same stands already."""
        related = () if first is None else ((first, "first declared"),)
        self.diagnostics.append(
            Diagnostic(code=code, message=message, span=span, help=help_, related=related)
        )

    def declare(self, kind: str, name: ast.Name, scope: str = "") -> bool:
        """Whether the name is free; reports it if it is not."""
        if name.text in _RESERVED:
            self.damaged.add(name.text)
            self.report("PDP107", f"`{name.text}` is a reserved word", name.span, "choose another name")
            return False
        seen = self.seen.setdefault((kind, name.text), {})
        clashes = [span for other, span in seen.items() if not scope or other in {"", scope}]
        if clashes:
            help_ = "each name is declared once in a policy set"
            self.report("PDP201", f"{kind} `{name.text}` is declared twice", name.span, help_, clashes[0])
            return False
        seen[scope] = name.span
        return True


def trust_domains(gatherer: Gatherer, declared: list[tuple[str, ast.TrustDomainDecl]]) -> dict[str, str]:
    """Trust domains by their short names."""
    table: dict[str, str] = {}
    first: dict[str, ast.Name] = {}
    for _, decl in declared:
        if not _TRUST_DOMAIN.fullmatch(decl.domain):
            gatherer.damaged.add(decl.name.text)
            help_ = "it is made of lower-case letters, digits, `.`, `-` and `_`, without `spiffe://`"
            gatherer.report("PDP309", f"`{decl.domain}` is not a trust domain", decl.span, help_)
        elif (other := first.setdefault(decl.domain, decl.name)) is not decl.name:
            if other.text != decl.name.text:
                gatherer.damaged.add(decl.name.text)
            message = f"trust domain `{decl.domain}` has a name already: `{other.text}`"
            help_ = f"write `{other.text}`, and drop this line"
            gatherer.report("PDP202", message, decl.span, help_, other.span)
        elif gatherer.declare("trust domain", decl.name):
            table[decl.name.text] = decl.domain
    return table


def issuers(gatherer: Gatherer, declared: list[tuple[str, ast.IssuerDecl]]) -> dict[str, str]:
    """The URLs of issuers by their short names."""
    table: dict[str, str] = {}
    for _, decl in declared:
        if not _ISSUER.fullmatch(decl.url):
            help_ = "write the `iss` of its tokens, such as `https://login.example.com`"
            gatherer.report("PDP343", f"`{decl.url}` is not an issuer's https URL", decl.span, help_)
        if gatherer.declare("issuer", decl.name):
            table[decl.name.text] = decl.url
    return table


def attributes(
    gatherer: Gatherer, declared: list[tuple[str, ast.AttributeDecl]]
) -> dict[str, ast.AttributeType]:
    """The types of attributes by their names."""
    table = {}
    for _, decl in declared:
        name = decl.name.text
        if not _ATTRIBUTE.fullmatch(name):
            help_ = "write the family first, in lower case: `mesh.zone`, `user.department`"
            gatherer.report("PDP104", f"`{name}` is not the name of an attribute", decl.name.span, help_)
        elif name.partition(".")[0] in {"source", "header", "tls", "request"}:
            help_ = "declare attributes of `user`, `principal`, or of a family of your own"
            gatherer.report("PDP209", f"the family of `{name}` is complete", decl.name.span, help_)
        elif name.partition(".")[0] in {"user", "principal"} and not _CLAIM.fullmatch(name.partition(".")[2]):
            help_ = "a claim has one part after the family, of at most 64 letters, digits, `_` and `-`"
            gatherer.report("PDP104", f"`{name}` is not the name of a claim", decl.name.span, help_)
        elif gatherer.declare("attribute", decl.name):
            table[name] = decl.type
    return table


def services(gatherer: Gatherer, blocks: list[tuple[str, ast.ServiceBlock]]) -> dict[str, ServiceInfo]:
    """Services by name."""
    table: dict[str, ServiceInfo] = {}
    owners: dict[str, tuple[str, Span]] = {}
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
            span=block.name.span,
        )
    return table


def _host(
    gatherer: Gatherer, item: ast.Host, service: str, owners: dict[str, tuple[str, Span]]
) -> str | None:
    try:
        host, port = canonical_host(item.name)
    except AmbiguousHostError as error:
        gatherer.report("PDP330", *_host_problem(item.name, error.problem, item.span))
        return None
    if port is not None:
        gatherer.report(
            "PDP330", "a host is named without its port", item.span, "test `request.port` in a condition"
        )
        return None
    owner, first = owners.setdefault(host, (service, item.span))
    if owner != service:
        message = f"host `{host}` belongs to service `{owner}`"
        gatherer.report("PDP203", message, item.span, "a host belongs to one service", first)
        return None
    return host


def _host_problem(name: str, problem: HostProblem, span: Span) -> tuple[str, Span, str]:
    scheme, colons, rest = name.partition("://")
    if colons:
        authority = rest.partition("/")[0]
        return f"`{name}` is a URL, not a host", span, f"without `{scheme}://` it is `{authority}`"
    if name.startswith("*."):
        return f"`{name}` is not a host: it stands for many", span, "write each host out"
    if not name:
        return "the host is empty", span, _HOST_HELP[problem]
    return f"`{name}` is not a host: {problem.sentence}", span, _HOST_HELP[problem]


def _relaxations(gatherer: Gatherer, clause: ast.RelaxationClause) -> Relaxation:
    found = Relaxation.NONE
    for name in clause.names:
        if name.text not in RELAXATIONS:
            known = ", ".join(f"`{word}`" for word in RELAXATIONS)
            gatherer.report(
                "PDP210", f"unknown reading of paths `{name.text}`", name.span, f"write one of {known}"
            )
        found |= RELAXATIONS.get(name.text, Relaxation.NONE)
    return found
