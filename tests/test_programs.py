"""What tests need and pip does not bring is brought by `.ci/programs`, which says why."""

import re
from pathlib import Path

from tests.deploy.confined import LIBRARY
from tests.programs import needs, needs_library

TESTS = Path(__file__).parent
SCRIPT = (TESTS.parent / ".ci" / "programs").read_text(encoding="utf-8")
LISTED = dict(
    re.findall(
        r"^([\w-]+) +[\w-]+ +(\w.+)$", SCRIPT.partition("PROGRAMS='")[2].partition("'")[0], re.MULTILINE
    )
)


def test_every_program_that_a_test_needs_is_brought() -> None:
    needed = {
        program
        for file in TESTS.rglob("*.py")
        if file != Path(__file__)
        for call in re.findall(r"(?<!def )\bneeds(?:_library)?\(([^)]*)\)", file.read_text(encoding="utf-8"))
        for program in re.findall(r'"([\w-]+)"', call)
    }

    assert needed
    assert needed <= LISTED.keys()


def test_what_is_missing_is_named() -> None:
    assert needs("sh").args == (False,)
    assert needs("no-such-program").kwargs["reason"] == "not installed: no-such-program; see .ci/programs"
    assert needs_library("libnone.so.9", "sh").kwargs["reason"].startswith("not installed: libnone.so.9;")
    assert needs_library(LIBRARY, "no-such-program").kwargs["reason"].startswith("not installed: ")
