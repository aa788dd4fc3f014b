"""From productions to AST: tests beside the policies."""

from typing import Any

from pdp.diagnostics import Span
from pdp.lang import ast, patterns
from pdp.lang.builder import Builder
from pdp.lang.tokens import Token, present

__all__ = ["FileBuilder"]


class FileBuilder(Builder):
    """The whole grammar: what `Builder` reads, and tests."""

    def on_behalf(self, children: list[ast.UserPattern | None]) -> tuple[ast.UserPattern | None]:
        return (children[0],)

    def anonymous(self, _: list[Token]) -> None:
        return None

    def known(self, children: list[ast.PrincipalTerm | None]) -> ast.PrincipalTerm | None:
        return children[0]

    def method_request(self, children: list[Any]) -> tuple[str, ast.Name, str]:
        method, service, path = children
        return str(method), self.name(service), path

    def call_request(self, children: list[Token]) -> tuple[str, ast.Name, str]:
        service, call = children
        return "POST", self.name(service), f"/{call}"

    def request_path(self, children: list[Token]) -> str:
        (token,) = children
        return self.unquote(token) if token.startswith('"') else str(token)

    def bound(self, children: list[Any]) -> tuple[ast.Name, tuple[ast.Value, ...] | None] | None:
        token, value = children
        return None if value is None else (self.name(token), (value,))

    def bound_list(self, children: list[Any]) -> tuple[ast.Name, tuple[ast.Value, ...] | None]:
        token, *values = children
        return self.name(token), present(values)

    def bound_absent(self, children: list[Token]) -> tuple[ast.Name, tuple[ast.Value, ...] | None]:
        return self.name(children[0]), None

    def with_context(self, children: list[Any]) -> tuple[str, Any]:
        return "context", present(children)

    def at(self, children: list[Token]) -> tuple[str, Any]:
        (token,) = children
        return "at", self.attempt(token, lambda: patterns.instant(str(token)))

    def by_default(self, _: list[Token]) -> tuple[str, Any]:
        return "expectation", ast.Expectation.DEFAULT

    def by_rule(self, children: list[Token]) -> tuple[str, Any]:
        return "rule", self.name(children[0])

    def supplying_nothing(self, _: list[Token]) -> tuple[str, Any]:
        return "supplying", ()

    def supplying(self, children: list[Token]) -> tuple[str, Any]:
        return "supplying", tuple(self.name(token) for token in children)

    def test_case(self, children: list[Any]) -> ast.TestCase | None:
        (effect, span), subject, on_behalf, (method, service, path), *clauses = children
        given = self._once(clauses, span)
        if subject is not None and not isinstance(subject, ast.PrincipalPattern | ast.DnsPattern):
            help_ = "a test asks about one principal, such as `prod/ns/web/sa/frontend`, or `anonymous`"
            self.report("PDP106", "a test names one exact principal", subject.span, help_)
            return None
        rule = given.get("rule")
        return ast.TestCase(
            effect=effect,
            principal=subject,
            user=on_behalf[0] if on_behalf else None,
            method=method,
            service=service,
            path=path,
            context=given.get("context", ()),
            at=given.get("at"),
            supplying=given.get("supplying"),
            expectation=ast.Expectation.RULE if rule else given.get("expectation", ast.Expectation.ANY),
            rule=rule,
            span=self.join(span, service),
        )

    def _once(self, clauses: list[tuple[str, Any]], span: Span) -> dict[str, Any]:
        given: dict[str, Any] = {}
        for key, value in clauses:
            if key in given:
                word = {"context": "with", "rule": "by", "expectation": "by"}.get(key, key)
                self.report("PDP105", f"`{word}` stands twice in one test case", span, "keep one of them")
            given[key] = value
        return given

    def test(self, children: list[Any]) -> ast.TestBlock:
        name, *cases = children
        return ast.TestBlock(name=self.unquote(name), cases=present(cases), span=self.span(name))
