"""Atoms as bytes: for explanations, which name sets of principals, and never for a decision.

Single principals stand in the table of those that are known by name. All others are entries of a list, in
which a set refers to what it is made of. An atom's digest depends on its content alone, so that the number
of a set is found without unfolding any other.
"""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Final, final

import msgspec

from pdp.compiler.atoms import (
    AUTHENTICATED,
    EVERYONE,
    Atom,
    AuthenticatedAtom,
    DnsSuffixAtom,
    EveryoneAtom,
    ExactAtom,
    PatternAtom,
    SetAtom,
)
from pdp.image.layout import ImageError

__all__ = ["AtomsWriter", "Digests", "read_atom"]


class _Entry(msgspec.Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    pass


class _Everyone(_Entry, frozen=True, tag=True, array_like=True):
    pass


class _Authenticated(_Entry, frozen=True, tag=True, array_like=True):
    pass


class _Suffix(_Entry, frozen=True, tag=True, array_like=True):
    suffix: str


class _Pattern(_Entry, frozen=True, tag=True, array_like=True):
    trust_domain: str | None
    segments: tuple[str | None, ...]
    open: bool


class _Set(_Entry, frozen=True, tag=True, array_like=True):
    """References: `known << 1` for a single principal, `entry << 1 | 1` for any other."""

    terms: tuple[int, ...]
    excluded: tuple[int, ...]


_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(_Everyone | _Authenticated | _Suffix | _Pattern | _Set)


@final
class AtomsWriter:
    """The list of atoms that are no single principals.

    Attributes:
        entries: The list, so far.
    """

    def __init__(self, known: Mapping[str, int]) -> None:
        """Begin with the numbers that single principals have among those known by name."""
        self.entries: list[bytes] = []
        self._known = known
        self._numbers: dict[Atom, int] = {}

    def reference(self, atom: Atom) -> int:
        """What a set says instead of an atom."""
        if isinstance(atom, ExactAtom):
            return self._known[atom.id] << 1
        return self.number(atom) << 1 | 1

    def number(self, atom: Atom) -> int:
        """The number of an atom's entry."""
        number = self._numbers.get(atom)
        if number is None:
            entry = _encode(self._entry(atom))  # what it is made of comes first
            number = self._numbers[atom] = len(self.entries)
            self.entries.append(entry)
        return number

    def _entry(self, atom: Atom) -> _Entry:
        match atom:
            case EveryoneAtom():
                return _Everyone()
            case AuthenticatedAtom():
                return _Authenticated()
            case DnsSuffixAtom(suffix=suffix):
                return _Suffix(suffix)
            case PatternAtom(trust_domain=domain, segments=segments, open=is_open):
                return _Pattern(domain, segments, is_open)
            case SetAtom(terms=terms, excluded=excluded):
                return _Set(
                    tuple(sorted(map(self.reference, terms))), tuple(sorted(map(self.reference, excluded)))
                )
            case _:
                raise TypeError(atom)


def read_atom(
    number: int, entry: Callable[[int], bytes], known: Callable[[int], str], made: dict[int, Atom]
) -> Atom:
    """The atom of an entry.

    Args:
        number: The entry.
        entry: Gives the bytes of one.
        known: Gives the id of a principal that is known by name.
        made: Atoms that were read before; grows.

    Raises:
        ImageError: There is no such entry, or a set is made of what comes after it.
    """
    if number not in made:
        try:
            found = _decoder.decode(entry(number))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ImageError("a set of principals cannot be read") from error

        def member(reference: int) -> Atom:
            if not reference & 1:
                return ExactAtom(known(reference >> 1))
            if reference >> 1 >= number:
                raise ImageError("a set of principals is made of itself")
            return read_atom(reference >> 1, entry, known, made)

        atom: Atom
        match found:
            case _Everyone():
                atom = EVERYONE
            case _Authenticated():
                atom = AUTHENTICATED
            case _Suffix(suffix=suffix):
                atom = DnsSuffixAtom(suffix)
            case _Pattern(trust_domain=domain, segments=segments, open=is_open):
                atom = PatternAtom(domain, segments, is_open)
            case _Set(terms=terms, excluded=excluded):
                atom = SetAtom(frozenset(map(member, terms)), frozenset(map(member, excluded)))
        made[number] = atom
    return made[number]


@final
class Digests:
    """The digests of atoms; sets share those of what they are made of."""

    def __init__(self) -> None:
        self._known: dict[Atom, bytes] = {}

    def __call__(self, atom: Atom) -> str:
        """A name that atoms of this content have, and no others."""
        return self._of(atom).hex()

    def _of(self, atom: Atom) -> bytes:
        if isinstance(atom, ExactAtom):
            return _digest(_encode(("exact", atom.id)))
        found = self._known.get(atom)
        if found is None:
            found = self._known[atom] = _digest(self._content(atom))
        return found

    def _content(self, atom: Atom) -> bytes:
        match atom:
            case DnsSuffixAtom(suffix=suffix):
                return _encode(("suffix", suffix))
            case PatternAtom(trust_domain=domain, segments=segments, open=is_open):
                return _encode(("pattern", domain, segments, is_open))
            case SetAtom(terms=terms, excluded=excluded):
                return _encode(("set", sorted(map(self._of, terms)), sorted(map(self._of, excluded))))
            case _:
                return _encode((type(atom).__name__,))


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()
