"""Files parsed in several processes: the same comes of them as in one, whatever becomes of the others."""

import os
import signal
import sys
from pathlib import Path

import pytest

from pdp.diagnostics import Source
from pdp.lang.parser import parse
from pdp.store import parsing
from pdp.store.bundle import make_bundle
from pdp.store.compilation import decode
from pdp.store.loader import Loader
from pdp.store.parsing import parse_all

ROOT = Path(__file__).parents[2]
NOW = 1_767_225_600_000
#: Right ones and wrong ones.
TEXTS = [
    decode(path.name, path.read_bytes())[0]
    for folder in ("policies", "tests/golden/rejected")
    for path in sorted((ROOT / folder).rglob("*.policy"))
]
assert len(TEXTS) > 50, "this would pass by testing little"


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> None:
    """However little text there is, there are others, who take a file at a time."""
    monkeypatch.setattr(parsing, "PARSED_ALONE_CHARS", 1000)
    monkeypatch.setattr(parsing, "_BATCH_CHARS", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})


def sources() -> list[Source]:
    return [Source(path=f"{n}.policy", text=text, readable=n % 7 != 0) for n, text in enumerate(TEXTS)]


def children() -> list[int]:
    return [int(pid) for pid in Path("/proc/self/task").glob("*/children") for pid in pid.read_text().split()]


def waiting_for_others(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have nothing parsed here while others do; which files were parsed here in the end."""
    here: list[str] = []
    rest = parsing._parse_here
    before = set(children())  # of whatever else this process has begun

    def late(left, found):
        if set(children()) - before:
            return
        here.extend(source.path for _, source in left)
        rest(left, found)

    monkeypatch.setattr(parsing, "_parse_here", late)
    return here


@pytest.mark.usefixtures("several")
def test_the_same_comes_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    before = children()
    here = waiting_for_others(monkeypatch)

    found = parse_all(sources())

    assert found == [parse(source) for source in sources()]
    assert set(here) == {source.path for source in sources() if not source.readable}
    assert set(children()) <= set(before)


@pytest.mark.usefixtures("several")
def test_a_set_is_the_same_with_its_revision_and_diagnostics(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {f"{n}.policy": text.encode() for n, text in enumerate(TEXTS)}
    right = {
        str(path.relative_to(ROOT / "policies")): path.read_bytes()
        for path in sorted((ROOT / "policies").rglob("*"))
        if path.is_file()
    }
    together = [Loader().load(make_bundle(files), now=NOW) for files in (right, wrong)]
    monkeypatch.setattr(parsing, "_how_many", lambda _: 0)
    alone = [Loader().load(make_bundle(files), now=NOW) for files in (right, wrong)]

    for one, other in zip(together, alone, strict=True):
        assert one.diagnostics == other.diagnostics
    served, as_served = together[0].snapshot, alone[0].snapshot
    assert served is not None
    assert as_served is not None
    assert (served.revision, served.rules, served.files) == (
        as_served.revision, as_served.rules, as_served.files,
    )  # fmt: skip
    assert together[1].snapshot is None


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize(
    "module", ["import os; os.abort()", "print('nonsense' * 9)", "import time; time.sleep(600)", "1/0"]
)
def test_others_that_do_not_give_back_what_they_took_change_nothing(
    module: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text(module, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(parsing, "_MODULE", "broken")
    monkeypatch.setattr(parsing, "_WAIT_SECONDS", 0.5)
    before = children()

    found = parse_all(sources())

    assert found == [parse(source) for source in sources()]
    assert set(children()) <= set(before)


@pytest.mark.usefixtures("several")
def test_where_no_process_can_be_begun_all_is_parsed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere")

    assert parse_all(sources()) == [parse(source) for source in sources()]


@pytest.mark.usefixtures("several")
def test_one_that_is_killed_meanwhile_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rest, before = parsing._parse_here, children()

    def killing(left, found):
        for pid in set(children()) - set(before):
            os.kill(pid, signal.SIGKILL)
        rest(left, found)

    monkeypatch.setattr(parsing, "_parse_here", killing)

    assert parse_all(sources()) == [parse(source) for source in sources()]


def test_little_text_is_parsed_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing.subprocess, "Popen", None)

    assert parse_all(sources()) == [parse(source) for source in sources()]
