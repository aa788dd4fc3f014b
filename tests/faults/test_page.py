"""The page about faults has a row for each, none has a wrong answer; and what judges answers can fail."""

import json
import re

import pytest

from tests.faults.faults import ALL
from tests.faults.load import AGAIN, Answered
from tests.faults.page import PAGE, page, table
from tests.faults.published import BATCH, QUESTIONS, VERSIONS, policy
from tests.faults.verdict import Row, wrong_answers

ROWS = re.findall(r"^\| (.+?) \| (\d+) \| (\d+) \| ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_page_has_a_row_for_every_fault_and_no_other() -> None:
    assert [name for name, _, _ in ROWS] == [fault.name for fault in ALL]


def test_who_asks_again_does_so_as_the_page_on_the_api_says() -> None:
    text = PAGE.with_name("api.md").read_text(encoding="utf-8")
    said = next(each for each in re.findall(r"```json\n(.+?)```", text, re.DOTALL) if "retryPolicy" in each)

    assert json.loads(said) == AGAIN


def test_no_answer_was_wrong() -> None:
    assert {wrong for _, _, wrong in ROWS} == {"0"}
    assert all(int(requests) > 0 for _, requests, _ in ROWS)


def test_the_page_is_as_it_is_written() -> None:
    text = PAGE.read_text(encoding="utf-8")
    empty = page([], "{machine}")
    before, after = empty.split("{machine}")

    assert text.startswith(before)
    assert after.partition("\n\n")[0] in text
    assert "\n".join(table([])) in text
    assert "| 7 | 0 | 0 |" in "\n".join(table([Row(name="a fault", requests=7)]))


def answered(asked: float, heard: float, revision: str, *, right: bool = True) -> Answered:
    return Answered("pep", asked, heard, revision, right, (), None if right else "what was said")


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ([answered(0, 1, "a"), answered(2, 3, "b"), answered(4, 5, "b")], ""),
        ([answered(0, 1, "b", right=False)], "not what b says: what was said"),
        ([answered(0, 1, "c")], "c was never published"),
        ([answered(0, 1, "b"), answered(2, 3, "a")], "a over pep after b was seen"),
        ([answered(0, 1, "b"), answered(0.5, 3, "a")], ""),  # it was asked before the newer one was heard
    ],
)
def test_what_is_wrong_is_seen(seen: list[Answered], words: str) -> None:
    assert wrong_answers(seen, ["a", "b"], 0) == ([words] if words else [])


def test_each_version_answers_some_questions_otherwise() -> None:
    assert len({policy(number) for number in range(VERSIONS)}) == VERSIONS
    assert BATCH["questions"] == list(QUESTIONS)
