"""Targets: methods on paths, roles, and the services that a rule speaks of."""

from dataclasses import dataclass, field
from typing import TypeAlias, final

from pdp.diagnostics import Span
from pdp.lang.ast.segments import Name, Segment

__all__ = ["AnyService", "PathPattern", "RoleRef", "Services", "Target"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PathPattern:
    """A path, anchored at both ends; its segments are those of `path.split("/")[1:]`."""

    segments: tuple[Segment, ...]
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Methods on a path; `methods` is None for the word `any`. `call` is how it was written."""

    methods: tuple[str, ...] | None
    path: PathPattern
    excluded: tuple[PathPattern, ...] = ()
    call: bool = field(default=False, compare=False)
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RoleRef:
    """A role by name."""

    name: str
    span: Span = field(compare=False, repr=False)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AnyService:
    """`any service`: every service, those not declared included."""

    span: Span = field(compare=False, repr=False)


#: Services by name, or every one.
Services: TypeAlias = tuple[Name, ...] | AnyService
