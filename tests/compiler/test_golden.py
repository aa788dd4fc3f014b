"""Every mistake an author could make, and exactly what we say about it.

`UPDATE_GOLDEN=1` rewrites the expectations; whoever reviews the change reads them. A file may
hold a whole policy set, its files between `-- path --` lines.
"""

import os
import re
from pathlib import Path

import pytest

from pdp.diagnostics import render
from tests.docs.sets import files_in, load_bytes

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "golden" / "rejected"
REJECTED = sorted(FOLDER.glob("*.policy"))
assert REJECTED, "no golden files found: this would pass by testing nothing"

#: Codes that no file of text provokes, and what tests them instead.
ELSEWHERE = {
    **{f"PDP90{number}": "what lies on a disk: tests/store/test_bundle.py" for number in range(1, 10)},
    "PDP917": "takes minutes at the real bound: tests/docs/test_diagnostics_pages.py lowers it",
    "PDP918": "there is no file: tests/docs/test_diagnostics_pages.py",
    "PDP919": "hundreds of rules: tests/compiler/test_bounds_of_cells.py",
    **{f"PDP50{number}": "what a set allows: tests/analysis/test_invariants.py" for number in range(1, 5)},
}


def files_of(case: Path) -> dict[str, bytes]:
    content = case.read_bytes()
    if not content.startswith(b"-- "):
        return {case.name: content}
    return {path: text.encode() for path, text in files_in(content.decode()).items()}


def said_about(case: Path) -> str:
    result = load_bytes(files_of(case))
    return "\n".join(render(diagnostic, result.sources) for diagnostic in result.diagnostics)


@pytest.mark.parametrize("case", REJECTED, ids=lambda case: case.stem)
def test_rejected_file_renders_as_golden(case: Path) -> None:
    got = said_about(case)

    golden = case.with_suffix(".stderr")
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_bytes(got.encode())
    assert got == golden.read_bytes().decode()


@pytest.mark.parametrize("case", REJECTED, ids=lambda case: case.stem)
def test_rejected_file_provokes_the_code_it_is_named_after(case: Path) -> None:
    code = case.stem[: len("PDP101")]

    assert f"[{code}]" in said_about(case)


@pytest.mark.parametrize("case", REJECTED, ids=lambda case: case.stem)
def test_nothing_that_is_shown_moves_the_cursor_or_hides_text(case: Path) -> None:
    assert all(character.isprintable() or character == "\n" for character in said_about(case))


def test_every_code_has_a_golden_file() -> None:
    codes = {
        code
        for file in (ROOT / "pdp").rglob("*.py")
        for code in re.findall(r"PDP\d{3}", file.read_text("utf-8"))
    }
    shown = {code for case in REJECTED for code in re.findall(r"\[(PDP\d{3})\]", said_about(case))}

    assert shown | ELSEWHERE.keys() == codes
    assert shown.isdisjoint(ELSEWHERE)


def test_every_expectation_belongs_to_a_file() -> None:
    assert {case.stem for case in REJECTED} == {golden.stem for golden in FOLDER.glob("*.stderr")}
