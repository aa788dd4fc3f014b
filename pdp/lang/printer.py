"""From AST to policy text: the inverse of the parser.

`parse(Source(path, print_file(file))).file == file` for every file that the parser can
produce. Each statement is one line however long; laying text out for people is the business
of `pdp.lang.formatter`, which takes what is printed here like any other text.

`print_file` keeps how things were written (`sa prod/web/frontend`, `call shop.Cart/Get`).
`print_rule` does not: equal rules are equal text, so that the id of a rule without a name
can be made from it.
"""

from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias, assert_never, final

from pdp.lang import ast
from pdp.lang.print_terms import TermsPrinter
from pdp.lang.print_words import (
    NotWritableError,
    print_instant,
    print_obligation,
    print_path_text,
    print_services,
    print_user,
    print_values,
    quoted,
)

__all__ = [
    "NotWritableError",
    "print_expr",
    "print_file",
    "print_rule",
    "print_target",
    "print_term",
]

_Declaration: TypeAlias = (
    ast.TrustDomainDecl
    | ast.IssuerDecl
    | ast.GroupDecl
    | ast.RoleDecl
    | ast.ConditionDecl
    | ast.AttributeDecl
    | ast.Delegation
)


def print_file(file: ast.File) -> str:
    """The text of a file, without comments.

    Raises:
        NotWritableError: A text in it holds a character that the language cannot write.
    """
    lines = ["language 1"]
    previous: ast.Item | None = None
    for item in file.items:
        if type(item) is not type(previous) or isinstance(item, ast.ServiceBlock | ast.TestBlock):
            lines.append("")
        lines += _AS_WRITTEN.item(item)
        previous = item
    return "".join(f"{line}\n" for line in lines)


def print_rule(rule: ast.Rule) -> str:
    """A rule in one line, the same for equal rules. Raises `NotWritableError` as `print_file`."""
    return _CANONICAL.rule(rule)


def print_expr(expr: ast.Expr) -> str:
    """A condition. Raises `NotWritableError` as `print_file`."""
    return _AS_WRITTEN.expr(expr)


def print_term(term: ast.PrincipalTerm) -> str:
    """A principal term as it was written."""
    return _AS_WRITTEN.term(term)


def print_target(target: ast.Target | ast.RoleRef) -> str:
    """A target as it was written."""
    return _AS_WRITTEN.target(target)


def _names(names: Iterable[ast.Name]) -> str:
    return ", ".join(name.text for name in names)


def _bound(name: ast.Name, values: tuple[ast.Value, ...] | None) -> str:
    return f"{name.text} = {'absent' if values is None else print_values(values)}"


def _owned(owned: ast.Owned) -> str:
    host = owned.kind is ast.OwnedKind.HOST
    return f"{owned.kind.value} {quoted(owned.name.text) if host else owned.name.text}"


