"""Targets: methods on paths, roles, and the services that a rule speaks of."""

from typing import TypeAlias, final

from pdp.diagnostics import Span
from pdp.lang.ast.nodes import Node
from pdp.lang.ast.segments import Name, Segment

__all__ = ["AnyService", "PathPattern", "RoleRef", "Services", "Target"]


@final
class PathPattern(Node, frozen=True, kw_only=True):
    """A path, anchored at both ends; its segments are those of `path.split("/")[1:]`."""

    segments: tuple[Segment, ...]
    span: Span


@final
class Target(Node, frozen=True, kw_only=True):
    """Methods on a path; `methods` is None for the word `any`. `call` is how it was written."""

    methods: tuple[str, ...] | None
    path: PathPattern
    excluded: tuple[PathPattern, ...] = ()
    call: bool = False
    span: Span


@final
class RoleRef(Node, frozen=True, kw_only=True):
    """A role by name."""

    name: str
    span: Span


@final
class AnyService(
    Node, frozen=True, kw_only=True, array_like=False
):  # told from a tuple of names, as bytes too
    """`any service`: every service, those not declared included."""

    span: Span


#: Services by name, or every one.
Services: TypeAlias = tuple[Name, ...] | AnyService
