"""From productions to AST: rules with their clauses, and the blocks of services."""

import re
from typing import Any, Final
from urllib.parse import quote

from pdp.diagnostics import Span
from pdp.lang import ast, patterns
from pdp.lang.bare import bare
from pdp.lang.build_conditions import ConditionsBuilder, Nested
from pdp.lang.tokens import Token, present
from pdp.vocabulary import Effect

__all__ = ["RulesBuilder"]

_NAME: Final = re.compile(r"[a-zA-Z0-9][A-Za-z0-9_.-]*")
_HEADER: Final = re.compile(r"[a-z0-9][a-z0-9-]*")
_NO_CLAUSE: Final = ast.Clause()


class RulesBuilder(ConditionsBuilder):
    """What `ConditionsBuilder` reads, and what is granted and refused."""

    def _declared(self, token: Token) -> ast.Name:
        if not _NAME.fullmatch(str(token)):
            help_ = "a name is made of letters, digits, `-`, `_` and `.`, and begins with a letter or a digit"
            self.report("PDP104", f"`{token}` is not a name", self.span(token), help_)
        return self.name(token)

    # -- services and rules ------------------------------------------------------------

    def observe(self, children: list[Token]) -> int | None:
        (token,) = children
        return self.attempt(token, lambda: patterns.instant(str(token)))

    def service(self, children: list[Any]) -> ast.ServiceBlock:
        name, observe_until, *items = children
        return ast.ServiceBlock(
            name=self._declared(name), observe_until=observe_until, items=present(items), span=self.span(name)
        )

    def host(self, children: list[Token]) -> ast.Host:
        (token,) = children
        text = self.unquote(token) if token.startswith('"') else str(token)
        return ast.Host(name=text, span=self.span(token))

    def relaxation(self, children: list[Token]) -> ast.RelaxationClause:
        names = tuple(self.name(token) for token in children)
        return ast.RelaxationClause(names=names, span=self.join(names[0], names[-1]))

    def bulk(self, children: list[Any]) -> ast.BulkGrants:
        _, token, *clauses = children
        return ast.BulkGrants(file=self.unquote(token), clause=self._clause(clauses), span=self.span(token))

    def allow(self, children: list[Token]) -> tuple[Effect, Span]:
        return Effect.ALLOW, self.span(children[0])

    def deny(self, children: list[Token]) -> tuple[Effect, Span]:
        return Effect.DENY, self.span(children[0])

    def rule(self, children: list[Any]) -> ast.Rule | None:
        shadow, (effect, span), principals, users, targets, services, *clauses = children
        if principals is None or not targets or users == ():
            return None
        clause = self._clause(clauses)
        start = self.span(shadow) if shadow is not None else span
        place = self.join(start, targets[-1])
        if clause.until is not None and (effect is Effect.DENY or clause.valid_from is not None):
            self.endings[place] = next(
                at for word, value, at in clauses if word == "until" and value is not None
            )
        return ast.Rule(
            effect=effect,
            shadow=shadow is not None,
            principals=principals,
            users=users or (),
            targets=targets,
            services=services,
            clause=clause,
            span=place,
        )

    def services(self, children: list[Any]) -> Any:
        return children[0]

    def any_service(self, children: list[Token]) -> ast.AnyService:
        return ast.AnyService(span=self.span(children[0]))

    def service_names(self, children: list[ast.Name]) -> tuple[ast.Name, ...]:
        return tuple(children)

    def service_name(self, children: list[Token]) -> ast.Name:
        (token,) = children
        text = self.unquote(token) if token.startswith('"') else str(token)
        return ast.Name(text=text, span=self.span(token))

    # -- clauses: pairs of a keyword and what follows it -------------------------------

    def when(self, children: list[Nested]) -> tuple[str, Any, Span | None]:
        (expr,) = (nested.expr for nested in children)
        return "when", expr, expr and expr.span

    def unless(self, children: list[Nested]) -> tuple[str, Any, Span | None]:
        (expr,) = (nested.expr for nested in children)
        return "unless", expr, expr and expr.span

    def valid_from(self, children: list[Token]) -> tuple[str, Any, Span]:
        (token,) = children
        return "valid_from", self.attempt(token, lambda: patterns.instant(str(token))), self.span(token)

    def until(self, children: list[Token]) -> tuple[str, Any, Span]:
        (token,) = children
        return "until", self.attempt(token, lambda: patterns.instant(str(token))), self.span(token)

    def because(self, children: list[Token]) -> tuple[str, Any, Span]:
        return "because", self.unquote(children[0]), self.span(children[0])

    def owner(self, children: list[Token]) -> tuple[str, Any, Span]:
        return "owner", self.unquote(children[0]), self.span(children[0])

    def named(self, children: list[Token]) -> tuple[str, Any, Span]:
        return "name", self._declared(children[0]), self.span(children[0])

    def set_header(self, children: list[Token]) -> tuple[str, Any, Span]:
        name, value = children
        duty = ast.HeaderObligation(
            header=self._header(name), value=self.unquote(value), span=self.span(name)
        )
        other = next((char for char in str(duty.value) if not (char.isascii() and char.isprintable())), "")
        if other:
            help_ = f"leave out `{other}`, or write it encoded if that is decoded again: `{quote(other)}`"
            self.report("PDP328", "a header value is printable ASCII", self.span(value), help_)
        return "obligation", duty, self.span(name)

    def remove_header(self, children: list[Token]) -> tuple[str, Any, Span]:
        (name,) = children
        duty = ast.HeaderObligation(header=self._header(name), value=None, span=self.span(name))
        return "obligation", duty, self.span(name)

    def reuse(self, children: list[Token]) -> tuple[str, Any, Span]:
        (token,) = children
        millis = self.attempt(token, lambda: patterns.duration(str(token)))
        duty = None if millis is None else ast.ReuseLimit(millis=millis, span=self.span(token))
        return "obligation", duty, self.span(token)

    def _header(self, token: Token) -> str:
        if not _HEADER.fullmatch(str(token)):
            help_ = "a header is written in lower case, with `-` and without `_`"
            self.report("PDP329", f"`{token}` is not a header name", self.span(token), help_)
        return str(token)

    def _clause(self, parts: list[tuple[str, Any, Span | None]]) -> ast.Clause:
        given: dict[str, Any] = {}
        obligations: list[Any] = []
        for keyword, value, span in parts:
            if value is None or span is None:
                continue
            if keyword == "obligation":
                obligations.append(value)
            elif keyword in given:
                word = {"valid_from": "from", "name": "as"}.get(keyword, keyword)
                self._twice(word, "rule", span)
            else:
                given[keyword] = value
        return ast.Clause(**given, obligations=tuple(obligations)) if given or obligations else _NO_CLAUSE

    def _twice(self, word: str, what: str, value: Span) -> None:
        """Report a clause that is given again, at its keyword; `value` is where what it says begins."""
        at = bare(self.source.text).rfind(word, 0, value.start)
        span = Span(file=value.file, start=at, end=at + len(word)) if at >= 0 else value
        self.report("PDP105", f"`{word}` stands twice in one {what}", span, "keep one of them")
