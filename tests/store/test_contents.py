"""Contents: what files hold, kept small, and never lost."""

import os

import pytest

from pdp.diagnostics import Source
from pdp.store.bundle import make_bundle
from pdp.store.contents import Content, Files
from pdp.store.loader import Loader

NOW = 1_767_225_600_000
LINES = b"    allow prod/ns/a/sa/b to GET /v1/orders/{id}\n" * 1000
CONTENTS = [b"", b"x", LINES, os.urandom(10_000), b"\xff" * 5000]


def held(content: Content) -> int:
    """Bytes that a content keeps."""
    return len(content._bytes)


@pytest.mark.parametrize("content", CONTENTS, ids=["empty", "one", "lines", "random", "no text"])
def test_a_content_gives_back_what_it_was_given(content: bytes) -> None:
    assert Content(content).read() == content
    assert Content(content).size == len(content)


def test_contents_are_equal_as_their_bytes_are() -> None:
    made = [Content(content) for content in CONTENTS]

    assert made == [Content(content) for content in CONTENTS]
    assert len(set(made)) == len(CONTENTS)


def test_a_large_text_is_kept_in_a_tenth_and_what_does_not_shrink_as_it_is() -> None:
    assert held(Content(LINES)) < len(LINES) // 10
    assert held(Content(CONTENTS[3])) == len(CONTENTS[3])


def test_files_are_a_mapping_of_bytes() -> None:
    files = Files({"a.policy": Content(b"1"), "b.policy": Content(LINES)})

    assert files == {"a.policy": b"1", "b.policy": LINES}
    assert files.get("c.policy") is None


def test_a_source_reads_its_text_again_once_it_has_let_go_of_it() -> None:
    reads: list[str] = []

    def read() -> str:
        reads.append("read")
        return "one\ntwo\n"

    source = Source(path="a.policy", text=read)
    assert (source.line(2), source.position(5), reads) == ("two", (2, 2), ["read"])

    source.let_go()

    assert (source.line(2), source.text, reads) == ("two", "one\ntwo\n", ["read", "read"])


def test_a_source_that_cannot_read_its_text_again_keeps_it() -> None:
    source = Source(path="a.policy", text="one\ntwo\n")

    source.let_go()

    assert source.line(2) == "two"


def test_a_loader_holds_no_text_and_shows_it_all_the_same() -> None:
    text = b'language 1\ntrust domain prod = "prod.example.org"\nservice s {\n' + LINES[:96] + b"}\n"

    loaded = Loader().load(make_bundle({"a.policy": text}), now=NOW)

    source = loaded.sources["a.policy"]
    assert source._text is None
    assert [d.code for d in loaded.diagnostics] == ["PDP403"]
    assert source.line(source.position(loaded.diagnostics[0].span.start)[0]).strip().startswith("allow")
