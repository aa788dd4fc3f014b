"""Rows in columns, and numbers of atoms behind those at rest."""

from collections.abc import Iterator

import pytest

from pdp.compiler.atoms import AUTHENTICATED, EVERYONE, Atom, ExactAtom
from pdp.compiler.numbers import AtomNumbers, ByNumber, Numbers
from pdp.compiler.packed_patterns import pack_pattern, unpack_pattern
from pdp.compiler.rows import ANY_METHOD, Detail, Row, RowKind, Rows
from pdp.lang import ast

PATTERN = (
    ast.LiteralSegment(text="v1"),
    ast.Capture(name="id"),
    ast.PrefixSegment(text="a-"),
    ast.SuffixSegment(text=".png"),
    ast.AnySegment(),
    ast.RestSegments(),
    ast.LiteralSegment(text=""),
)
DETAILED = RowKind.DENY | RowKind.DETAILED
ROWS = (
    Row(0, ANY_METHOD, PATTERN, 0, 0, None),
    Row(4_000_000_000, 2, (), DETAILED, 7, Detail(until=1)),
    Row(5, 1 << 62, PATTERN[:2], RowKind.SHADOW, 7, None),
    Row(5, 4, PATTERN, 0, 8, Detail(valid_from=2)),
)


def test_rows_are_what_went_in() -> None:
    rows = Rows(ROWS[:1])
    rows.extend(ROWS[1:])

    assert tuple(rows) == ROWS
    assert tuple(rows.finished()) == ROWS
    assert (rows[-1], rows[1:3], len(rows)) == (ROWS[-1], ROWS[1:3], 4)
    assert (rows == Rows(ROWS), rows == Rows(ROWS[:3])) == (True, False)
    assert rows.details == {1: ROWS[1].detail, 3: ROWS[3].detail}
    with pytest.raises(IndexError):
        rows[4]


@pytest.mark.parametrize("length", range(len(PATTERN) + 1))
def test_a_pattern_is_read_as_it_was_written(length: int) -> None:
    assert unpack_pattern(pack_pattern(PATTERN[:length])) == PATTERN[:length]


@pytest.mark.parametrize(
    "content", [b"", b"\x91\x00", b"\x91\x09", b"\x92\x00\x01", b"\x92\xff\xa1x", b"\xc1"]
)
def test_bytes_that_are_no_pattern_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpack_pattern(content)


class Rest:
    """Numbers as an image has them: in no order that one could rely on."""

    def __init__(self, numbers: dict[Atom, int]) -> None:
        self.numbers = numbers

    def get(self, atom: Atom, /) -> int | None:
        return self.numbers.get(atom)

    def atom(self, number: int) -> Atom | None:
        return {known: atom for atom, known in self.numbers.items()}.get(number)

    def named_from(self, number: int) -> Iterator[tuple[str, int]]:
        named = ((known, atom.id) for atom, known in self.numbers.items() if isinstance(atom, ExactAtom))
        return ((name, known) for known, name in sorted(named) if known >= number)

    def __iter__(self) -> Iterator[Atom]:
        return reversed(self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)


@pytest.mark.parametrize("at_rest", range(7))
def test_numbers_mean_the_same_however_many_of_them_are_at_rest(at_rest: int) -> None:
    a, b, c, d = (ExactAtom(name) for name in "abcd")
    numbers = Numbers()
    given = {atom: numbers.atom(atom) for atom in (a, EVERYONE, b, c, AUTHENTICATED, d)}

    numbers.atoms.rest_on(Rest(dict(list(given.items())[:at_rest])))

    assert {atom: numbers.atom(atom) for atom in given} == given
    assert dict(numbers.atoms) == dict(numbers.atoms.copy()) == given
    assert len(numbers.atoms) == len(given)
    by_number = ByNumber(numbers.atoms)
    assert {number: by_number[number] for number in given.values()} == {n: atom for atom, n in given.items()}
    assert list(numbers.atoms.named_after(2)) == [(atom.id, given[atom]) for atom in (b, c, d)]
    assert numbers.atom(ExactAtom("e")) not in given.values()
    assert list(numbers.atoms.after(6)) == [ExactAtom("e")]


def test_a_copy_does_not_grow_along() -> None:
    numbers = AtomNumbers({EVERYONE: 0})
    copy = numbers.copy()

    numbers.add(AUTHENTICATED, 1)

    assert (len(copy), copy.get(AUTHENTICATED), len(numbers)) == (1, None, 2)
