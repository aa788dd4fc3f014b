"""What people are shown: nothing hidden, the caret under its word, lines that do not wrap."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.diagnostics import Diagnostic, Source, Span, escape, render

HIDDEN = [0x00, 0x1B, 0x7F, 0x85, 0xA0, 0xAD, 0x034F, 0x061C, 0x180E, 0x200B, 0x200D, 0x2028, 0x202E, 0x2066,
          0x3000, 0x3164, 0xD800, 0xFE0F, 0xFEFF, 0xFFA0, 0xE0041, 0xE0100, 0xE000, 0x0378]  # fmt: skip


def shown(line: str, start: int, end: int) -> list[str]:
    source = Source(path="a.policy", text=line)
    span = Span(file="a.policy", start=start, end=end)
    return render(Diagnostic(code="PDP101", message="m", span=span), {"a.policy": source}).split("\n")[2:4]


@pytest.mark.parametrize("code", HIDDEN, ids=hex)
def test_what_has_no_shape_is_shown_by_its_number(code: int) -> None:
    assert escape(f"a{chr(code)}b") == f"a\\u{{{code:x}}}b"


@pytest.mark.parametrize("text", ["plain", "café", "Ελλάδα", "支払い", "عربى", "हिन्दी", "🛒", "½ → …"])
def test_letters_of_every_script_are_shown_as_they_are(text: str) -> None:
    assert escape(text) == text


@given(st.text(st.characters(codec=None)))
def test_what_is_escaped_is_printable_and_stays_so(text: str) -> None:
    once = escape(text)

    assert once.isprintable()
    assert escape(once) == once


@pytest.mark.parametrize(
    ("line", "columns"),
    [("ab x", 3), ("é x", 2), ("支払 x", 5), ("🛒 x", 3), ("e\u0301 x", 2), ("\u200b x", 9), ("ﾊ x", 2)],
)
def test_the_caret_stands_under_its_word(line: str, columns: int) -> None:
    start = line.index("x")

    _, carets = shown(line, start, start + 1)

    assert carets == f"  | {' ' * columns}^"


def test_wide_characters_have_wide_carets() -> None:
    assert shown("a 支払い b", 2, 5)[1] == f"  | {' ' * 2}{'^' * 6}"


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(0, 2000))
def test_a_long_line_is_cut_around_the_caret(before: int, marked: int, after: int) -> None:
    line = "b" * before + "m" * marked + "a" * after

    text, carets = shown(line, before, before + marked)

    assert len(text) <= len("1 | ") + 160
    assert len(carets) <= len("  | ") + 161
    start, end = carets.index("^"), carets.rindex("^") + 1
    assert set(text[start:end]) <= {"m", "…"} if marked else end - start == 1
    assert ("…" in text) == (len(line) > 160)
    assert marked == 0 or "m" in text


def test_a_line_at_the_bound_is_shown_whole() -> None:
    assert shown("x" * 160, 0, 1)[0] == f"1 | {'x' * 160}"
    assert shown("x" * 161, 0, 1)[0] == f"1 | {'x' * 159}…"


def test_a_tab_takes_one_column() -> None:
    assert shown("\tx", 1, 2) == ["1 |  x", "  |  ^"]


def test_every_bidirectional_control_is_among_what_is_escaped() -> None:
    marks = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
    controls = [c for c in map(chr, range(0x110000)) if unicodedata.bidirectional(c) in marks]

    assert len(controls) == len(marks)
    assert all(escape(c) != c for c in controls)
