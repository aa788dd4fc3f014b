"""Atoms: the sets of principals that rules speak of, by content.

An atom is what one principal term of a rule comes to once names are resolved. Atoms are
compared by content, so two rules that mean the same set share one, whatever group names
they went through, and an edited group is simply another atom. Numbers and look-up are the
business of `pdp.index.principals`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias, final

__all__ = [
    "AUTHENTICATED",
    "EVERYONE",
    "Atom",
    "AuthenticatedAtom",
    "DnsSuffixAtom",
    "EveryoneAtom",
    "ExactAtom",
    "PatternAtom",
    "SetAtom",
]


@final
@dataclass(frozen=True, slots=True)
class EveryoneAtom:
    """Every principal, the unauthenticated included."""


@final
@dataclass(frozen=True, slots=True)
class AuthenticatedAtom:
    """Every principal but the unauthenticated."""


@final
@dataclass(frozen=True, slots=True)
class ExactAtom:
    """The principal with this id."""

    id: str


@final
@dataclass(frozen=True, slots=True)
class PatternAtom:
    """SPIFFE IDs by segments; None is any one segment, `open` admits any number more.

    `trust_domain` is None for every trust domain.
    """

    trust_domain: str | None
    segments: tuple[str | None, ...]
    open: bool


@final
@dataclass(frozen=True, slots=True)
class DnsSuffixAtom:
    """DNS identities of exactly one label more than `suffix`."""

    suffix: str


@final
@dataclass(frozen=True)
class SetAtom:
    """Whoever is in one of `terms` and in none of `excluded`."""

    terms: frozenset["Atom"]
    excluded: frozenset["Atom"]

    @cached_property
    def _hash(self) -> int:
        return hash((SetAtom, self.terms, self.excluded))

    def __hash__(self) -> int:
        return self._hash


Atom: TypeAlias = EveryoneAtom | AuthenticatedAtom | ExactAtom | PatternAtom | DnsSuffixAtom | SetAtom

EVERYONE: Final = EveryoneAtom()
AUTHENTICATED: Final = AuthenticatedAtom()
