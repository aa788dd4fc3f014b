"""What authors write: policy text, tables beside it, and whole sets of files."""

import re
from collections.abc import Hashable, Iterable
from typing import Final

from pdp.diagnostics import Diagnostic, Source, escape, has_errors, render
from pdp.engine.decide import decide
from pdp.lang import ast
from pdp.lang.formatter import format_source
from pdp.lang.parser import parse
from pdp.lang.printer import print_file
from pdp.lang.tables import cells_at, read_grants, read_members
from pdp.lang.written import read_parsed, write_parsed
from pdp.limits import MAX_ERRORS_PER_FILE
from tests.docs.sets import NOW, failing_cases, files_in, load
from tests.fuzz.corpora import policy_sets, policy_texts, questions, tables
from tests.fuzz.engine import Target
from tests.fuzz.mutate import ODD_TEXT, Mutator
from tests.fuzz.targets.questions import request_of

__all__ = ["TARGETS"]

_WORDS: Final = r'"[^"\n]*"|[A-Za-z_][\w.-]*|[^\s\w]+|\d[\w.:/-]*|\n[ ]*'


def _codes(diagnostics: Iterable[Diagnostic], sources: dict[str, Source]) -> frozenset[str]:
    """Their codes. Each lies in its file, and nothing that is shown moves the cursor or hides text."""
    found = set()
    for diagnostic in diagnostics:
        source = sources.get(diagnostic.span.file)
        end = len(source.text) if source is not None else diagnostic.span.end
        assert 0 <= diagnostic.span.start <= diagnostic.span.end <= end, diagnostic
        shown = render(diagnostic, sources).replace("\n", "")
        assert shown == escape(shown), diagnostic
        assert re.fullmatch(r"PDP\d{3}", diagnostic.code), diagnostic
        found.add(diagnostic.code)
    return frozenset(found)


def _policy_text(text: str) -> Hashable:
    """Statements or diagnostics; what is accepted says the same printed, formatted, and formatted again."""
    source = Source(path="a.policy", text=text)
    parsed = parse(source)
    codes = _codes(parsed.diagnostics, {"a.policy": source})
    assert len(parsed.diagnostics) <= MAX_ERRORS_PER_FILE + 1
    written = write_parsed(parsed)
    assert write_parsed(read_parsed(written)) == written, "read back from bytes it is another tree"
    formatted = format_source(source)
    if has_errors(parsed.diagnostics):
        assert formatted.text == text
        return codes
    printed = parse(Source(path="a.policy", text=print_file(parsed.file)))
    assert (printed.file, printed.diagnostics) == (parsed.file, ())
    laid_out = Source(path="a.policy", text=formatted.text)
    assert parse(laid_out).file == parsed.file
    assert format_source(laid_out).text == formatted.text, "another layout the second time"
    return codes, tuple(sorted({type(item).__name__ for item in parsed.file.items}))


def _clause() -> ast.Clause:
    """What a statement says that names a table."""
    text = 'language 1\nservice s {\n    allow from "a.csv"\n}\n'
    (block,) = parse(Source(path="a.policy", text=text)).file.items
    assert isinstance(block, ast.ServiceBlock)
    (grants,) = block.items
    assert isinstance(grants, ast.BulkGrants)
    return grants.clause


_CLAUSE: Final = _clause()


def _table(text: str) -> Hashable:
    """Rules or diagnostics, each of a line of its own; the places of cells are inside their lines."""
    source = Source(path="a.csv", text=text)
    found: list[Diagnostic] = []
    rules = list(read_grants(source, _CLAUSE, found))
    codes = _codes(found, {"a.csv": source})
    starts = [rule.span.start for rule in rules]
    assert starts == sorted(set(starts))
    for rule in rules[:50]:
        cells = cells_at(source, rule.span.start)
        assert all(cells.line.start <= cell.start <= cell.end <= cells.line.end for cell in cells)
        assert rule.targets[0].methods != ()
    terms, wrong = read_members(source)
    assert all(text[t.span.start : t.span.end].strip() for t in terms)
    return codes, _codes(wrong, {"a.csv": source}), min(len(rules), 3), min(len(terms), 3)


def _set(text: str) -> Hashable:
    """A version or diagnostics; a version answers every question, and its tests can be run."""
    try:
        files = files_in(text)
    except AssertionError:
        return "no set"
    if any(not name.isascii() or name.startswith(("/", ".")) for name in files):
        return "no set"
    loaded = load({name: content.encode("utf-8", "replace").decode() for name, content in files.items()})
    codes = _codes(loaded.diagnostics, dict(loaded.sources))
    assert (loaded.snapshot is None) == has_errors(loaded.diagnostics)
    if loaded.snapshot is None:
        return codes
    failing = failing_cases(loaded)
    index = loaded.snapshot.index
    answers = [decide(index, request_of(question, index, NOW)) for question in questions()[:10]]
    return codes, bool(failing), frozenset(answer.reason for answer in answers)


TARGETS: Final = (
    Target(
        name="policy-text",
        seeds=policy_texts(),
        mutate=Mutator(policy_texts(), _WORDS, ODD_TEXT, largest=8_000),
        check=_policy_text,
        examples=600,
        seconds=20,
        weight=3,
    ),
    Target(
        name="tables",
        seeds=tables(),
        mutate=Mutator(tables(), r'"[^"\n]*"|[\w.*/{}-]+|,|\s+', ODD_TEXT, largest=20_000),
        check=_table,
        examples=1500,
        seconds=1,
    ),
    Target(
        name="policy-sets",
        seeds=policy_sets(),
        mutate=Mutator(policy_sets(), _WORDS, ODD_TEXT, largest=4_000),
        check=_set,
        examples=500,
        seconds=30,
        weight=3,
    ),
)
