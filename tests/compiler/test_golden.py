"""Every mistake an author could make, and exactly what we say about it.

`UPDATE_GOLDEN=1` rewrites the expectations; whoever reviews the change reads them. A file may
hold a whole policy set, its files between `-- path --` lines. What no file of text provokes is
built by `tests.compiler.situations`.
"""

import os
import re
from pathlib import Path

import pytest

from pdp.diagnostics import render
from tests.compiler.situations import SITUATIONS
from tests.docs.sets import files_in, load_bytes

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "golden" / "rejected"
REJECTED = sorted(FOLDER.glob("*.policy"))
assert REJECTED, "no golden files found: this would pass by testing nothing"
BUILT = ROOT / "tests" / "golden" / "built"
assert len(SITUATIONS) > 10, "no situations found: this would pass by testing nothing"

GOLDEN = sorted([*FOLDER.glob("*.stderr"), *BUILT.glob("*.stderr")])


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
    assert_golden(said_about(case), case.with_suffix(".stderr"))


@pytest.mark.parametrize("name", SITUATIONS)
def test_situation_renders_as_golden(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the name of the directory is part of what is said

    got = SITUATIONS[name](monkeypatch)

    assert_golden(got, BUILT / f"{name}.stderr")
    assert f"[{name[: len('PDP101')]}]" in got


def assert_golden(got: str, golden: Path) -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_bytes(got.encode())
    assert got == golden.read_bytes().decode()


@pytest.mark.parametrize("case", REJECTED, ids=lambda case: case.stem)
def test_rejected_file_provokes_the_code_it_is_named_after(case: Path) -> None:
    code = case.stem[: len("PDP101")]

    assert f"[{code}]" in said_about(case)


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.stem)
def test_nothing_that_is_shown_moves_the_cursor_or_hides_text(golden: Path) -> None:
    assert all(character.isprintable() or character == "\n" for character in golden.read_text("utf-8"))


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.stem)
def test_every_diagnostic_says_what_to_do(golden: Path) -> None:
    """No code is excepted: what can be said to be wrong can be said to be put right."""
    said = golden.read_text("utf-8").removesuffix("\n").split("\n\n")

    assert [text for text in said if not re.search(r"^ *= help: \S", text, re.MULTILINE)] == []


def test_every_code_has_a_golden_file() -> None:
    codes = {
        code
        for file in (ROOT / "pdp").rglob("*.py")
        for code in re.findall(r"PDP\d{3}", file.read_text("utf-8"))
    }
    shown = {code for golden in GOLDEN for code in re.findall(r"\[(PDP\d{3})\]", golden.read_text("utf-8"))}

    assert shown == codes


def test_every_expectation_belongs_to_a_file() -> None:
    assert {case.stem for case in REJECTED} == {golden.stem for golden in FOLDER.glob("*.stderr")}
    assert SITUATIONS.keys() == {golden.stem for golden in BUILT.glob("*.stderr")}
