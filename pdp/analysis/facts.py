"""What the conditions of a rule compare with what, taken from their syntax.

A compiled condition answers, but does not say which values it tells apart. `facts_of` does: the
constants that each attribute is compared with, the attributes and captures that are compared with
each other, families, times of week and principal terms. `pdp.analysis.values` makes of these the
few values that are enough to try.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, final

from pdp.compiler.atoms import Atom
from pdp.compiler.environment import Environment
from pdp.lang import ast

__all__ = ["NOTHING", "USER_ATTRIBUTES", "Facts", "Scalar", "Test", "combine", "facts_of"]

#: A constant of a condition; addresses and blocks as text.
Scalar: TypeAlias = str | int | bool
#: The constants of one test. Two constants that occur in the same tests need not both be tried.
Test: TypeAlias = frozenset[Scalar]

USER_ATTRIBUTES: Final = frozenset({"user.iss", "user.sub", "user.groups"})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a condition, or several, can tell apart.

    Attributes:
        tests: For each attribute that is read, the tests of it against constants.
        pairs: Attributes that are compared with another attribute or with a capture.
        texts: Constants that captures are compared with.
        captures: Names of the captures that are read.
        families: Families whose being supplied makes a difference.
        windows: Times of week.
        atoms: Principal terms after `principal in`.
        user: Whether it makes a difference that there is a user.
    """

    tests: Mapping[str, frozenset[Test]] = field(default_factory=dict)
    pairs: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    captures: frozenset[str] = frozenset()
    families: frozenset[str] = frozenset()
    windows: frozenset[ast.During] = frozenset()
    atoms: frozenset[Atom] = frozenset()
    user: bool = False


NOTHING: Final = Facts()


def combine(parts: Iterable[Facts]) -> Facts:
    """What several conditions together can tell apart."""
    known = [part for part in parts if part is not NOTHING]
    if len(known) <= 1:
        return known[0] if known else NOTHING
    tests: dict[str, frozenset[Test]] = {}
    for part in known:
        for name, found in part.tests.items():
            tests[name] = tests.get(name, frozenset()) | found
    return Facts(
        tests=tests,
        pairs=frozenset().union(*(part.pairs for part in known)),
        texts=frozenset().union(*(part.texts for part in known)),
        captures=frozenset().union(*(part.captures for part in known)),
        families=frozenset().union(*(part.families for part in known)),
        windows=frozenset().union(*(part.windows for part in known)),
        atoms=frozenset().union(*(part.atoms for part in known)),
        user=any(part.user for part in known),
    )


def facts_of(
    users: Iterable[ast.UserPattern],
    clause: ast.Clause,
    environment: Environment,
    directory: str,
    resolve: Callable[[ast.PrincipalTerm], Atom | None],
) -> Facts:
    """What the condition of a checked rule can tell apart.

    Args:
        users: Whom it is on behalf of.
        clause: Its `when` and `unless`.
        environment: What names stand for.
        directory: Where it is written.
        resolve: The atom of a principal term.
    """
    reader = _Reader(environment=environment, directory=directory, resolve=resolve)
    for user in users:
        reader.user(user)
    for expr in (clause.when, clause.unless):
        if expr is not None:
            reader.read(expr)
    return reader.facts()


@final
@dataclass(slots=True, kw_only=True)
class _Reader:
    environment: Environment
    directory: str
    resolve: Callable[[ast.PrincipalTerm], Atom | None]
    tests: defaultdict[str, set[Test]] = field(default_factory=lambda: defaultdict(set))
    pairs: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    captures: set[str] = field(default_factory=set)
    families: set[str] = field(default_factory=set)
    windows: set[ast.During] = field(default_factory=set)
    atoms: set[Atom] = field(default_factory=set)
    has_user: bool = False

    def facts(self) -> Facts:
        if not (self.tests or self.captures or self.windows or self.atoms or self.has_user):
            return NOTHING
        return Facts(
            tests={name: frozenset(found) for name, found in self.tests.items()},
            pairs=frozenset(self.pairs),
            texts=frozenset(self.texts),
            captures=frozenset(self.captures),
            families=frozenset(self.families),
            windows=frozenset(self.windows),
            atoms=frozenset(self.atoms),
            user=self.has_user or not USER_ATTRIBUTES.isdisjoint(self.tests),
        )

    def user(self, user: ast.UserPattern) -> None:
        self.has_user = True
        self.families.add("user")
        if user.kind is not ast.UserKind.ANY:
            self.tests["user.iss"].add(frozenset({self.environment.issuers[user.issuer]}))
        if user.kind is ast.UserKind.SUBJECT:
            self.tests["user.sub"].add(frozenset({user.name}))
        if user.kind is ast.UserKind.GROUP:
            self.tests["user.groups"].add(frozenset({user.name}))

    def read(self, expr: ast.Expr) -> None:
        match expr:
            case ast.And(items=items) | ast.Or(items=items):
                for item in items:
                    self.read(item)
            case ast.Not(item=item):
                self.read(item)
            case ast.NamedCondition(name=name):
                self._named(name)
            case ast.PrincipalIn(term=term):
                self.atoms.update(atom for atom in (self.resolve(term),) if atom is not None)
            case ast.During():
                self.windows.add(expr)
            case ast.Has(attribute=attribute):
                self.tests[attribute.name].add(frozenset())
                self.families.add(attribute.name.partition(".")[0])
            case ast.Contains(attribute=attribute, value=value):
                self.tests[attribute.name].add(frozenset({_scalar(value)}))
            case ast.In(operand=operand, values=values):
                self._test(operand, frozenset(map(_scalar, values)))
            case ast.Comparison(left=left, right=right):
                self._comparison(left, right)

    def _named(self, name: str) -> None:
        declared = self.environment.condition(name, self.directory)
        if declared is not None:
            self.read(declared.expr)

    def _comparison(self, left: ast.Operand, right: ast.Operand) -> None:
        if isinstance(left, ast.ValueOperand):
            left, right = right, left
        if isinstance(right, ast.ValueOperand):
            self._test(left, frozenset({_scalar(right.value)}))
            return
        for side in (left, right):
            self._test(side, frozenset())
            if isinstance(side, ast.AttributeOperand):
                self.pairs.add(side.name)

    def _test(self, operand: ast.Operand, constants: Test) -> None:
        match operand:
            case ast.AttributeOperand(name=name):
                self.tests[name].add(constants)
            case ast.CaptureOperand(name=name):
                self.captures.add(name)
                self.texts.update(value for value in constants if isinstance(value, str))
            case ast.ValueOperand():
                pass


def _scalar(value: ast.Value) -> Scalar:
    return value.text if isinstance(value, ast.AddressValue) else value.value
