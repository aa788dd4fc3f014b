"""What tests of texts share: policy sets from text, their test blocks, and fenced blocks of Markdown.

Nothing here knows what a policy means: loading and running the cases is the business of `pdp`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pdp.analysis.policy_tests import Outcome, names_of, run_case
from pdp.lang import ast
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from pdp.store.snapshot import Loaded

__all__ = ["NOW", "Block", "blocks", "failing_cases", "files_in", "load", "load_bytes", "outcomes"]

#: Now, for every question of a text that does not say when.
NOW: Final = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp() * 1000)

_FENCE: Final = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE: Final = re.compile(r"^-- (\S+) --\n", re.MULTILINE)


# -- texts -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: what stands behind its fence, its text, the line of the page it begins on."""

    info: str
    text: str
    line: int


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a Markdown page, in order."""
    return [
        Block(info=found["info"].strip(), text=found["text"], line=page.count("\n", 0, found.start()) + 1)
        for found in _FENCE.finditer(page)
    ]


def files_in(text: str) -> dict[str, str]:
    """The files of a block: those between `-- path --` lines, or one."""
    head, *parts = _FILE.split(text)
    if not parts:
        return {"example.policy": text}
    assert not head.strip(), "text before the first `-- path --` belongs to no file"
    return dict(zip(parts[::2], parts[1::2], strict=True))


# -- policy sets -----------------------------------------------------------------------


def load(files: Mapping[str, str]) -> Loaded:
    """Load files of text as one policy set."""
    return load_bytes({path: text.encode() for path, text in files.items()})


def load_bytes(files: Mapping[str, bytes]) -> Loaded:
    """Load files as one policy set."""
    return Loader().load(make_bundle(files), now=NOW)


# -- test cases ------------------------------------------------------------------------


def outcomes(loaded: Loaded) -> Iterator[tuple[ast.TestCase, Outcome]]:
    """Every test case of a set, and what became of it."""
    assert loaded.snapshot is not None, "a set with errors answers nothing"
    files = [parsed.file for parsed in loaded.snapshot.files]
    names = names_of(files)
    for item in (item for file in files for item in file.items):
        if isinstance(item, ast.TestBlock):
            for case in item.cases:
                yield case, run_case(case, loaded.snapshot.index, names, NOW)


def failing_cases(loaded: Loaded) -> list[str]:
    """The cases that do not hold, each as `file:line: what was answered`."""
    return [
        f"{case.span.file}:{loaded.sources[case.span.file].position(case.span.start)[0]}: "
        f"{outcome.decision.effect.value} ({outcome.decision.reason.value}) "
        f"by {[rule.name for rule in outcome.rules]}"
        for case, outcome in outcomes(loaded)
        if not outcome.passed
    ]
