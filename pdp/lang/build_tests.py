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
        if str(call).endswith("/*"):
            help_ = "write the method of one request"
            self.report("PDP111", "`*` stands in the path of a test", self.span(call), help_)
        return "POST", self.name(service), f"/{call}"

    def request_path(self, children: list[Token]) -> str:
        (token,) = children
        text = self.unquote(token) if token.startswith('"') else str(token)
        for part in text.split("/"):
            if part in {"*", "**"} or (part.startswith("{") and part.endswith("}")):
                help_ = "write the path of one request"
                self.report("PDP111", f"`{part}` stands in the path of a test", self.span(token), help_)
        return text

    def bound(self, children: list[Any]) -> tuple[ast.Name, tuple[ast.Value, ...] | None] | None:
        token, value = children
        return None if value is None else (self.name(token), (value,))

    def bound_list(self, children: list[Any]) -> tuple[ast.Name, tuple[ast.Value, ...] | None]:
        token, *values = children
        return self.name(token), present(values)

    def bound_absent(self, children: list[Token]) -> tuple[ast.Name, tuple[ast.Value, ...] | None]:
        return self.name(children[0]), None

    # -- clauses: a keyword, what follows it, and where that stands ----------------------

    def with_context(self, children: list[Any]) -> tuple[str, Any, Span | None]:
        bindings = present(children)
        return "with", bindings, bindings[0][0].span if bindings else None

    def at(self, children: list[Token]) -> tuple[str, Any, Span | None]:
        (token,) = children
        return "at", self.attempt(token, lambda: patterns.instant(str(token))), self.span(token)

    def by_default(self, children: list[Token]) -> tuple[str, Any, Span | None]:
        return "by", ast.Expectation.DEFAULT, self.span(children[0])

    def by_rule(self, children: list[Token]) -> tuple[str, Any, Span | None]:
        return "by", self.name(children[0]), self.span(children[0])

    def supplying_nothing(self, children: list[Token]) -> tuple[str, Any, Span | None]:
        return "supplying", (), self.span(children[0])

    def supplying(self, children: list[Token]) -> tuple[str, Any, Span | None]:
        names = tuple(self.name(token) for token in children)
        return "supplying", names, names[0].span

    def test_case(self, children: list[Any]) -> ast.TestCase | None:
        (effect, span), subject, on_behalf, (method, service, path), *clauses = children
        given = self._once(clauses)
        if subject is not None and not isinstance(subject, ast.PrincipalPattern | ast.DnsPattern):
            help_ = "a test asks about one principal, such as `prod/ns/web/sa/frontend`, or `anonymous`"
            self.report("PDP106", "a test names one exact principal", subject.span, help_)
            return None
        expected = given.get("by", ast.Expectation.ANY)
        rule = expected if isinstance(expected, ast.Name) else None
        return ast.TestCase(
            effect=effect,
            principal=subject,
            user=on_behalf[0] if on_behalf else None,
            method=method,
            service=service,
            path=path,
            context=given.get("with", ()),
            at=given.get("at"),
            supplying=given.get("supplying"),
            expectation=ast.Expectation.RULE if rule else expected,
            rule=rule,
            span=self.join(span, service),
        )

    def _once(self, clauses: list[tuple[str, Any, Span | None]]) -> dict[str, Any]:
        given: dict[str, Any] = {}
        for keyword, value, span in clauses:
            if keyword in given and span is not None:
                self._twice(keyword, "test case", span)
            given[keyword] = value
        return given

    def test(self, children: list[Any]) -> ast.TestBlock:
        name, *cases = children
        return ast.TestBlock(name=self.unquote(name), cases=present(cases), span=self.span(name))
