"""Every target, for a fixed number of inputs that are the same each time. `make fuzz` goes on from there."""

import re
from collections.abc import Iterator

import pytest

from tests.fuzz.all_targets import ALL
from tests.fuzz.corpora import ROOT
from tests.fuzz.described import DESCRIBED
from tests.fuzz.engine import run
from tests.fuzz.targets import http

SEED = 1
# Warnings: the library's, of certificates that break RFC 5280 in a way that it lets pass.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning"),
]


def test_the_page_on_fuzzing_has_a_row_for_every_target() -> None:
    page = (ROOT / "docs/fuzzing.md").read_text(encoding="utf-8")

    assert re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE) == [*ALL, DESCRIBED]


@pytest.fixture(scope="module", autouse=True)
def _service_ends() -> Iterator[None]:
    yield
    http.close()


@pytest.mark.parametrize("name", ALL)
def test_no_input_breaks_it(name: str) -> None:
    target = ALL[name]

    tried, failure = run(target, SEED, examples=target.examples)

    assert failure is None, f"input {tried} of seed {SEED}: {failure}"
    assert tried == target.examples
