"""Checked conditions as data: what is left of an expression once its names and types are known.

Terms are small, equal exactly when they say the same, and hold nothing of the process that made them but
numbers of atoms. `pdp.compiler.conditions.closures` makes of them what decides.
"""

from typing import TypeAlias, final

import msgspec

from pdp.compiler.evaluation import Place
from pdp.lang.ast import AttributeType, Operator, UserKind

__all__ = [
    "And", "Compared", "Constant", "Contains", "During", "Has", "Key", "MemberOf", "Not", "OnBehalf", "Or",
    "PrincipalIn", "SameAs", "Term",
]  # fmt: skip

#: The name of an attribute, or the place of a capture.
Key: TypeAlias = str | Place
#: A value as it is written; the type beside it says how it is compared.
Constant: TypeAlias = str | int | bool


class _Term(msgspec.Struct, frozen=True, tag=True, gc=False):
    pass


@final
class And(_Term, frozen=True, tag=True, gc=False):
    """Kleene's *and*."""

    parts: tuple["Term", ...]


@final
class Or(_Term, frozen=True, tag=True, gc=False):
    """Kleene's *or*."""

    parts: tuple["Term", ...]


@final
class Not(_Term, frozen=True, tag=True, gc=False):
    """Kleene's *not*."""

    part: "Term"


@final
class Has(_Term, frozen=True, tag=True, gc=False):
    """`has NAME`."""

    name: str


@final
class Contains(_Term, frozen=True, tag=True, gc=False):
    """`NAME has TEXT`, of a list."""

    name: str
    text: str


@final
class MemberOf(_Term, frozen=True, tag=True, gc=False):
    """`KEY in { VALUES }`; for addresses the values are addresses and blocks."""

    key: Key
    kind: AttributeType
    values: tuple[Constant, ...]


@final
class Compared(_Term, frozen=True, tag=True, gc=False):
    """`KEY OPERATOR VALUE`."""

    key: Key
    operator: Operator
    kind: AttributeType
    value: Constant


@final
class SameAs(_Term, frozen=True, tag=True, gc=False):
    """`LEFT == RIGHT`, where the right side is no list."""

    left: Key
    left_type: AttributeType
    right: Key
    right_type: AttributeType


@final
class PrincipalIn(_Term, frozen=True, tag=True, gc=False):
    """Whether the principal is in the atom of this number."""

    atom: int


@final
class During(_Term, frozen=True, tag=True, gc=False):
    """A time of week: days from Monday (0), minutes of the day, on the wall clock of a zone."""

    days: tuple[int, ...]
    start: int
    end: int
    zone: str


@final
class OnBehalf(_Term, frozen=True, tag=True, gc=False):
    """The user is one of these: a kind, an issuer's URL, and a name."""

    wanted: tuple[tuple[UserKind, str, str], ...]


Term: TypeAlias = (
    And | Or | Not | Has | Contains | MemberOf | Compared | SameAs | PrincipalIn | During | OnBehalf
)
