"""Cells to sections: the states that walks of one service go through, numbered from its root.

`pdp.image.states` reads them. A reference to a row or leaf is `0` for none, `(row + 1) << 1`, or
`(leaf + 1) << 1 | 1`. What follows on a segment is `lone << 1` or `state << 1 | 1`.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Final, final

import msgspec

from pdp.image.layout import Section, column
from pdp.image.maps import MAPS, MapsWriter
from pdp.image.sequences import BLOBS, TUPLES, BlobsWriter, TuplesWriter
from pdp.index.cells import Affixes, Leaf, LeafOrRow, Lone, State, Tail
from pdp.lang import ast

__all__ = ["RECORD", "STATES", "write_states"]

#: How many sections they take: records of states, six columns of leaves, and what these refer to.
STATES: Final = 7 + MAPS + 2 * TUPLES + BLOBS
#: One state: its entries in the maps, begin and end; its hash table + 1, or 0; what follows on any other
#: segment + 1, or 0; its leaf; numbers of its rests and tails; its affixes + 1, or 0, shifted, and `sink`.
RECORD: Final = struct.Struct("=8I")
_encode: Final = msgspec.msgpack.Encoder().encode


def write_states(root: State, pattern: Callable[[Sequence[ast.Segment]], int]) -> list[Section]:
    """The sections of all states that can be reached.

    Args:
        root: Where every walk begins; it gets the number 0.
        pattern: Gives the number of a path pattern.
    """
    return _Writer(root, pattern).sections()


@final
class _Writer:
    def __init__(self, root: State, pattern: Callable[[Sequence[ast.Segment]], int]) -> None:
        self._pattern = pattern
        self._states = [root]
        self._numbers = {id(root): 0}
        self._maps = MapsWriter()
        self._records = bytearray()
        self._tuples, self._tail_tuples, self._blobs = TuplesWriter(), TuplesWriter(), BlobsWriter()
        for none in (self._tuples, self._tail_tuples):
            none.number(())  # 0, as for nearly all
        self._leaves: dict[int, int] = {}
        self._leaf_ends, self._leaf_atoms, self._leaf_rows = column("I", (0,)), column("I"), column("I")
        self._allow, self._specific, self._timed = column("Q"), column("Q"), column("Q")
        for state in self._states:  # grows on the way
            self._state(state)

    def sections(self) -> list[Section]:
        return [
            self._records, self._leaf_ends, self._leaf_atoms, self._leaf_rows,
            self._allow, self._specific, self._timed,
            *self._maps.sections(), *self._tuples.sections(), *self._tail_tuples.sections(),
            *self._blobs.sections(),
        ]  # fmt: skip

    def _state(self, state: State) -> None:
        items = ((text, self._target(following)) for text, following in state.literals.items())
        affixes = 0 if state.affixes is None else self._affix(state.affixes) + 1
        self._records += RECORD.pack(
            *self._maps.add(items),
            0 if state.other is None else self._target(state.other) + 1,
            self._reference(state.leaf),
            self._tuples.number(tuple(map(self._reference, state.rests))),
            self._tail_tuples.number(tuple(n for tail in state.tails for n in self._tail(tail))),
            affixes << 1 | state.sink,
        )

    def _target(self, following: State | Lone) -> int:
        if isinstance(following, int):
            return following << 1
        number = self._numbers.get(id(following))
        if number is None:
            number = self._numbers[id(following)] = len(self._states)
            self._states.append(following)
        return number << 1 | 1

    def _tail(self, tail: Tail) -> tuple[int, int, int]:
        return tail.depth, self._pattern(tail.segments), self._reference(tail.leaf)

    def _affix(self, affixes: Affixes) -> int:
        states = [(prefix, suffix, self._target(state)) for (prefix, suffix), state in affixes.states.items()]
        return self._blobs.number(_encode((affixes.prefixes, affixes.suffixes, states)))

    def _reference(self, leaf: LeafOrRow | None) -> int:
        if leaf is None:
            return 0
        if isinstance(leaf, int):
            return leaf + 1 << 1
        number = self._leaves.get(id(leaf))
        if number is None:
            number = self._leaves[id(leaf)] = len(self._leaves)
            self._write_leaf(leaf)
        return number + 1 << 1 | 1

    def _write_leaf(self, leaf: Leaf) -> None:
        for atom, rows in leaf.rows.items():
            for row in (rows,) if isinstance(rows, int) else rows:
                self._leaf_atoms.append(atom)
                self._leaf_rows.append(row)
        self._leaf_ends.append(len(self._leaf_rows))
        self._allow.append(leaf.allow)
        self._specific.append(leaf.specific)
        self._timed.append(leaf.timed)
