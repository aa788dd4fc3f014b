"""`docs/diagnostics/` has a page for each code, whose examples do what it says.

The example to avoid provokes its code and nothing else; the one to prefer provokes
nothing. A few codes are not about what a file says: `ELSEWHERE` names what provokes them.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pdp.diagnostics import Diagnostic, Severity, Source, render
from pdp.index import build
from pdp.lang.formatter import format_source
from pdp.limits import MAX_ERRORS_PER_FILE, MAX_SPIFFE_ID_BYTES
from pdp.store.snapshot import Loaded
from tests.docs.sets import Block, blocks, files_in, load, load_bytes

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "diagnostics"
PAGES = {page.stem: page.read_text(encoding="utf-8") for page in sorted(FOLDER.glob("PDP*.md"))}
CODES = sorted(
    {
        code
        for file in (ROOT / "pdp").rglob("*.py")
        for code in re.findall(r"PDP\d{3}", file.read_text(encoding="utf-8"))
    }
)
SECTIONS = ["What it means", "Avoid", "Prefer", "Why"]
HUNDREDS = "123459"
OPENINGS = {
    Severity.ERROR: "An error: a version of the policy set that holds one is not served.",
    Severity.WARNING: "A warning: the policy set is served.",
    Severity.NOTE: "A note: nothing is wrong, and a reviewer should know.",
}

#: The bound of PDP917 is lowered for its page: the real one needs a set that takes minutes to refuse.
FEW_CELLS = 40


def not_utf8() -> Loaded:
    return load_bytes({"payments.policy": b"language 1\n# caf\xe9\n"})


def long_id() -> Loaded:
    name = "a" * (MAX_SPIFFE_ID_BYTES + 1)
    text = f'language 1\ntrust domain p = "p.example"\nservice s {{ allow p/{name} to GET / }}\n'
    return load({"example.policy": text})


def nothing_there() -> Loaded:
    return load({})


def crowded() -> Loaded:
    rules = "".join(f'    allow anyone to GET /x when header.x-a == "r{i}"\n' for i in range(300))
    return load({"a.policy": f"language 1\n\nservice s {{\n{rules}}}\n"})


def careless() -> Loaded:
    rules = "    allow anyone to GET /%zz\n" * (MAX_ERRORS_PER_FILE + 1)
    return load({"a.policy": f"language 1\n\nservice s {{\n{rules}}}\n"})


#: Codes whose example is no policy: what provokes them here.
PROVOKED: dict[str, Callable[[], Loaded]] = {
    "PDP102": not_utf8,  # a page cannot hold bytes that are not UTF-8
    "PDP911": long_id,  # nobody wants to read an ID of two kilobytes
    "PDP919": crowded,  # nobody wants to read three hundred rules
    "PDP918": nothing_there,  # it is about there being no file
    "PDP920": careless,  # nobody wants to read fifty mistakes
}
#: What a code can only come with.
COMPANIONS = {"PDP920": {"PDP303"}}

#: Codes about what lies on a disk, provoked where directories are read.
ON_DISK = "tests/store/test_bundle.py"
DISK_CODES = [f"PDP90{number}" for number in range(1, 10)]
EXAMPLES = [code for code in PAGES if code not in PROVOKED and code not in DISK_CODES]

assert len(CODES) > 50, "no codes found: this would pass by testing nothing"


def section(code: str, title: str) -> str:
    return PAGES[code].partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def example(code: str, title: str) -> Block:
    (block,) = blocks(section(code, title))
    return block


def loaded(code: str, title: str, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    if code == "PDP917":
        monkeypatch.setattr(build, "cells_bound", lambda _: FEW_CELLS)
    return load(files_in(example(code, title).text))


def shown(result: Loaded) -> str:
    return "\n".join(render(diagnostic, result.sources) for diagnostic in result.diagnostics)


def assert_provoked(code: str, found: tuple[Diagnostic, ...]) -> None:
    assert {d.code for d in found} == {code} | COMPANIONS.get(code, set())
    assert {OPENINGS[d.severity] for d in found} == {PAGES[code].split("\n")[2]}


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    assert list(PAGES) == CODES


@pytest.mark.parametrize("code", PAGES)
def test_page_says_what_it_means_what_to_avoid_what_to_prefer_and_why(code: str) -> None:
    title, _, opening = PAGES[code].split("\n")[:3]

    assert re.fullmatch(rf"# {code}: \S.*[^.]", title)
    assert opening in OPENINGS.values()
    assert re.findall(r"^## (.*)$", PAGES[code], re.MULTILINE) == SECTIONS
    assert all(section(code, name).strip() for name in SECTIONS)
    assert code[3] in HUNDREDS


@pytest.mark.parametrize("code", EXAMPLES)
def test_example_to_avoid_provokes_its_code_and_no_other(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert example(code, "Avoid").info == "policy"
    assert_provoked(code, loaded(code, "Avoid", monkeypatch).diagnostics)


@pytest.mark.parametrize("code", PROVOKED)
def test_code_without_an_example_of_policy_is_provoked_by_other_means(code: str) -> None:
    assert example(code, "Avoid").info == "text"
    assert_provoked(code, PROVOKED[code]().diagnostics)


@pytest.mark.parametrize("code", DISK_CODES)
def test_code_about_the_disk_is_provoked_where_directories_are_read(code: str) -> None:
    assert example(code, "Avoid").info == "text"
    assert code in (ROOT / ON_DISK).read_text(encoding="utf-8")


@pytest.mark.parametrize("code", [code for code in PAGES if code not in DISK_CODES])
def test_example_to_prefer_provokes_nothing(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    result = loaded(code, "Prefer", monkeypatch)

    assert result.diagnostics == (), shown(result)
    assert result.snapshot is not None


@pytest.mark.parametrize("code", [code for code in PAGES if code not in DISK_CODES])
def test_example_to_prefer_is_in_the_one_layout(code: str) -> None:
    for path, text in files_in(example(code, "Prefer").text).items():
        if path.endswith(".policy"):
            assert format_source(Source(path=path, text=text)).text.strip() == text.strip()


def test_the_list_of_pages_names_each_with_its_title() -> None:
    listed = re.findall(
        r"^- \[(\w+)\]\((\w+)\.md\): (.*)$", (FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )

    assert listed == [
        (code, code, page.split("\n")[0].removeprefix(f"# {code}: ")) for code, page in PAGES.items()
    ]


def test_links_between_pages_lead_somewhere() -> None:
    for page in FOLDER.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not target.startswith("https://"):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"
