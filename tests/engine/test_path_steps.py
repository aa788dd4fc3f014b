"""How many segments a path is away from a pattern: held against trying all changes, over small alphabets."""

from itertools import product

import pytest

from pdp.compiler.matchers import matches
from pdp.diagnostics import Span
from pdp.engine.path_steps import differs_before_the_end, fewest_steps, path_steps
from pdp.lang.patterns import path_pattern

ALPHABET = "abx"
LONGEST = 5
PATTERNS = [
    "/" + "/".join(parts)
    for length in (1, 2, 3)
    for parts in product(("a", "b", "*", "**"), repeat=length)
    if parts.count("**") <= 1
] + ["/a*/b", "/*b/a/**", "/**/a/b", "/a/**/b/b", "/a/b/a/b"]
PATHS = [path for length in range(1, LONGEST + 1) for path in product(ALPHABET, repeat=length)]


def pattern_of(text):
    return path_pattern(text, Span(file="", start=0, end=0)).segments


def changed(path):
    """Every path that is one step away, as long as any that is looked at."""
    for at in range(len(path) + 1):
        for other in ALPHABET:
            if len(path) < LONGEST:
                yield (*path[:at], other, *path[at:])
            if at < len(path):
                yield (*path[:at], other, *path[at + 1 :])
        if at > 0 and len(path) > 1:
            yield (*path[: at - 1], *path[at:])


def tried(pattern):
    """How many steps each path is away, by taking steps from those that match."""
    edge = {path for path in PATHS if matches(pattern, path)}
    steps = dict.fromkeys(edge, 0)
    while edge:
        edge = {other for path in edge for other in changed(path)} - steps.keys()
        steps |= dict.fromkeys(edge, max(steps.values()) + 1)
    return steps


@pytest.mark.parametrize("text", PATTERNS)
def test_a_path_is_so_many_steps_away_as_it_takes(text):
    pattern = pattern_of(text)
    steps = tried(pattern)

    for path in PATHS[: 3 + 9 + 27 + 81]:
        assert path_steps(pattern, path) == steps[path], path


@pytest.mark.parametrize("text", PATTERNS)
def test_lengths_alone_never_promise_too_much(text):
    """What is ruled out by them is at least as far away."""
    pattern = pattern_of(text)

    for path in PATHS:
        if not matches(pattern, path):
            assert 1 <= fewest_steps(pattern, path) <= path_steps(pattern, path), path


@pytest.mark.parametrize(
    ("text", "path", "steps"),
    [
        ("/a/b", "x", 1),
        ("/a/b", "x/x", 1),
        ("/a/b", "x/x/x", 1),
        ("/a/b", "x/x/x/x/x", 3),
        ("/a/b/a/b", "x", 3),
        ("/a/b/a/**", "x", 2),
        ("/a/**/b/b", "x", 2),
        ("/a/b/**", "x", 1),
        ("/a/**", "x/x/x/x/x", 1),
    ],
)
def test_lengths_promise_what_they_show(text, path, steps):
    assert fewest_steps(pattern_of(text), path.split("/")) == steps


@pytest.mark.parametrize(
    ("text", "path", "left"),
    [
        ("/a/b/a", "x/b/a", 3),
        ("/a/b/a", "a/x/a", 2),
        ("/a/b/a", "a/b/x", 1),
        ("/a/b/a", "a/b", 0),
        ("/a/b", "a/b/a/b", 2),
        ("/a/**/b", "a/x/x/x", 3),
        ("/*/b", "x/x", 1),
    ],
)
def test_where_a_path_begins_to_differ_is_told_from_its_end(text, path, left):
    assert differs_before_the_end(pattern_of(text), path.split("/")) == left
