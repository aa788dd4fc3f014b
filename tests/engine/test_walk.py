"""Walks: which rows hold on a path, and which other paths are told to be just like it."""

import re
from itertools import product
from random import Random

import pytest

from pdp.engine.walk import walk
from pdp.limits import MAX_REGION_EXCLUSIONS
from pdp.vocabulary import Excluding, Region
from tests.engine.asking import ask, index_of
from tests.property.compiled import contains

SEGMENTS = ("a", "b", "c", "ab", "abc", "x.png", "a.png", "a.b.png", "z")
STEPS = ("a", "b", "ab", "*", "*", "{id}", "a*", "ab*", "*.png", "*.b.png")


def service_of(*targets):
    """A service; row N stands for the N-th target."""
    rules = "\n".join(f"    allow anyone to GET {target}" for target in targets)
    return index_of(f"service s {{\n{rules}\n}}").services["s"]


def ended(service, path):
    leaves, steps, rest = walk(service.root, path[1:].split("/"))
    rows = set()
    for leaf in leaves:
        found = [leaf] if isinstance(leaf, int) else leaf.rows.values()
        for item in found:
            rows |= {item} if isinstance(item, int) else set(item)
    return rows, tuple(steps), rest


def expression(pattern):
    """The same pattern for `re`: a second reading of what it means."""
    found = ""
    for segment in pattern[1:].split("/"):
        if segment == "**":
            found += "(?:/[^/]*)*"
        elif segment == "*" or segment.startswith("{"):
            found += "/[^/]+"
        else:
            found += "/" + "[^/]*".join(map(re.escape, segment.split("*")))
    return re.compile(found)


def random_pattern(random):
    segments = [random.choice(STEPS) for _ in range(random.randint(1, 4))]
    if random.random() < 0.4:
        at = random.randint(0, len(segments))
        segments[at : at + random.randint(0, 1)] = ["**"]
    elif random.random() < 0.15:
        segments.append("")
    return "/" + "/".join(name.replace("id", f"id{n}") for n, name in enumerate(segments))


def paths(random):
    short = [path for length in (1, 2) for path in product(SEGMENTS, repeat=length)]
    longer = [tuple(random.choice(SEGMENTS) for _ in range(random.randint(3, 6))) for _ in range(150)]
    whole = [*short, *longer]
    ending = [(*path, "") for path in random.sample(whole, 60)]
    return ["/", *("/" + "/".join(path) for path in (*whole, *ending))]


def excepted(random, pattern):
    """Some patterns have an exception: it splits cells and holds no row."""
    return f"{pattern} except {random_pattern(random)}" if random.random() < 0.2 else pattern


@pytest.mark.parametrize("seed", range(12))
def test_a_walk_ends_with_the_rows_whose_patterns_match_and_in_a_region_of_such_paths(seed):
    random = Random(seed)
    for _ in range(10):
        patterns = list(dict.fromkeys(random_pattern(random) for _ in range(random.choice((1, 1, 2, 4, 6)))))
        expressions = [expression(pattern) for pattern in patterns]
        service = service_of(*(excepted(random, pattern) for pattern in patterns))
        wanted = {
            path: {row for row, one in enumerate(expressions) if one.fullmatch(path)}
            for path in paths(random)
        }
        requests = {path: ask(f"- GET {path}") for path in wanted}
        regions = {}
        for path, rows in wanted.items():
            got, steps, rest = ended(service, path)

            assert got == rows, (patterns, path)
            region = Region("s", None, None, steps, rest, {})
            assert contains(region, requests[path], {}), (patterns, path, region)
            regions[steps, rest] = region, rows
        for region, rows in regions.values():
            for path, request in requests.items():
                assert wanted[path] == rows or not contains(region, request, {}), (patterns, path, region)


NOT_A = Excluding(("a",))
NOT_AB = Excluding(("a", "b"))

