"""Decision ids are ULIDs: 26 characters that sort by time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.service.ids import RANDOM_BYTES, new_decision_id

TIMES = st.integers(0, 2**48 - 1)
RANDOM = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def test_the_example_of_the_specification_has_its_time() -> None:
    """`01ARYZ6S41` is the time part for 1469918176385 in the ULID specification's own tests."""
    assert new_decision_id(1_469_918_176_385, bytes(10)) == "01ARYZ6S41" + "0" * 16


def test_the_greatest_id_is_the_specifications() -> None:
    assert new_decision_id(2**48 - 1, b"\xff" * 10) == "7" + "Z" * 25


@given(now=TIMES, randomness=RANDOM)
def test_an_id_holds_exactly_its_time_and_randomness(now: int, randomness: bytes) -> None:
    made = new_decision_id(now, randomness)

    value = 0
    for character in made:
        value = value * 32 + ALPHABET.index(character)
    assert len(made) == 26
    assert value == now << 80 | int.from_bytes(randomness)


@given(times=st.tuples(TIMES, TIMES), randomness=st.tuples(RANDOM, RANDOM))
def test_ids_sort_by_time(times: tuple[int, int], randomness: tuple[bytes, bytes]) -> None:
    first, second = map(new_decision_id, times, randomness)

    if times[0] < times[1]:
        assert first < second


@pytest.mark.parametrize(
    ("now", "randomness"), [(-1, bytes(10)), (2**48, bytes(10)), (0, bytes(9)), (0, bytes(11))]
)
def test_what_does_not_fit_is_refused(now: int, randomness: bytes) -> None:
    with pytest.raises(ValueError, match="decision id"):
        new_decision_id(now, randomness)
