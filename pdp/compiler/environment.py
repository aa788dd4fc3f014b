"""What the names of a policy set stand for.

This module gathers the declarations of all files into one `Environment` and reports names
that are declared twice or reserved. Rules are
lowered against it file by file; it is compared by meaning, so an edit that declares nothing
new leaves every other file's lowered rules valid.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar, final

from pdp.compiler.circles import circles, names_in, roles_in
from pdp.compiler.declarations import Gatherer, ServiceInfo, attributes, issuers, services, trust_domains
from pdp.compiler.delegation import Ownership, absent
from pdp.compiler.unfolding import excesses, targets_in, tests_in
from pdp.diagnostics import Diagnostic
from pdp.lang import ast
from pdp.lang.ast import OwnedKind
from pdp.lang.parsed import Parsed
from pdp.limits import MAX_CONDITION_TESTS, MAX_NAME_NESTING, MAX_RULE_ROWS
from pdp.vocabulary import FAMILIES

__all__ = ["Environment", "ServiceInfo", "gather"]

T = TypeVar("T")


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


def gather(parsed: Sequence[Parsed]) -> tuple[Environment, tuple[Diagnostic, ...]]:
    """Collect the declarations of all files, in the order of their paths."""
    files = [item.file for item in sorted(parsed, key=lambda item: item.file.path)]
    declared = _by_kind(files)
    ownership, problems = Ownership.of(declared[ast.Delegation])
    gatherer = Gatherer(ownership)
    gatherer.diagnostics.extend(problems)
    for item in parsed:
        gatherer.damaged |= item.damaged
    environment = Environment(
        trust_domains=trust_domains(gatherer, declared[ast.TrustDomainDecl]),
        issuers=issuers(gatherer, declared[ast.IssuerDecl]),
        groups={
            decl.name.text: decl
            for _, decl in declared[ast.GroupDecl]
            if gatherer.declare("group", decl.name)
        },
        roles=_unfoldable(
            gatherer, _scoped_table(gatherer, "role", declared[ast.RoleDecl]), _ROLES, roles_in, targets_in
        ),
        conditions=_unfoldable(
            gatherer,
            _scoped_table(gatherer, "condition", declared[ast.ConditionDecl]),
            _CONDITIONS,
            lambda condition: names_in(condition.expr),
            lambda condition: tests_in(condition.expr),
        ),
        attributes=attributes(gatherer, declared[ast.AttributeDecl]),
        services=services(gatherer, declared[ast.ServiceBlock]),
        ownership=ownership,
        damaged=frozenset(gatherer.damaged),
    )
    there = {
        OwnedKind.SERVICE: environment.services,
        OwnedKind.GROUP: environment.groups,
        OwnedKind.HOST: {host for service in environment.services.values() for host in service.hosts},
    }
    return environment, (*gatherer.diagnostics, *absent(declared[ast.Delegation], there, environment.damaged))


def _by_kind(files: Iterable[ast.File]) -> dict[type, list[tuple[str, Any]]]:
    """Every statement by its kind, with the directory of its file."""
    found: dict[type, list[tuple[str, Any]]] = defaultdict(list)
    for file in files:
        directory = file.path.rpartition("/")[0]
        for item in file.items:
            found[type(item)].append((directory, item))
    return found


def _scoped_table(gatherer: Gatherer, kind: str, declared: list[tuple[str, T]]) -> dict[tuple[str, str], T]:
    table = {}
    for directory, decl in declared:
        scope = gatherer.ownership.scope(directory)
        name: ast.Name = decl.name  # type: ignore[attr-defined]
        if gatherer.declare(kind, name, scope):
            table[scope, name.text] = decl
    return table


class _Kind(NamedTuple):
    """Declarations that name each other, and what is said where they go too far."""

    word: str
    circle: tuple[str, str]  # code, and what leads back to itself does
    most: int
    size: tuple[str, str, str]  # code, what there are too many of, what to do


_ROLES: Final = _Kind(
    "role",
    ("PDP228", "contains itself"),
    MAX_RULE_ROWS,
    ("PDP922", "targets", "name a prefix with `**`, or write several rules"),
)
_CONDITIONS: Final = _Kind(
    "condition",
    ("PDP205", "is defined by itself"),
    MAX_CONDITION_TESTS,
    ("PDP921", "tests", "test for a list with `in { ... }`, or write several rules"),
)


def _unfoldable(
    gatherer: Gatherer,
    table: dict[tuple[str, str], T],
    kind: _Kind,
    names: Callable[[T], Iterable[str]],
    own: Callable[[T], int],
) -> dict[tuple[str, str], T]:
    """The table without what leads back to itself or comes to too much; each is reported once."""
    uses = {key: Counter(_keys(key[0], names(decl), table)) for key, decl in table.items()}
    left_out = _circles(gatherer, table, kind, uses)
    straight = {
        key: Counter({used: times for used, times in found.items() if used not in left_out and used in table})
        for key, found in uses.items()
        if key not in left_out
    }

    def size(key: tuple[str, str]) -> int:
        """What a declaration writes out; a name that stands for nothing counts as one."""
        return own(table[key]) + uses[key].total() - straight[key].total()

    for key, excess in excesses(straight, size, kind.most).items():
        name = table[key].name  # type: ignore[attr-defined]
        if excess.too_deep:
            help_ = "write some of them out"
            gatherer.report(
                "PDP913", f"{kind.word}s nest more than {MAX_NAME_NESTING} deep", name.span, help_
            )
        else:
            code, things, help_ = kind.size
            message = f"{kind.word} `{key[1]}` comes to more than {kind.most} {things}"
            gatherer.report(code, message, name.span, help_)
        gatherer.damaged.add(key[1])
        left_out.add(key)
    return {key: decl for key, decl in table.items() if key not in left_out}


def _circles(
    gatherer: Gatherer,
    table: Mapping[tuple[str, str], T],
    kind: _Kind,
    uses: Mapping[tuple[str, str], Counter[tuple[str, str]]],
) -> set[tuple[str, str]]:
    """Report each circle once; returns what takes part in one."""
    found = circles({key: sorted(used) for key, used in uses.items()})
    order = {key: number for number, key in enumerate(table)}
    for circle in found:
        code, problem = kind.circle
        first = min(circle, key=order.__getitem__)
        at = circle.index(first)
        path = [*circle[at:], *circle[:at], first]
        first_name, *others = (f"`{name}`" for _, name in path)
        way = f"{first_name} uses {', which uses '.join(others)}"
        span = table[first].name.span  # type: ignore[attr-defined]
        gatherer.report(code, f"{kind.word} `{first[1]}` {problem}", span, way)
        gatherer.damaged.update(name for _, name in circle)
    return {key for circle in found for key in circle}


def _keys(scope: str, names: Iterable[str], table: Mapping[tuple[str, str], T]) -> list[tuple[str, str]]:
    return [(scope, name) if (scope, name) in table else ("", name) for name in names]
