"""The relaxations of paths go by the words of the language, on every page that speaks of them."""

import re
from functools import reduce
from operator import or_

import pytest

from pdp.compiler.declarations import RELAXATIONS
from pdp.paths import Relaxation
from tests.docs.pages import DOCS

WORDS = list(RELAXATIONS)
PAGES = {
    name: (DOCS / name).read_text(encoding="utf-8")
    for name in ("language.md", "language-reference.md", "paths.md", "diagnostics/PDP210.md")
}
#: What the corpus calls them, which is for other implementations too.
IN_THE_CORPUS = {relaxation.name.lower(): word for word, relaxation in RELAXATIONS.items() if relaxation.name}

assert len(WORDS) > 3, "no words found: this would pass by testing nothing"


def tables(page: str) -> list[list[str]]:
    """The first cells of every table of a page, heads left out."""
    found = re.findall(r"^\|[-|]+\|$\n((?:^\|.*$\n)+)", PAGES[page], re.MULTILINE)
    return [re.findall(r"^\| `([^`]+)` \|", rows, re.MULTILINE) for rows in found]


def test_every_relaxation_has_one_word() -> None:
    assert reduce(or_, RELAXATIONS.values()) == ~Relaxation.NONE
    assert len(set(RELAXATIONS.values())) == len(WORDS) == len(IN_THE_CORPUS)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("page", PAGES)
def test_every_word_stands_on_the_page(page: str, word: str) -> None:
    assert f"`{word}`" in PAGES[page]


@pytest.mark.parametrize("page", [page for page in PAGES if not page.startswith("diagnostics")])
def test_the_page_has_a_table_of_them_and_shows_how_they_are_written(page: str) -> None:
    assert WORDS in tables(page)
    assert re.search(r"paths may have (?:WORD|[a-z]+-)", PAGES[page])


def test_what_the_corpus_calls_them_is_said_and_said_nowhere_else() -> None:
    before, corpus = PAGES["paths.md"].split("\n## The corpus\n")
    names = set(IN_THE_CORPUS) - {"encoded_slash"}  # which is also the code of a problem

    assert dict(re.findall(r"^\| `(\w+)` \| `([a-z-]+)` \|$", corpus, re.MULTILINE)) == IN_THE_CORPUS
    for page, text in {**PAGES, "paths.md": before}.items():
        assert [name for name in names if name in text] == [], page