CELLS = {
    # one pattern with nothing but segments of any kind behind its literal
    ("/a/*/*", "/a/x/y"): (("a", None, None), False),
    ("/a/*/*", "/a/x"): (("a", None), False),
    ("/a/*/*", "/a"): (("a",), False),
    ("/a/*/*", "/a/"): (("a", ""), False),
    ("/a/*/*", "/a/x/"): (("a", None, ""), False),
    ("/a/*/*", "/a/x/y/"): (("a", None, None, ""), False),
    ("/a/*/*", "/a/x/y/z"): (("a", None, None, None), True),
    ("/a/*/*", "/a/x/y/z/w"): (("a", None, None, None), True),
    ("/a/*/*", "/z"): ((NOT_A,), True),
    ("/a/*/*", "/z/a/b"): ((NOT_A,), True),
    ("/a/*/*", "/"): (("",), False),
    ("/a", "/a"): (("a",), False),
    ("/a", "/a/"): (("a", ""), False),
    ("/a", "/a/x"): (("a", None), True),
    ("/a/*/**", "/a/x"): (("a", None), True),
    ("/a/*/**", "/a/x/y/z"): (("a", None), True),
    ("/a/*/**", "/a"): (("a",), False),
    ("/a/*/**", "/a/"): (("a", ""), False),
    ("/a/**", "/a"): (("a",), True),
    ("/a/**", "/a/"): (("a",), True),
    ("/a/**", "/a/x/y"): (("a",), True),
    ("/a/**", "/b/x/y"): ((NOT_A,), True),
    ("/a/** /a/**", "/a"): (("a",), True),
    ("/a/*/** /a/*/**", "/a/x"): (("a", None), True),
    ("/a/**/", "/a/x/y"): (("a", None, None), False),
    ("/a/**/", "/a/x/"): (("a", None, ""), False),
    # patterns that begin with anything
    ("/**", "/"): ((), True),
    ("/**", "/x/y"): ((), True),
    ("/*", "/x"): ((None,), False),
    ("/*", "/x/y"): ((None, None), True),
    ("/*", "/x/"): ((None, ""), False),
    ("/*/a", "/x/b"): ((None, NOT_A), True),
    ("/*/a", "/x/a"): ((None, "a"), False),
    ("/a/ /a/b", "/a/x"): (("a", Excluding(("b",))), True),
    # several literals in one place
    ("/a /b", "/c"): ((NOT_AB,), True),
    ("/a/c /b", "/a/d"): (("a", Excluding(("c",))), True),
    ("/a /*", "/c"): ((NOT_A,), False),
    ("/a /*", "/a"): (("a",), False),
    # part of a segment
    ("/a*", "/ab"): (("ab",), False),
    ("/a*", "/b"): ((Excluding((), ("a",)),), True),
    ("/*.png", "/b"): ((Excluding((), (), (".png",)),), True),
    ("/a* /b /*.png", "/c"): ((Excluding(("b",), ("a",), (".png",)),), True),
    # after `**` the path's length and its last segments count
    ("/**/a", "/a"): (("a",), False),
    ("/**/a", "/x/a"): ((None, "a"), False),
    ("/**/a", "/x/y"): ((None, NOT_A), False),
    ("/**/a", "/x/"): ((None, ""), False),
    ("/**/a*", "/x/y"): ((None, Excluding((), ("a",))), False),
    ("/**/*.png", "/x/y"): ((None, Excluding((), (), (".png",))), False),
    ("/**/*.png", "/x/y.png"): ((None, "y.png"), False),
    ("/**/*/a", "/x/y/a"): ((None, None, "a"), False),
    ("/**/*/a", "/a"): ((None,), False),
    ("/**/*.png /**/a*", "/y"): ((Excluding((), ("a",), (".png",)),), False),
    ("/**/a/b", "/x/y"): ((NOT_A, Excluding(("b",))), False),
    ("/a/**/b", "/a/x"): (("a", Excluding(("b",))), False),
    ("/a/**/b", "/c/x"): ((NOT_A,), True),
    ("/c /**/a", "/c/d"): (("c", NOT_A), False),
}


@pytest.mark.parametrize(("targets", "path"), CELLS)
def test_the_cell_of_a_path_is_no_narrower_than_the_patterns_make_it(targets, path):
    _, steps, rest = ended(service_of(*targets.split()), path)

    assert (steps, rest) == CELLS[targets, path]


@pytest.mark.parametrize("more", [0, 1])
def test_a_segment_told_apart_from_too_many_others_is_pinned(more):
    literals = MAX_REGION_EXCLUSIONS - 2 + more
    service = service_of("/p*", "/*.png", *(f"/l{n}" for n in range(literals)))

    (step,) = ended(service, "/other")[1]

    if more:
        assert step == "other"
    else:
        assert step == Excluding(tuple(f"l{n}" for n in range(literals)), ("p",), (".png",))


def test_a_lone_pattern_may_have_very_many_segments_behind_its_literal():
    segments = 120
    service = service_of("/a" + "/*" * segments)

    assert ended(service, "/a" + "/x" * segments) == ({0}, ("a", *[None] * segments), False)
    assert ended(service, "/a" + "/x" * (segments - 1))[0] == set()
    assert ended(service, "/a" + "/x" * (segments + 1))[0] == set()
