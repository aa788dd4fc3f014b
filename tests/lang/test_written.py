"""Syntax trees as bytes: read back they are what was written, places and all; damaged they are an error."""

from random import Random

import pytest

from pdp.diagnostics import Source
from pdp.lang import ast
from pdp.lang.parsed import Parsed, text_digest
from pdp.lang.parser import parse
from pdp.lang.written import WrittenError, read_parsed, write_parsed
from tests.fuzz.corpora import policy_texts

TEXT = """language 1
service s {
    allow prod/ns/a/sa/b to GET /v1/{id}/x because "one"
    allow prod/ns/a/sa/c to POST /v1/{id}/y because "one"
    allow prod/ns/a/sa/d to GET /v1/{id}/x
    deny anyone to GET /v2 until 2027-01-01
}
"""


def parsed(text: str = TEXT) -> Parsed:
    return parse(Source(path="teams/a.policy", text=text))


def test_every_file_reads_back_as_it_was() -> None:
    for text in policy_texts():
        before = parsed(text)
        written = write_parsed(before)

        after = read_parsed(written)

        assert after == before
        assert write_parsed(after) == written  # places too, which no comparison of nodes looks at


def test_it_names_the_text_that_it_was_parsed_from() -> None:
    after = read_parsed(write_parsed(parsed()))

    assert after.digest == text_digest(Source(path="any.policy", text=TEXT))
    assert after.digest != text_digest(Source(path="any.policy", text=TEXT + " "))


def test_rules_share_what_has_no_place_and_nothing_else() -> None:
    (block,) = read_parsed(write_parsed(parsed())).file.items
    assert isinstance(block, ast.ServiceBlock)
    one, two, three, _ = (item for item in block.items if isinstance(item, ast.Rule))
    (first,), (second,) = one.targets, two.targets
    assert isinstance(first, ast.Target)
    assert isinstance(second, ast.Target)

    assert first.path.segments[0] is second.path.segments[0]
    assert first.path.span.start < second.path.span.start
    assert one.clause.because == two.clause.because
    assert three.clause == ast.Clause()
    assert one.span.file is three.span.file


def test_no_damage_is_more_than_an_error() -> None:
    content = write_parsed(parsed())
    random = Random(1)
    for at in range(len(content)):
        damaged = bytearray(content)
        damaged[at] ^= 1 << random.randrange(8)
        for wrong in (bytes(damaged), content[:at]):
            try:
                assert isinstance(read_parsed(wrong), Parsed)
            except WrittenError:
                continue


def test_what_is_no_tree_is_an_error() -> None:
    for content in (b"", b"\x00", b"\xc1", write_parsed(parsed())[:-1], b"\x91" * 5000):
        with pytest.raises(WrittenError):
            read_parsed(content)
