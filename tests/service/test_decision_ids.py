"""Decision ids are ULIDs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.service.ids import RANDOM_BYTES, DecisionIds, new_decision_id

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
TIMES = st.integers(0, (1 << 48) - 1)
CHANCE = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)


def decoded(text: str) -> int:
    value = 0
    for letter in text:
        value = value * 32 + ALPHABET.index(letter)
    return value


@given(now=TIMES, chance=CHANCE)
def test_id_holds_its_time_and_all_its_randomness(now: int, chance: bytes) -> None:
    made = new_decision_id(now, chance)

    assert len(made) == 26
    assert decoded(made) == now << 80 | int.from_bytes(chance)


@given(first=TIMES, second=TIMES, chance=CHANCE)
def test_ids_sort_by_time(first: int, second: int, chance: bytes) -> None:
    if first < second:
        assert new_decision_id(first, b"\xff" * RANDOM_BYTES) < new_decision_id(second, chance)


@pytest.mark.parametrize("size", [0, RANDOM_BYTES - 1, RANDOM_BYTES + 1])
def test_wrong_amount_of_randomness_is_a_defect(size: int) -> None:
    with pytest.raises(ValueError, match="random bytes"):
        new_decision_id(0, b"\0" * size)


@pytest.mark.parametrize("now", [-1, 1 << 48])
def test_instant_out_of_range_is_a_defect(now: int) -> None:
    with pytest.raises(ValueError, match="instant"):
        new_decision_id(now, b"\0" * RANDOM_BYTES)


def test_example_of_the_specification() -> None:
    """The ULID specification's largest: its time part is `7ZZZZZZZZZ`."""
    assert new_decision_id((1 << 48) - 1, b"\xff" * RANDOM_BYTES) == "7" + "Z" * 25


def test_ids_in_a_row_are_ids_of_their_instants_and_never_the_same() -> None:
    made = DecisionIds()
    instants = [*range(3000), 7, 7, 8]

    found = [made.new(now) for now in instants]

    assert [decoded(text) >> 80 for text in found] == instants
    assert len(set(found)) == len(found)
    assert found[:3000] == sorted(found[:3000])


def test_processes_draw_other_ids() -> None:
    assert len({DecisionIds().new(0)[:-2] for _ in range(100)}) == 100


@pytest.mark.parametrize("now", [-1, 1 << 48])
def test_an_instant_that_does_not_fit_is_refused_in_a_row_too(now: int) -> None:
    with pytest.raises(ValueError, match="decision id"):
        DecisionIds().new(now)
