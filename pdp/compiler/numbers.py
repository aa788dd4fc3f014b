"""Numbers for atoms and methods, kept from one version of the policy set to the next.

Numbers are only ever added, so an index that was built under an earlier version goes on
meaning the same while the next one is built beside it.
"""

from dataclasses import dataclass, field
from typing import Final, final

from pdp.compiler.atoms import AUTHENTICATED, EVERYONE, Atom
from pdp.limits import MAX_METHODS

__all__ = ["AUTHENTICATED_NUMBER", "EVERYONE_NUMBER", "Numbers"]

EVERYONE_NUMBER: Final = 0
AUTHENTICATED_NUMBER: Final = 1


_FIXED: Final[dict[Atom, int]] = {EVERYONE: EVERYONE_NUMBER, AUTHENTICATED: AUTHENTICATED_NUMBER}


@final
@dataclass(slots=True)
class Numbers:
    """The numbers given so far.

    Attributes:
        atoms: Number of each atom.
        methods: Bit of each method that some rule names; bit 0 stands for all others.
    """

    atoms: dict[Atom, int] = field(default_factory=dict)
    methods: dict[str, int] = field(default_factory=dict)

    def atom(self, atom: Atom) -> int:
        """The atom's number."""
        number = self.atoms.get(atom)
        if number is None:
            number = self.atoms[atom] = _FIXED.get(atom, len(self.atoms) + len(_FIXED))
        return number

    def method(self, method: str) -> int | None:
        """The method's bit, or None if no more can be told apart."""
        bit = self.methods.get(method)
        if bit is None:
            if len(self.methods) >= MAX_METHODS:
                return None
            bit = self.methods[method] = 1 << (len(self.methods) + 1)
        return bit