@final
class _Printer(TermsPrinter):
    """Prints statements."""

    def rule(self, rule: ast.Rule) -> str:
        words = ["shadow"] if rule.shadow else []
        words += [rule.effect.value, self.principal_set(rule.principals)]
        words += self._users(rule.users)
        words += ["to", self.targets(rule.targets)]
        if rule.services is not None:
            words += ["on", print_services(rule.services)]
        return " ".join([*words, *self._clause(rule.clause)])

    @staticmethod
    def _users(users: tuple[ast.UserPattern, ...]) -> list[str]:
        return ["on behalf of", ", ".join(map(print_user, users))] if users else []

    def _clause(self, clause: ast.Clause) -> Iterator[str]:
        if clause.when is not None:
            yield f"when {self.expr(clause.when)}"
        if clause.unless is not None:
            yield f"unless {self.expr(clause.unless)}"
        if clause.valid_from is not None:
            yield f"from {print_instant(clause.valid_from)}"
        if clause.until is not None:
            yield f"until {print_instant(clause.until)}"
        yield from map(print_obligation, clause.obligations)
        if clause.because is not None:
            yield f"because {quoted(clause.because)}"
        if clause.owner is not None:
            yield f"owner {quoted(clause.owner)}"
        if clause.name is not None:
            yield f"as {clause.name.text}"

    def item(self, item: ast.Item) -> Iterator[str]:
        match item:
            case ast.ServiceBlock(name=name, observe_until=until, items=items):
                observed = "" if until is None else f" observe until {print_instant(until)}"
                yield from _block(f"service {name.text}{observed}", map(self._service_item, items))
            case ast.TestBlock(name=text, cases=cases):
                yield from _block(f"test {quoted(text)}", map(self._test_case, cases))
            case ast.Rule():
                yield self.rule(item)
            case ast.Callers():
                yield self._callers(item)
            case ast.Invariant():
                yield self._invariant(item)
            case _:
                yield self._declaration(item)

    def _declaration(self, item: _Declaration) -> str:
        match item:
            case ast.TrustDomainDecl(name=name, domain=domain):
                return f"trust domain {name.text} = {quoted(domain)}"
            case ast.IssuerDecl(name=name, url=url):
                return f"issuer {name.text} = {quoted(url)}"
            case ast.GroupDecl(name=name, file=str(file)):
                return f"group {name.text} from {quoted(file)}"
            case ast.GroupDecl(name=name, members=members):
                return f"group {name.text} = " + (
                    f"{{ {self.principal_set(members)} }}" if members.terms else "{}"
                )
            case ast.RoleDecl(name=name, targets=targets):
                return f"role {name.text} = {{ {self.targets(targets)} }}"
            case ast.ConditionDecl(name=name, expr=expr):
                return f"condition {name.text} = {self.expr(expr)}"
            case ast.AttributeDecl(name=name, type=type_):
                return f"attribute {name.text} is {type_.value}"
            case ast.Delegation(directory=directory, owned=owned):
                return f"delegate {quoted(directory)} owns {', '.join(map(_owned, owned))}"
            case _:
                assert_never(item)

    def _service_item(self, item: ast.ServiceItem) -> str:
        match item:
            case ast.Rule():
                return self.rule(item)
            case ast.BulkGrants(file=file, clause=clause):
                return " ".join(["allow from", quoted(file), *self._clause(clause)])
            case ast.Host(name=name):
                return f"host {quoted(name)}"
            case ast.RelaxationClause(names=names):
                return f"paths may have {_names(names)}"
            case _:
                assert_never(item)

    def _callers(self, item: ast.Callers) -> str:
        words = ["caller", self.terms(item.who), "fronts", print_services(item.services)]
        if item.assertions:
            words += ["may assert", ", ".join(map(self._assertion, item.assertions))]
        for each in item.presents:
            words += ["may present", _names(each.kinds), "of", self.terms(each.principals)]
        if item.user_tokens:
            words += ["may present user-token of", _names(item.user_tokens)]
        if item.explain:
            words.append("may explain")
        if item.supplies:
            words += ["supplies", _names(item.supplies)]
        return " ".join(words)

    def _assertion(self, assertion: ast.Assertion) -> str:
        what = assertion.what
        return what.value if isinstance(what, ast.AssertionKind) else self.term(what)

    def _invariant(self, item: ast.Invariant) -> str:
        words = [
            "always" if item.always else "never",
            self.principal_set(item.principals),
            *self._users(item.users),
        ]
        words += ["may", self.targets(item.targets), "on", print_services(item.services)]
        return " ".join([*words, f"when {self.expr(item.when)}"] if item.when is not None else words)

    def _test_case(self, case: ast.TestCase) -> str:
        words = [case.effect.value, "anonymous" if case.principal is None else self.term(case.principal)]
        words += self._users(() if case.user is None else (case.user,))
        words += [case.method, case.service.text, print_path_text(case.path)]
        if case.context:
            words += ["with", ", ".join(_bound(name, values) for name, values in case.context)]
        if case.at is not None:
            words += ["at", print_instant(case.at)]
        if case.supplying is not None:
            words += ["supplying", _names(case.supplying) or "nothing"]
        if case.rule is not None:
            words += ["by", case.rule.text]
        elif case.expectation is ast.Expectation.DEFAULT:
            words.append("by default")
        return " ".join(words)


def _block(head: str, lines: Iterable[str]) -> Iterator[str]:
    body = [f"    {line}" for line in lines]
    yield from [f"{head} {{", *body, "}"] if body else [f"{head} {{}}"]


_AS_WRITTEN: Final = _Printer(canonical=False)
_CANONICAL: Final = _Printer(canonical=True)
