"""A file that cannot be read is told as one mistake, as often as it is there, and nothing follows from it."""

import pytest

from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from tests.docs.sets import NOW

GOOD = b"""language 1
service s {
    allow team to GET /x
    allow from "grants.csv"
}
group members from "members.txt"
"""
TEAM = b'language 1\ntrust domain prod = "prod.example.org"\ngroup team = { prod/ns/a/sa/b }\n'
FILES = {
    "s.policy": GOOD,
    "team.policy": TEAM,
    "grants.csv": b"principal,methods,path\nteam,GET,/y\n",
    "members.txt": b"prod/ns/a/sa/b\n",
}


def test_the_set_is_without_a_mistake() -> None:
    assert Loader().load(make_bundle(FILES), now=NOW).diagnostics == ()


@pytest.mark.parametrize("damage", [b"\xe9", b"\x00"], ids=["not UTF-8", "NUL"])
@pytest.mark.parametrize("path", FILES)
def test_a_file_that_cannot_be_read_is_one_mistake(path: str, damage: bytes) -> None:
    broken = {**FILES, path: FILES[path] + b"# " + damage + b"\n"}
    loader = Loader()

    for _ in range(2):  # nothing is served for having been seen before
        loaded = loader.load(make_bundle(broken), now=NOW)

        assert [(found.code, found.span.file) for found in loaded.diagnostics] == [("PDP102", path)]
        assert loaded.snapshot is None

    assert loader.load(make_bundle(FILES), now=NOW).diagnostics == ()


def test_the_place_of_the_first_byte_that_is_not_text_is_shown() -> None:
    content = "\ufefflanguage 1\n# é".encode() + b"\xff\n"
    loaded = Loader().load(make_bundle({"a.policy": content}), now=NOW)

    (found,) = loaded.diagnostics
    assert loaded.sources["a.policy"].position(found.span.start) == (2, 4)
