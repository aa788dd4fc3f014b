"""What was made of an image, counted: a process that has made too much of it drops it all, and begins anew.

States of a path are made when a walk first comes to them and stay for the next. Over a large policy set each
worker would end up with all of them for itself, which is what images are there to avoid.
"""

from threading import RLock
from typing import Protocol, final
from weakref import ref

from pdp.limits import MAX_MADE_OF_IMAGES

__all__ = ["Keeper"]


class Owner(Protocol):
    """Makes things of an image and keeps them."""

    def drop(self) -> None:
        """Keep none of them. Called with the lock held."""


@final
class Keeper:
    """Counts what is made, and has it dropped. Decisions go on meanwhile: what they need is made again.

    Attributes:
        lock: Held while something is made or dropped, since several threads may decide.
    """

    def __init__(self, most: int = MAX_MADE_OF_IMAGES) -> None:
        """Keep so many things and no more."""
        self.lock = RLock()
        self._most = most
        self._made = 0
        self._owners: dict[int, tuple[ref[Owner], list[int]]] = {}  # with how many things it has made

    def count(self, owner: Owner) -> None:
        """An owner is about to make something. Called with the lock held."""
        if self._made >= self._most:
            self._drop()
        self._made += 1
        found = self._owners.get(id(owner))
        if found is None or found[0]() is not owner:  # an id is given again
            found = self._owners[id(owner)] = ref(owner), [0]
        found[1][0] += 1

    def _drop(self) -> None:
        """Have those who began first drop everything, until half is left."""
        for number, (owner, made) in tuple(self._owners.items()):
            if self._made <= self._most // 2:
                return
            del self._owners[number]
            self._made -= made[0]
            if (living := owner()) is not None:
                living.drop()
