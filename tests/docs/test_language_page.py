"""`docs/language.md` teaches what is so: its policies load, and its answers are the engine's."""

import re
from pathlib import Path

import pytest

from pdp.diagnostics import Severity, Source, has_errors, render
from pdp.lang.formatter import format_source
from pdp.store.snapshot import Loaded
from pdp.vocabulary import Decision, Obligation, ObligationKind
from tests.docs.sets import Block, blocks, failing_cases, files_in, load, outcomes

PAGE = (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")
BLOCKS = blocks(PAGE)
BASE = BLOCKS[0]
POLICIES = [block for block in BLOCKS if block.info in {"policy", "policy fragment"}]
REJECTED = [block for block in BLOCKS if block.info.startswith("policy rejected ")]
ANSWERS = [
    (before, block)
    for at, block in enumerate(BLOCKS)
    if block.info == "policy answers"
    for before in [next(other for other in reversed(BLOCKS[:at]) if other in POLICIES)]
]

assert BASE.info == "policy"
assert len(POLICIES) > 10, "no examples found: this would pass by testing nothing"
assert len(ANSWERS) > 10, "no answers found: this would pass by testing nothing"
assert REJECTED, "no rejected example found: this would pass by testing nothing"


def line(block: Block | tuple[Block, Block]) -> str:
    return f"line-{block.line if isinstance(block, Block) else block[1].line}"


def files_of(block: Block) -> dict[str, str]:
    """The files that an example stands for: a fragment is added to the first one of the page."""
    if block.info == "policy":
        return files_in(block.text)
    return {"first.policy": BASE.text, "example.policy": f"language 1\n{block.text}"}


def loaded(block: Block, answers: str = "") -> Loaded:
    extra = {"answers.policy": f'language 1\ntest "answers" {{\n{answers}}}\n'} if answers else {}
    return load({**files_of(block), **extra})


#: What the page says that `check` warns of.
SHOWN_TO_WARN = "PDP406"


def shown(result: Loaded) -> str:
    return "\n".join(render(diagnostic, result.sources) for diagnostic in result.diagnostics)


def decision(section: str, case: str) -> Decision:
    """The answer to one more question about the policy of a section."""
    _, _, rest = PAGE.partition(f"## {section}\n")
    policy = next(block for block in blocks(rest) if block.info in {"policy", "policy fragment"})
    result = loaded(policy, f"{case}\n")
    assert result.snapshot is not None, shown(result)
    (outcome,) = (outcome for asked, outcome in outcomes(result) if asked.span.file == "answers.policy")
    return outcome.decision


def test_every_block_of_the_page_is_of_a_kind_that_is_tested() -> None:
    kinds = {block.info for block in BLOCKS} - {block.info for block in REJECTED}

    assert kinds == {"policy", "policy fragment", "policy answers"}


@pytest.mark.parametrize("block", POLICIES, ids=line)
def test_example_loads_without_errors_or_warnings(block: Block) -> None:
    result = loaded(block)

    found = [d for d in result.diagnostics if d.severity is not Severity.NOTE and d.code != SHOWN_TO_WARN]
    assert found == [], shown(result)


def test_one_example_is_there_to_show_a_warning() -> None:
    codes = [d.code for block in POLICIES for d in loaded(block).diagnostics]

    assert codes.count(SHOWN_TO_WARN) == 1
    assert f"diagnostics/{SHOWN_TO_WARN}.md" in PAGE


@pytest.mark.parametrize("block", POLICIES, ids=line)
def test_example_passes_the_tests_that_it_holds(block: Block) -> None:
    assert failing_cases(loaded(block)) == []


@pytest.mark.parametrize("block", POLICIES, ids=line)
def test_example_is_in_the_one_layout(block: Block) -> None:
    for path, text in files_of(block).items():
        if path.endswith(".policy"):
            without_header = text.removeprefix("language 1\n").strip()
            formatted = format_source(Source(path=path, text=f"language 1\n{without_header}\n")).text

            assert formatted.removeprefix("language 1\n").strip() == without_header


@pytest.mark.parametrize(("policy", "answers"), ANSWERS, ids=line)
def test_answers_are_what_the_page_says(policy: Block, answers: Block) -> None:
    result = loaded(policy, answers.text)

    assert not has_errors(result.diagnostics), shown(result)
    assert failing_cases(result) == []


@pytest.mark.parametrize("block", REJECTED, ids=line)
def test_rejected_example_is_rejected_for_the_reason_that_is_named(block: Block) -> None:
    result = load({"first.policy": BASE.text, "example.policy": f"language 1\n{block.text}"})

    assert {d.code for d in result.diagnostics} == {block.info.removeprefix("policy rejected ")}
    assert result.snapshot is None


def test_obligations_come_with_the_allow_that_demands_them() -> None:
    answer = decision(
        "What else a rule can say",
        "allow prod/ns/partner-shop/sa/web POST payments-api /v1/charges at 2027-01-01",
    )

    assert set(answer.obligations) == {
        Obligation(ObligationKind.SET_HEADER, "x-tier", "trial"),
        Obligation(ObligationKind.REUSE_AT_MOST, "", "30000"),
    }


def test_a_shadow_rule_is_reported_and_changes_nothing() -> None:
    answer = decision("Trying it out first", "allow prod/ns/web/sa/a DELETE billing /v1/invoices/7")

    assert answer.effect.value == "allow"
    assert answer.enforced
    assert answer.shadow is not None
    assert answer.shadow.effect.value == "deny"


def test_what_an_observed_service_lets_pass_is_told_apart() -> None:
    answer = decision("Trying it out first", "allow prod/ns/batch/sa/b POST legacy /v1/items at 2027-01-01")

    assert answer.effect.value == "allow"
    assert not answer.enforced


def test_a_header_sent_twice_gets_past_no_rule() -> None:
    both = 'with header.x-env = { "live", "test" }'

    assert (
        decision("What is not there", f"deny prod/ns/web/sa/a GET search /v1/search {both}").effect.value
        == "deny"
    )
    assert (
        decision("What is not there", f"deny prod/ns/web/sa/a GET search /v1/suggest {both}").effect.value
        == "deny"
    )


def test_every_row_of_the_path_table_matches_what_it_says() -> None:
    rows = re.findall(r"^\| `(/[^`]+)` \| ([^|]*) \| ([^|]*) \|$", PAGE, re.MULTILINE)
    assert len(rows) > 4

    cases = ""
    rules = ""
    for number, (pattern, matching, others) in enumerate(rows):
        rules += f"service s{number} {{ allow anyone to GET {pattern} }}\n"
        cases += "".join(
            f"allow anonymous GET s{number} {path}\n" for path in re.findall("`([^`]+)`", matching)
        )
        cases += "".join(f"deny anonymous GET s{number} {path}\n" for path in re.findall("`([^`]+)`", others))

    result = load({"table.policy": f'language 1\n{rules}test "table" {{\n{cases}}}\n'})
    assert failing_cases(result) == []


def test_every_row_of_the_condition_table_is_a_condition() -> None:
    table = PAGE.partition("| write | true when |")[2].partition("\n\n")[0]
    rows = [row for row in re.findall(r"^\| `([^`]+)`", table, re.MULTILINE) if "{team}" not in row]
    assert len(rows) > 6

    declared = "condition inside = source.ip in 10.0.0.0/8\ngroup sre = { prod/ns/sre/** }\n"
    tested = "".join(f"condition c{number} = {row}\n" for number, row in enumerate(rows))
    captured = "service s { allow prod/ns/{team}/sa/* to GET / when {team} == header.x-team }\n"
    result = load({"first.policy": BASE.text, "table.policy": f"language 1\n{declared}{tested}{captured}"})

    assert "`{team} == header.x-team`" in table
    assert not has_errors(result.diagnostics), shown(result)


def test_every_row_of_the_principal_table_is_a_principal() -> None:
    table = PAGE.partition("| write | for |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
    assert len(rows) > 8

    rules = "".join(f"    allow {row} to GET /r{number}\n" for number, row in enumerate(rows))
    result = load({"first.policy": BASE.text, "table.policy": f"language 1\nservice s {{\n{rules}}}\n"})

    assert not has_errors(result.diagnostics), shown(result)


def test_every_row_of_the_clause_table_is_a_clause() -> None:
    table = PAGE.partition("| write | to say |")[2].partition("\n\n")[0]
    clauses = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
    assert len(clauses) > 6

    rule = f"service s {{ allow prod/ns/a/sa/b to GET / {' '.join(clauses)} }}\n"
    result = load({"first.policy": BASE.text, "table.policy": f"language 1\n{rule}"})

    assert not has_errors(result.diagnostics), shown(result)
