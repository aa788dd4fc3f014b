"""Which rows are one step away from a path, and in which order they are found."""

import pytest

from pdp.engine import neighbours
from pdp.engine.unmet import shown_path
from tests.engine.asking import index_of


def one_step_away(path, *targets):
    rules = "\n".join(f"allow prod/a to GET {target}" for target in targets)
    service = index_of(f"service s {{\n{rules}\n}}").service("s")
    patterns = service.columns.patterns("s")
    found = neighbours.neighbours(service.root, path[1:].split("/"))
    return [shown_path(patterns[row]) for row in found]


@pytest.mark.parametrize(
    ("path", "targets", "found"),
    [
        # what is one segment longer, what differs late, what differs early
        ("/x/y", "/x /x/y /x/y/z /x/q /q/y /q", "/x/y/z /x /x/q /q/y"),
        ("/x/y", "/q/y /x/q /x /x/y/z", "/x/y/z /x /x/q /q/y"),
        # behind a segment that differs the path goes on by literals, by their beginnings and ends, and by any
        ("/x/c", "/y/c /y/d", "/y/c"),
        ("/x/pc", "/y/p* /y/q* /y/z", "/y/p*"),
        ("/x/cp", "/y/*p /y/*q /y/z", "/y/*p"),
        ("/x/c/e", "/y/*/e /y/*/d /y/z/e", "/y/*/e"),
        ("/x/c/e", "/y/p*/e /y/c/e", "/y/c/e"),
        # and before it as well
        ("/px/c", "/p*/b/e /q*/b /px", "/px"),
        ("/px/c", "/p*/b /p*/d", "/p*/b /p*/d"),
        ("/px/c/e", "/p*/b/e /q*/b/e", "/p*/b/e"),
        ("/xp/c/e", "/*p/b/e /*q/b/e", "/*p/b/e"),
        ("/x/c", "/*/b /*/d", "/*/b /*/d"),
        ("/x/c/e", "/*/b/e /*/d/f", "/*/b/e"),
        # what `**` covers behind it
        ("/x/c/d", "/y/** /z/c/**", "/y/** /z/c/**"),
        ("/x/c", "/y/c/** /y/c/d", "/y/c/**"),
        ("/x/c", "/y/c/** /y/** /y/c/d/e", "/y/** /y/c/**"),
        ("/x/c", "/** /y/c/** /y/c/d", "/y/c/**"),
        ("/x/c", "/** /y/d", ""),
        # the last segment is an empty one
        ("/a/", "/a/* /a/b", "/a/b /a/* /a/*"),
        ("/a/", "/a/*/b", ""),
        ("/b/", "/a/ /a/* /a/c", "/a/"),
        ("/a/b/", "/a/b /a/b/c", "/a/b /a/b/c"),
        # a row alone in its place
        ("/a", "/a/*", "/a/*"),
        ("/a", "/a/*/*", ""),
        ("/a/", "/a/*", "/a/*"),
        ("/a/x/", "/a/*/*", "/a/*/*"),
        ("/a/x/y", "/a/*", "/a/*"),
        ("/a/x/y/z", "/a/*/**", ""),
        ("/a/x", "/a/*/*/**", "/a/*/*/**"),
        ("/a/x/y", "/a", "/a"),
        ("/b/x/y", "/a/*/*", "/a/*/*"),
        ("/b/x/y", "/a/*", ""),
        ("/b/x", "/a/*/*", ""),
        ("/b/x", "/a/*/*/**", ""),
        ("/b/x", "/a/*/**", "/a/*/**"),
        ("/b/x/y", "/a/*/**", "/a/*/**"),
        ("/b/x/y/z", "/a/*/**", "/a/*/**"),
        ("/b", "/a", "/a"),
        ("/b", "/a/*", ""),
        ("/b/x/d", "/a/x/*", "/a/x/*"),
        # what matches is no other path
        ("/x", "/x /*", ""),
        ("/a/x", "/a/*", ""),
        ("/a/x/y", "/a/*/**", ""),
    ],
)
def test_rules_on_other_paths_are_found_and_what_differs_late_first(path, targets, found):
    assert one_step_away(path, *targets.split()) == found.split()


def test_every_row_of_a_place_is_found():
    rules = "allow prod/a to GET /a\nallow prod/b to GET /a\nallow prod/a to PUT /a\nallow prod/a to GET /b"
    service = index_of(f"service s {{\n{rules}\n}}").service("s")

    found = list(neighbours.neighbours(service.root, ["b"]))

    assert sorted(map(service.columns.rules.__getitem__, found)) == [0, 1, 2]


@pytest.mark.parametrize("bound", ["_STATES", "_SIBLINGS", "_ROWS"])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_search_for_other_paths_is_bounded(monkeypatch, bound, count):
    monkeypatch.setattr(neighbours, bound, count)

    assert len(one_step_away("/x", "/x", "/a", "/b", "/c", "/d")) == count
