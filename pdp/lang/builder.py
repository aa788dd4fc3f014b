"""From productions to AST: declarations, callers and invariants.

One method for each production of `grammar/policy.lark`; the parser calls them bottom-up
while it parses, so no parse tree is ever built. A mistake inside a token becomes a
diagnostic, and the statement that held it is left out. The productions that these are made
of are read in `pdp.lang.build_terms`, `pdp.lang.build_conditions` and `pdp.lang.build_rules`,
each of which adds to the one before; `pdp.lang.build_tests` adds the last ones.
"""

from typing import Any

from pdp.diagnostics import Span
from pdp.lang import ast
from pdp.lang.build_rules import RulesBuilder
from pdp.lang.tokens import Token, present

__all__ = ["Builder"]


class Builder(RulesBuilder):
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

    # -- callers and invariants --------------------------------------------------------

    def itself(self, _: list[Token]) -> ast.Assertion:
        return ast.Assertion(what=ast.AssertionKind.ITSELF)

    def claims(self, _: list[Token]) -> ast.Assertion:
        return ast.Assertion(what=ast.AssertionKind.CLAIMS)

    def asserted(self, children: list[ast.PrincipalTerm | None]) -> ast.Assertion | None:
        return None if children[0] is None else ast.Assertion(what=children[0])

    def may_assert(self, children: list[Any]) -> tuple[str, Any]:
        return "assertions", present(children)

    def evidence(self, children: list[Token]) -> tuple[ast.Name, ...]:
        return tuple(self.name(token) for token in children)

    def may_present(self, children: list[Any]) -> tuple[str, Any]:
        kinds, *terms = children
        principals = present(terms)
        return "presents", (ast.Presented(kinds=kinds, principals=principals),) if principals else ()

    def may_present_users(self, children: list[Token]) -> tuple[str, Any]:
        return "user_tokens", tuple(self.name(token) for token in children[1:])

    def may_explain(self, _: list[Token]) -> tuple[str, Any]:
        return "explain", True

    def supplies(self, children: list[Token]) -> tuple[str, Any]:
        return "supplies", tuple(self.name(token) for token in children)

    def callers(self, children: list[Any]) -> ast.Callers | None:
        who, services, *clauses = children
        if not who:
            return None
        lists: dict[str, tuple[Any, ...]] = {}
        for key, items in clauses:
            if key != "explain":
                lists[key] = (*lists.get(key, ()), *items)
        return ast.Callers(
            who=who,
            services=services,
            assertions=lists.get("assertions", ()),
            presents=lists.get("presents", ()),
            user_tokens=lists.get("user_tokens", ()),
            explain=any(key == "explain" for key, _ in clauses),
            supplies=lists.get("supplies", ()),
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
