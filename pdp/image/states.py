"""States of a service, made when a walk first comes to them.

A state whose turn has not come is a `_Pending`: an object whose slots are empty. Reading one fills it, and
from then on it *is* a `State`, so that a walk costs what it costs in an index that was built here. What is
behind a large map of literals is found without making what lies beside it.
"""

from collections.abc import Iterator, Mapping
from typing import Final, final
from weakref import ref

import msgspec

from pdp.image.keeper import Keeper
from pdp.image.layout import ImageError, Part, there
from pdp.image.leaves import Leaves
from pdp.image.maps import MAPS, Find, Maps
from pdp.image.patterns import read_pattern
from pdp.image.sequences import TUPLES, Blobs, Tuples
from pdp.image.states_out import RECORD
from pdp.index.cells import Affixes, LeafOrRow, Lone, State, Tail, wild_step

__all__ = ["States"]

_Affixes = tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[str | None, str | None, int], ...]]
_affixes: Final = msgspec.msgpack.Decoder(_Affixes)
_SLOTS: Final = frozenset({"affixes", "leaf", "literals", "other", "rests", "sink", "tails", "wild"})
_LEAVES: Final = 6


@final
class _Pending(State):
    """A state that is not made yet; `source` says of what."""

    __slots__ = ()
    source: "tuple[ref[States], int]"

    def __init__(self, source: "tuple[ref[States], int]") -> None:
        self.source = source

    def __getattr__(self, name: str) -> object:
        """Called for a slot that is empty: make the state, all of it."""
        if name not in _SLOTS:
            raise AttributeError(name)
        states, number = self.source
        there(states()).fill(self, number)
        return getattr(self, name)


@final
class States:
    """The states in a part.

    INVARIANT: no state refers to them but weakly, so that an image that is used no more is gone at once, and
    its pages with it. Whoever holds the index holds them (`pdp.image.rules.FlatColumns`).
    """

    def __init__(self, part: Part, first: int, patterns: Blobs, keeper: Keeper) -> None:
        """Read them from the section `first` on.

        Args:
            part: The part.
            first: The section.
            patterns: Path patterns by number.
            keeper: Bounds what is kept of them.
        """
        self._buffer = part.buffer
        self._records, end = part.span(first)
        self._leaves = Leaves(part, first + 1)
        at = first + 1 + _LEAVES
        self._maps = Maps(part, at)
        self._tuples, self._tail_tuples = Tuples(part, at + MAPS), Tuples(part, at + MAPS + TUPLES)
        self._blobs = Blobs(part, at + MAPS + 2 * TUPLES)
        self._patterns = patterns
        self._keeper = keeper
        self._count = (end - self._records) // RECORD.size
        if not self._count:
            raise ImageError("there is no state to begin with")
        self._own = ref(self)
        self.root: Final[State] = _Pending((self._own, 0))
        self.drop()

    def drop(self) -> None:
        """Have only the root, and that not made."""
        self._made: dict[int, State] = {0: self.root}
        self._rests_made: dict[int, tuple[LeafOrRow, ...]] = {0: ()}
        self._tails_made: dict[int, tuple[Tail, ...]] = {0: ()}
        self._leaves.drop()
        root = self.root
        if root.__class__ is State:
            root.__class__ = (
                _Pending  # first: whoever reads it meanwhile finds slots that are full, or fills them
            )
            for name in _SLOTS:
                delattr(root, name)

    def state(self, number: int) -> State:
        """The state of this number, made or not."""
        found = self._made.get(number)
        if found is None:
            if number >= self._count:
                raise ImageError("there is no such state")
            found = self._made.setdefault(number, _Pending((self._own, number)))
        return found

    def following(self, value: int) -> State | Lone:
        """What a segment leads to, by its number in a map."""
        return self.state(value >> 1) if value & 1 else value >> 1

    def fill(self, state: State, number: int) -> None:
        """Make a state: called once its first slot is read.

        Raises:
            ImageError: The image is damaged.
        """
        with self._keeper.lock:
            if state.__class__ is State:  # another thread was faster
                return
            self._keeper.count(self)
            try:
                self._fill(state, number)
            except (IndexError, ValueError, msgspec.MsgspecError) as error:
                raise ImageError("a state cannot be read") from error
            state.__class__ = State  # the same slots, all full

    def _fill(self, state: State, number: int) -> None:
        first, end, table, other, leaf, rests, tails, affixes = RECORD.unpack_from(
            self._buffer, self._records + RECORD.size * number
        )
        if table:
            state.literals = _Literals(self._own, self._maps, range(first, end), self._maps.table(table - 1))
        else:
            state.literals = dict(self.entries(range(first, end)))
        state.affixes = self._affix((affixes >> 1) - 1) if affixes > 1 else None
        state.other = self.following(other - 1) if other else None
        state.leaf = self._leaves.of(leaf)
        state.rests = self._all_rests(rests)
        state.tails = self._all_tails(tails)
        state.wild = wild_step(state.literals, state.affixes)
        state.sink = bool(affixes & 1)

    def entries(self, span: range) -> Iterator[tuple[str, State | Lone]]:
        """Entries of a map of literals, in the order of their rules."""
        for entry in span:
            text, value = self._maps.entry(entry)
            yield text, self.state(value >> 1) if value & 1 else value >> 1

    def _affix(self, number: int) -> Affixes:
        prefixes, suffixes, states = _affixes.decode(self._blobs[number])
        return Affixes(prefixes, suffixes, {(one, two): self.state(value >> 1) for one, two, value in states})

    def _all_rests(self, number: int) -> tuple[LeafOrRow, ...]:
        found = self._rests_made.get(number)
        if found is None:
            found = tuple(self._leaves.there(reference) for reference in self._tuples[number])
            self._rests_made[number] = found
        return found

    def _all_tails(self, number: int) -> tuple[Tail, ...]:
        found = self._tails_made.get(number)
        if found is None:
            flat = iter(self._tail_tuples[number])
            found = tuple(
                Tail(depth, read_pattern(self._patterns[pattern]), self._leaves.of(reference))
                for depth, pattern, reference in zip(flat, flat, flat, strict=True)
            )
            self._tails_made[number] = found
        return found


@final
class _Literals(Mapping[str, State | Lone]):
    """What follows on the literals of a state that has many."""

    __slots__ = ("_find", "_maps", "_span", "_states")

    def __init__(self, states: "ref[States]", maps: Maps, span: range, find: Find) -> None:
        self._states, self._maps, self._span, self._find = states, maps, span, find

    def get(self, segment: str, default: object = None) -> State | Lone | None:  # type: ignore[override]
        """What follows on a segment, or None."""
        del default
        value = self._find(segment)
        if value & 1:
            return None if value == -1 else there(self._states()).state(value >> 1)
        return value >> 1

    def __getitem__(self, segment: str) -> State | Lone:
        found = self.get(segment)
        if found is None:
            raise KeyError(segment)
        return found

    def __iter__(self) -> Iterator[str]:
        return (self._maps.entry(entry)[0] for entry in self._span)

    def __len__(self) -> int:
        return len(self._span)

    def items(self) -> Iterator[tuple[str, State | Lone]]:  # type: ignore[override]
        """All of them, in the order of their rules."""
        return there(self._states()).entries(self._span)
