"""What a compiled condition is given: one request, taken apart."""

from collections.abc import Collection, Mapping
from typing import TypeAlias

import msgspec

from pdp.vocabulary import AttributeValue, Millis, User

__all__ = ["Evaluation", "Place", "Truth"]

#: True, False, or None for unknown.
Truth: TypeAlias = bool | None


class Place(msgspec.Struct, frozen=True):
    """Where a capture's segment is: in the principal or in the path, negative from its end."""

    principal: bool
    index: int


class Evaluation(msgspec.Struct, frozen=True):
    """One request, as conditions read it.

    Attributes:
        atoms: Numbers of the atoms that the principal is in.
        principal: The principal's segments.
        path: The path's segments.
        context: Attributes by name, the user's issuer, subject and groups among them.
        supplied: Families that whoever asks supplies.
        user: The user, if there is one.
        now: The instant.
    """

    atoms: Collection[int]
    principal: tuple[str, ...]
    path: list[str]
    context: Mapping[str, AttributeValue | None]
    supplied: frozenset[str]
    user: User | None
    now: Millis

    def segment(self, place: Place) -> str:
        """The segment at a place of the principal or the path."""
        return self.principal[place.index] if place.principal else self.path[place.index]
