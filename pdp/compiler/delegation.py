"""Who may say what: directories that own services, groups and hosts.

A delegated directory may speak only about what it owns; everything else is platform. Where a
statement stands decides whether it may be written, never what it means.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from pdp.diagnostics import Diagnostic, Severity, Span, did_you_mean
from pdp.lang import ast
from pdp.lang.ast import OwnedKind

__all__ = ["Ownership", "absent", "check_placement"]

_FORBIDDEN: Final[dict[type, str]] = {
    ast.TrustDomainDecl: "a trust domain",
    ast.IssuerDecl: "an issuer",
    ast.AttributeDecl: "an attribute",
    ast.Callers: "a caller",
    ast.Invariant: "an invariant",
    ast.Delegation: "a delegation",
    ast.Rule: "a rule outside a service block",
}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """What each delegated directory owns: directory -> kind -> names."""

    directories: Mapping[str, Mapping[OwnedKind, frozenset[str]]]

    @classmethod
    def of(
        cls, delegations: Sequence[tuple[str, ast.Delegation]]
    ) -> tuple["Ownership", tuple[Diagnostic, ...]]:
        """Read the delegations, each with the directory it stands in: that has to be the root of the set."""
        owners: dict[tuple[OwnedKind, str], str] = {}
        table: dict[str, dict[OwnedKind, set[str]]] = {}
        problems: list[Diagnostic] = []
        for directory, item in delegations:
            if directory:
                help_ = "move it to a file that lies in no directory of the set"
                message = "a delegation stands at the root of the policy set"
                problems.append(_error("PDP211", message, item.span, help_))
            else:
                problems.extend(_own(item, owners, table))
        frozen = {
            directory: {kind: frozenset(names) for kind, names in owned.items()}
            for directory, owned in table.items()
        }
        return cls(directories=frozen), tuple(problems)

    def scope(self, directory: str) -> str:
        """The delegated directory that a directory lies in, or `""` for platform."""
        if not self.directories:
            return ""
        parts = directory.split("/")
        for end in range(len(parts), 0, -1):
            if (prefix := "/".join(parts[:end])) in self.directories:
                return prefix
        return ""

    def owner(self, kind: OwnedKind, name: str) -> str:
        """The delegated directory that owns it, or `""`."""
        for directory, owned in self.directories.items():
            if _covered(owned.get(kind, frozenset()), kind, name):
                return directory
        return ""


def _covered(names: frozenset[str], kind: OwnedKind, name: str) -> bool:
    if name in names:
        return True
    return kind is OwnedKind.HOST and any(
        pattern.startswith("*.") and name.endswith(pattern[1:]) and name != pattern[1:] for pattern in names
    )


def _is_directory(text: str) -> bool:
    return all(part not in {"", ".", ".."} for part in text.split("/"))


def _own(
    item: ast.Delegation,
    owners: dict[tuple[OwnedKind, str], str],
    table: dict[str, dict[OwnedKind, set[str]]],
) -> list[Diagnostic]:
    directory = item.directory
    if not _is_directory(directory):
        help_ = "write it from the root of the policy set, such as `teams/payments`"
        return [
            _error("PDP212", f"`{item.directory}` is not a directory of the policy set", item.span, help_)
        ]
    problems = []
    nested = [
        other for other in table if other.startswith(f"{directory}/") or directory.startswith(f"{other}/")
    ]
    if nested:
        inner, outer = max(directory, nested[0], key=len), min(directory, nested[0], key=len)
        message = f"`{directory}` and `{nested[0]}` are both delegated, and one lies in the other"
        help_ = f"delegate `{outer}` alone, or move `{inner}` out of it"
        problems.append(_error("PDP213", message, item.span, help_))
    owned = table.setdefault(directory, {})
    for thing in item.owned:
        key = (thing.kind, thing.name.text.lower() if thing.kind is OwnedKind.HOST else thing.name.text)
        if owners.setdefault(key, directory) != directory:
            message = f"{thing.kind.value} `{thing.name.text}` is owned by `{owners[key]}` already"
            problems.append(_error("PDP214", message, thing.name.span, "each thing has one owner"))
        owned.setdefault(thing.kind, set()).add(key[1])
    return problems


def absent(
    delegations: Sequence[tuple[str, ast.Delegation]],
    declared: Mapping[OwnedKind, Collection[str]],
    damaged: frozenset[str],
) -> list[Diagnostic]:
    """Things that are delegated and not there: a slip, or a delegation that has outlived them."""
    return [
        Diagnostic(
            code="PDP405",
            severity=Severity.WARNING,
            message=f"no file declares the {thing.kind.value} `{thing.name.text}`",
            span=thing.name.span,
            help=did_you_mean(thing.name.text, declared[thing.kind]) or "declare it, or drop it here",
        )
        for directory, item in delegations
        if not directory and _is_directory(item.directory)
        for thing in item.owned
        if thing.name.text not in damaged and not _is_there(thing, declared[thing.kind])
    ]


def _is_there(thing: ast.Owned, declared: Collection[str]) -> bool:
    if thing.kind is not OwnedKind.HOST:
        return thing.name.text in declared
    name = thing.name.text.lower()
    return name.startswith("*.") or name in declared  # names may be given out before there are hosts


def check_placement(file: ast.File, ownership: Ownership) -> list[Diagnostic]:
    """Statements that this file may not hold."""
    directory = file.path.rpartition("/")[0]
    scope = ownership.scope(directory)
    problems: list[Diagnostic] = []
    for item in file.items:
        if scope and type(item) in _FORBIDDEN:
            message = f"{_FORBIDDEN[type(item)]} may not be declared below `{scope}`"
            problems.append(
                _error("PDP215", message, item.span, "the directory is delegated: see its `delegate`")
            )
        elif isinstance(item, ast.ServiceBlock):
            problems.extend(_service_placement(item, scope, ownership))
        elif isinstance(item, ast.GroupDecl):
            problems.extend(_placed(OwnedKind.GROUP, item.name.text, item.name.span, scope, ownership))
    return problems


def _service_placement(block: ast.ServiceBlock, scope: str, ownership: Ownership) -> list[Diagnostic]:
    problems = _placed(OwnedKind.SERVICE, block.name.text, block.name.span, scope, ownership)
    for item in block.items:
        if isinstance(item, ast.Host):
            problems += _placed(OwnedKind.HOST, item.name.lower(), item.span, scope, ownership)
        elif isinstance(item, ast.Rule) and item.services is not None:
            problems.append(
                _error("PDP216", "a rule in a service block is about that service", item.span, "drop `on`")
            )
    return problems


def _placed(kind: OwnedKind, name: str, span: Span, scope: str, ownership: Ownership) -> list[Diagnostic]:
    owner = ownership.owner(kind, name)
    if owner == scope:
        return []
    thing = f'{kind.value} "{name}"' if kind is OwnedKind.HOST else f"{kind.value} {name}"
    if not scope:
        help_ = f'move it below `{owner}`, or drop `{thing}` from `delegate "{owner}"`'
        return [
            _error("PDP217", f"{kind.value} `{name}` is declared by `{owner}`, which owns it", span, help_)
        ]
    help_ = f'add `{thing}` to `delegate "{scope}"`, at the root of the policy set'
    return [_error("PDP217", f"`{scope}` does not own {kind.value} `{name}`", span, help_)]


def _error(code: str, message: str, span: Span, help_: str = "") -> Diagnostic:
    return Diagnostic(code=code, message=message, span=span, help=help_)
