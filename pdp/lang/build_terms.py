"""From productions to AST: principals, users and targets."""

from typing import Any

from pdp.lang import ast, patterns
from pdp.lang.ast import SpiffeForm, UserKind
from pdp.lang.tokens import BuilderBase, Token, present

__all__ = ["TermsBuilder"]


class TermsBuilder(BuilderBase):
    """Methods are named after the grammar's productions and take their children."""

    # -- principals and users ----------------------------------------------------------

    def named_or_pattern(self, children: list[Token]) -> ast.PrincipalTerm | None:
        (token,) = children
        text = str(token)
        if "/" in text:
            return self.attempt(token, lambda: patterns.principal_pattern(text, self.span(token)))
        return ast.GroupRef(name=text, span=self.span(token))

    def uri_pattern(self, children: list[Token]) -> ast.PrincipalPattern | None:
        (token,) = children
        return self.attempt(token, lambda: patterns.uri_pattern(self.unquote(token), self.span(token)))

    def service_account(self, children: list[Token]) -> ast.PrincipalPattern | None:
        (token,) = children
        form = SpiffeForm.SERVICE_ACCOUNT
        return self.attempt(token, lambda: patterns.short_form(str(token), form, self.span(token)))

    def namespace(self, children: list[Token]) -> ast.PrincipalPattern | None:
        (token,) = children
        form = SpiffeForm.NAMESPACE
        return self.attempt(token, lambda: patterns.short_form(str(token), form, self.span(token)))

    def dns(self, children: list[Token]) -> ast.DnsPattern | None:
        (token,) = children
        text = self.unquote(token) if token.startswith('"') else str(token)
        return self.attempt(token, lambda: patterns.dns_pattern(text, self.span(token)))

    def any_principal_of(self, children: list[Token]) -> ast.AnyPrincipalOf:
        (token,) = children
        return ast.AnyPrincipalOf(trust_domain=self.name(token), span=self.span(token))

    def any_authenticated(self, children: list[Token]) -> ast.AnyAuthenticated:
        return ast.AnyAuthenticated(span=self.span(children[0]))

    def anyone(self, children: list[Token]) -> ast.Anyone:
        return ast.Anyone(span=self.span(children[0]))

    def terms(self, children: list[ast.PrincipalTerm | None]) -> tuple[ast.PrincipalTerm, ...]:
        return present(children)

    def excluded(self, children: list[ast.PrincipalTerm | None]) -> tuple[ast.PrincipalTerm, ...]:
        return present(children)

    def principal_set(self, children: list[Any]) -> ast.PrincipalSet | None:
        terms, excluded = children[0], children[1] or ()
        if not terms:
            return None
        span = self.join(terms[0], excluded[-1] if excluded else terms[-1])
        return ast.PrincipalSet(terms=terms, excluded=excluded, span=span)

    def users(self, children: list[ast.UserPattern | None]) -> tuple[ast.UserPattern, ...]:
        return present(children)

    def any_user(self, children: list[Token]) -> ast.UserPattern:
        return ast.UserPattern(kind=UserKind.ANY, issuer="", name="", span=self.span(children[0]))

    def user_subject(self, children: list[Token]) -> ast.UserPattern | None:
        return self._user(children[0], UserKind.SUBJECT)

    def user_group(self, children: list[Token]) -> ast.UserPattern | None:
        return self._user(children[0], UserKind.GROUP)

    def _user(self, token: Token, kind: UserKind) -> ast.UserPattern | None:
        text = self.unquote(token) if token.startswith('"') else str(token)
        return self.attempt(token, lambda: patterns.user_pattern(text, kind, self.span(token)))

    # -- targets -----------------------------------------------------------------------

    def targets(
        self, children: list[ast.Target | ast.RoleRef | None]
    ) -> tuple[ast.Target | ast.RoleRef, ...]:
        return present(children)

    def target(self, children: list[Any]) -> ast.Target | None:
        (methods, first), path, excluded = children
        if path is None:
            return None
        span = self.join(first, (excluded or (path,))[-1])
        return ast.Target(methods=methods, path=path, excluded=excluded or (), span=span)

    def call(self, children: list[Token]) -> ast.Target | None:
        (token,) = children
        path = self.attempt(token, lambda: patterns.call_pattern(str(token), self.span(token)))
        if path is None:
            return None
        return ast.Target(methods=("POST",), path=path, call=True, span=self.span(token))

    def role_ref(self, children: list[Token]) -> ast.RoleRef:
        (token,) = children
        return ast.RoleRef(name=str(token), span=self.span(token))

    def any_method(self, children: list[Token]) -> tuple[None, Any]:
        return None, self.span(children[0])

    def method_list(self, children: list[Token]) -> tuple[tuple[str, ...], Any]:
        return tuple(str(token) for token in children), self.span(children[0])

    def path(self, children: list[Token]) -> ast.PathPattern | None:
        (token,) = children
        text = self.unquote(token) if token.startswith('"') else str(token)
        return self.attempt(token, lambda: patterns.path_pattern(text, self.span(token)))

    def path_except(self, children: list[ast.PathPattern | None]) -> tuple[ast.PathPattern, ...]:
        return present(children)
