"""Declarations that lead back to themselves are found, each circle once, and nothing else is."""

import pytest

from pdp.compiler.circles import circles


@pytest.mark.parametrize(
    ("uses", "found"),
    [
        ({"a": ["a"]}, [["a"]]),
        ({"a": ["b"], "b": ["a"]}, [["a", "b"]]),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, [["b", "c"]]),
        ({"a": ["b", "c"], "b": ["a"], "c": ["a"]}, [["a", "b"], ["a", "c"]]),
        ({"a": ["b"], "b": ["a"], "c": ["d"], "d": ["c"]}, [["a", "b"], ["c", "d"]]),
        # two ways to one thing are no circle
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, []),
        ({"a": ["b", "b"], "b": []}, []),
        ({"a": ["elsewhere"], "b": ["a"]}, []),
        ({}, []),
    ],
)
def test_circles(uses, found):
    assert circles(uses) == found


def test_many_ways_to_one_thing_are_not_walked_one_by_one():
    depth = 60
    uses = {n: [n + 1, n + 1] for n in range(depth)} | {depth: [0]}

    assert circles(uses) == [list(range(depth + 1))]


def test_a_long_way_is_walked():
    assert circles({n: [n + 1] for n in range(10_000)}) == []
