"""What all nodes of the AST have in common: they are compared by meaning.

Frozen `msgspec.Struct`: one costs a tenth of a frozen dataclass to make, and a policy set has
millions. The garbage collector does not track them, since a tree has no cycles. Each has a tag, its
class's name: a tree that is written down can be read again, and only as what it was.
"""

from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

import msgspec

__all__ = ["Node"]

#: How something was written and where, which is no part of what it says.
_NOT_COMPARED: Final = frozenset({"span", "form", "call"})


class Node(
    msgspec.Struct, frozen=True, kw_only=True, eq=False, gc=False, tag=True, tag_field="node", array_like=True
):
    """A part of a policy file. Equal nodes say the same, wherever and however they are written."""

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if self.__class__ is not other.__class__:
            return NotImplemented
        meaning = _meaning(self.__class__)
        return bool(meaning(self) == meaning(other))

    def __ne__(self, other: object) -> bool:  # that of `Struct` does not ask `__eq__`
        return not self == other

    def __hash__(self) -> int:
        return hash((self.__class__, _meaning(self.__class__)(self)))

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name != "span")
        return f"{type(self).__name__}({', '.join(shown)})"


@lru_cache(maxsize=256)
def _meaning(kind: type[Node]) -> Callable[[Any], Any]:
    """What of a node is compared."""
    names = [name for name in kind.__struct_fields__ if name not in _NOT_COMPARED]
    return attrgetter(*names) if names else lambda _: None
