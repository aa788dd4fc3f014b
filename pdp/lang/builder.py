"""From productions to AST: rules, declarations, callers, invariants and tests.

One method for each production of `grammar/policy.lark`; the parser calls them bottom-up
while it parses, so no parse tree is ever built. A mistake inside a token becomes a
diagnostic, and the statement that held it is left out.
"""

import re
from typing import Any, Final

from pdp.diagnostics import Span
from pdp.lang import ast, patterns
from pdp.lang.bare import bare
from pdp.lang.build_terms import Nested, TermsBuilder
from pdp.lang.tokens import Token, present
from pdp.vocabulary import Effect

__all__ = ["Builder"]

_NAME: Final = re.compile(r"[a-zA-Z0-9][A-Za-z0-9_.-]*")
_HEADER: Final = re.compile(r"[a-z0-9][a-z0-9-]*")


class Builder(TermsBuilder):
    """Methods are named after the grammar's productions and take their children."""

    def start(self, children: list[Any]) -> ast.File:
        return ast.File(path=self.file, items=present(children[1:]))

    def header(self, children: list[Token]) -> None:
        (token,) = children
        if str(token) != "1":
            self.report(
                "PDP103",
                f"version {token} of the language is not known",
                self.span(token),
                "write `language 1`",
            )

    def _declared(self, token: Token) -> ast.Name:
        if not _NAME.fullmatch(str(token)):
            help_ = "a name is made of letters, digits, `-`, `_` and `.`, and begins with a letter or a digit"
            self.report("PDP104", f"`{token}` is not a name", self.span(token), help_)
        return self.name(token)

    # -- declarations ------------------------------------------------------------------

    def trust_domain(self, children: list[Token]) -> ast.TrustDomainDecl:
        name, domain = children
        return ast.TrustDomainDecl(
            name=self._declared(name), domain=self.unquote(domain), span=self.span(domain)
        )

    def issuer(self, children: list[Token]) -> ast.IssuerDecl:
        name, url = children
        return ast.IssuerDecl(name=self._declared(name), url=self.unquote(url), span=self.span(url))

    def empty_group(self, children: list[Token]) -> ast.GroupDecl:
        (name,) = children
        members = ast.PrincipalSet(terms=(), excluded=(), span=self.span(name))
        return ast.GroupDecl(name=self._declared(name), members=members, span=self.span(name))

    def group(self, children: list[Any]) -> ast.GroupDecl | None:
        name, members = children
        if members is None:
            return None
        return ast.GroupDecl(name=self._declared(name), members=members, span=self.span(name))

    def file_group(self, children: list[Token]) -> ast.GroupDecl:
        name, file = children
        members = ast.PrincipalSet(terms=(), excluded=(), span=self.span(file))
        return ast.GroupDecl(
            name=self._declared(name), members=members, file=self.unquote(file), span=self.span(file)
        )

    def role(self, children: list[Any]) -> ast.RoleDecl | None:
        name, targets = children
        if not targets:
            return None
        return ast.RoleDecl(name=self._declared(name), targets=targets, span=self.span(name))

    def condition(self, children: list[Any]) -> ast.ConditionDecl | None:
        name, nested = children
        if nested.expr is None:
            return None
        return ast.ConditionDecl(name=self._declared(name), expr=nested.expr, span=self.span(name))

    def attribute(self, children: list[Token]) -> ast.AttributeDecl | None:
        name, type_ = children
        try:
            known = ast.AttributeType(str(type_))
        except ValueError:
            help_ = "write `string`, `strings`, `int`, `bool` or `ip`"
            self.report("PDP208", f"unknown type `{type_}`", self.span(type_), help_)
            return None
        return ast.AttributeDecl(name=self.name(name), type=known, span=self.span(name))

    def delegation(self, children: list[Any]) -> ast.Delegation:
        directory, *owned = children
        return ast.Delegation(
            directory=self.unquote(directory), owned=tuple(owned), span=self.span(directory)
        )

    def owned_service(self, children: list[Token]) -> ast.Owned:
        return ast.Owned(kind=ast.OwnedKind.SERVICE, name=self.name(children[0]))

    def owned_group(self, children: list[Token]) -> ast.Owned:
        return ast.Owned(kind=ast.OwnedKind.GROUP, name=self.name(children[0]))

    def owned_host(self, children: list[Token]) -> ast.Owned:
        (token,) = children
        return ast.Owned(
            kind=ast.OwnedKind.HOST, name=ast.Name(text=self.unquote(token), span=self.span(token))
        )

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
        if not str(duty.value).isascii() or not str(duty.value).isprintable():
            self.report("PDP328", "a header value is printable ASCII", self.span(value))
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

    # -- callers and invariants --------------------------------------------------------

    def itself(self, _: list[Token]) -> ast.Assertion:
        return ast.Assertion(what=ast.AssertionKind.ITSELF)

    def claims(self, _: list[Token]) -> ast.Assertion:
        return ast.Assertion(what=ast.AssertionKind.CLAIMS)

    def asserted(self, children: list[ast.PrincipalTerm | None]) -> ast.Assertion | None:
        return None if children[0] is None else ast.Assertion(what=children[0])

    def may_assert(self, children: list[Any]) -> tuple[str, Any]:
        return "assertions", present(children)

    def may_explain(self, _: list[Token]) -> tuple[str, Any]:
        return "explain", True

    def supplies(self, children: list[Token]) -> tuple[str, Any]:
        return "supplies", tuple(self.name(token) for token in children)

    def callers(self, children: list[Any]) -> ast.Callers | None:
        who, services, *clauses = children
        if not who:
            return None
        assertions = tuple(item for key, items in clauses if key == "assertions" for item in items)
        supplied = tuple(item for key, items in clauses if key == "supplies" for item in items)
        return ast.Callers(
            who=who,
            services=services,
            assertions=assertions,
            explain=any(key == "explain" for key, _ in clauses),
            supplies=supplied,
            span=self.join(who[0], who[-1]),
        )

    def never(self, children: list[Token]) -> tuple[bool, Span]:
        return False, self.span(children[0])

    def always(self, children: list[Token]) -> tuple[bool, Span]:
        return True, self.span(children[0])

    def invariant(self, children: list[Any]) -> ast.Invariant | None:
        (always, span), principals, users, targets, services, when = children
        if principals is None or not targets or users == ():
            return None
        return ast.Invariant(
            always=always,
            principals=principals,
            users=users or (),
            targets=targets,
            services=services,
            when=when and when.expr,
            span=self.join(span, targets[-1]),
        )


_NO_CLAUSE: Final = ast.Clause()
