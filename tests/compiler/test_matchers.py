"""Path patterns: where captures stand, what matches, which segments meet."""

import re
from itertools import product

import pytest

from pdp.compiler.evaluation import Place
from pdp.compiler.matchers import capture_places, matches, rest_index, segment_matches, segments_overlap
from pdp.lang import ast

ANY, REST = ast.AnySegment(), ast.RestSegments()


def literal(text):
    return ast.LiteralSegment(text=text)


def prefix(text):
    return ast.PrefixSegment(text=text)


def suffix(text):
    return ast.SuffixSegment(text=text)


def capture(name):
    return ast.Capture(name=name)


SEGMENTS = (
    literal("a"),
    literal("ab"),
    literal(""),
    prefix("a"),
    prefix("ab"),
    prefix("b"),
    suffix("b"),
    suffix("ab"),
    suffix("a"),
    ANY,
    capture("x"),
)
TEXTS = ["".join(letters) for length in range(6) for letters in product("abc", repeat=length)]


@pytest.mark.parametrize(("left", "right"), list(product(SEGMENTS, repeat=2)))
def test_two_segments_overlap_exactly_if_some_text_matches_both(left, right):
    common = [text for text in TEXTS if segment_matches(left, text) and segment_matches(right, text)]

    assert segments_overlap(left, right) is bool(common)


EXPRESSIONS = {ast.LiteralSegment: "{}", ast.PrefixSegment: "{}[^/]*", ast.SuffixSegment: "[^/]*{}"}


def expression(pattern):
    parts = []
    for segment in pattern:
        if segment == REST:
            parts.append("(?:/[^/]*)*")
        else:
            shape = EXPRESSIONS.get(type(segment), "[^/]+")
            parts.append("/" + shape.format(re.escape(getattr(segment, "text", ""))))
    return re.compile("".join(parts))


PATTERNS = [
    *product((literal("a"), ANY, prefix("a"), suffix("b"), REST), repeat=1),
    *(p for p in product((literal("a"), ANY, prefix("a"), suffix("b"), REST), repeat=2) if p.count(REST) < 2),
    *(p for p in product((literal("a"), literal("b"), ANY, REST), repeat=3) if p.count(REST) < 2),
]
PATHS = [path for length in (1, 2, 3, 4) for path in product(("a", "b", "ab"), repeat=length)]


@pytest.mark.parametrize("pattern", PATTERNS, ids=repr)
def test_a_pattern_matches_whole_paths(pattern):
    read = expression(pattern)

    for path in PATHS:
        assert matches(pattern, path) is bool(read.fullmatch("/" + "/".join(path))), path


@pytest.mark.parametrize(
    ("pattern", "rest", "places"),
    [
        ((capture("x"), literal("a"), capture("y")), None, [("x", 0), ("y", 2)]),
        ((capture("x"), REST), 1, [("x", 0)]),
        ((capture("x"), REST, capture("y"), literal("a"), capture("z")), 1, [("x", 0), ("y", -3), ("z", -1)]),
        ((REST, capture("x")), 0, [("x", -1)]),
        ((literal("a"),), None, []),
    ],
)
@pytest.mark.parametrize("principal", [True, False])
def test_captures_behind_the_rest_are_counted_from_the_end(pattern, rest, places, principal):
    assert rest_index(pattern) == rest
    assert capture_places(pattern, principal=principal) == [
        (name, Place(principal=principal, index=index)) for name, index in places
    ]
