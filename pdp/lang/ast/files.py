"""A policy file: its items in the order in which they are written."""

from typing import TypeAlias, final

from pdp.lang.ast.declarations import (
    AttributeDecl,
    Callers,
    ConditionDecl,
    Delegation,
    GroupDecl,
    IssuerDecl,
    RoleDecl,
    TrustDomainDecl,
)
from pdp.lang.ast.expectations import Invariant, TestBlock
from pdp.lang.ast.nodes import Node
from pdp.lang.ast.rules import Rule, ServiceBlock

__all__ = ["File", "Item"]


Item: TypeAlias = (
    TrustDomainDecl
    | IssuerDecl
    | GroupDecl
    | RoleDecl
    | ConditionDecl
    | AttributeDecl
    | Delegation
    | ServiceBlock
    | Rule
    | Callers
    | Invariant
    | TestBlock
)


@final
class File(Node, frozen=True, kw_only=True):
    """One policy file. `path` is relative to the policy set."""

    path: str
    items: tuple[Item, ...]
