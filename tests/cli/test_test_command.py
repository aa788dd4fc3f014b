"""`pdp test`: which cases hold, what is said of those that do not, and JUnit XML."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdp.cli.junit import JUnitCase, junit
from tests.cli.example import POLICY, policies, process, run

FAILING = """\
language 1
test "wrong effect" {
    deny prod/ns/checkout/sa/web POST payments /v1/charges
}
test "wrong rule" {
    allow prod/ns/checkout/sa/web POST payments /v1/charges by charge-read
    deny anonymous GET payments /admin/x by default supplying nothing at 2027-01-01T09:00Z
}
test "right" {
    deny prod/ns/blog/sa/web on behalf of corp/al GET payments /v1/me with user.level = 5
}
test "hopeless" {
    allow anonymous GET payments /v1/me with header.x-a = absent
}
"""


def parsed(document: bytes) -> ET.Element:
    return ET.fromstring(document)  # noqa: S314 -- written a moment ago by the code under test


@pytest.fixture
def passing(tmp_path: Path) -> Path:
    return policies(tmp_path / "passing")


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    return policies(tmp_path / "failing", teams_more=FAILING)


def test_all_cases_hold(passing: Path) -> None:
    done = run("test", passing)

    assert done.exit_code == 0
    assert (done.stdout, done.stderr) == ("10 cases: 10 passed, 0 failed\n", "")


def test_a_failing_case_shows_question_expectation_and_what_decided(failing: Path) -> None:
    done = run("test", failing)

    place = f"{failing}/teams/more.policy"
    assert done.exit_code == 1
    assert done.stderr == ""
    assert done.stdout == (
        f'{place}:3: failed: test "wrong effect"\n'
        "  question: may spiffe://prod.example.org/ns/checkout/sa/web POST /v1/charges on payments?\n"
        "  expected: deny\n"
        f"  got:      allow by payments/charge-create at {failing}/payments.policy:9\n"
        "\n"
        f'{place}:6: failed: test "wrong rule"\n'
        "  question: may spiffe://prod.example.org/ns/checkout/sa/web POST /v1/charges on payments?\n"
        "  expected: allow by charge-read\n"
        f"  got:      allow by payments/charge-create at {failing}/payments.policy:9\n"
        "\n"
        f'{place}:7: failed: test "wrong rule"\n'
        "  question: may anonymous GET /admin/x on payments, at 2027-01-01T09:00:00Z, supplying nothing?\n"
        "  expected: deny by default\n"
        f"  got:      deny by payments/admins at {failing}/payments.policy:15\n"
        "\n"
        f'{place}:13: failed: test "hopeless"\n'
        "  question: may anonymous GET /v1/me on payments, with header.x-a is absent?\n"
        "  expected: allow\n"
        "  got:      deny: no rule matched\n"
        "\n"
        "15 cases: 11 passed, 4 failed\n"
    )


def test_json_holds_every_case(failing: Path) -> None:
    done = run("test", failing, "--json")

    found = json.loads(done.stdout)
    assert done.exit_code == 1
    assert (found["passed"], found["failed"], len(found["cases"])) == (11, 4, 15)
    (wrong,) = [case for case in found["cases"] if case["test"] == "wrong effect"]
    assert wrong == {
        "file": f"{failing}/teams/more.policy",
        "line": 3,
        "test": "wrong effect",
        "question": "may spiffe://prod.example.org/ns/checkout/sa/web POST /v1/charges on payments?",
        "expected": "deny",
        "passed": False,
        "decision": "allow",
        "reason": "allowed",
        "rules": [{"name": "payments/charge-create", "at": "payments.policy:9"}],
    }


def test_all_cases_without_an_instant_are_asked_as_of_one(passing: Path) -> None:
    """`cart` is observed for now: were the clock not the run's own, `now` would not decide."""
    (passing / "now.policy").write_text(
        'language 1\ntest "now" { allow anonymous GET cart /x by default }\n', encoding="utf-8"
    )

    code = (
        "import types; from pdp.cli import output\n"
        "output.time = types.SimpleNamespace(time_ns=iter([{}]).__next__)\n"  # read once, and no second time
        "from pdp.cli.main import main; main()"
    )
    before, after = (
        process("test", passing, "--filter", "now", code=code.format(seconds * 10**9))
        for seconds in (1_801_353_599, 1_801_353_600)
    )

    assert (before.returncode, before.stderr) == (0, b"")
    assert (after.returncode, after.stderr) == (1, b"")


@pytest.mark.parametrize(
    ("text", "cases"), [("office", 3), ("OFFICE", 3), ("payments-test", 10), ("everything a", 5)]
)
def test_a_filter_chooses_by_name_or_file(passing: Path, text: str, cases: int) -> None:
    assert run("test", passing, "--filter", text).stdout.startswith(f"{cases} cases:")


def test_a_filter_that_chooses_nothing_is_a_mistake_in_the_call(passing: Path) -> None:
    done = run("test", passing, "--filter", "ofice\x1b[2J")

    assert done.exit_code == 2
    assert r"no test has `ofice\u{1b}[2J` in its name or file" in done.stderr


def test_no_tests_is_said_and_is_no_failure(tmp_path: Path) -> None:
    path = tmp_path / "payments.policy"
    path.write_text(POLICY, encoding="utf-8")

    done = run("test", path)

    assert (done.exit_code, done.stdout) == (0, "no tests found\n")
    assert json.loads(run("test", path, "--json").stdout)["cases"] == []


def test_a_bad_policy_set_has_no_results(failing: Path) -> None:
    (failing / "bad.policy").write_text("language 1\ngroup = 5\n", encoding="utf-8")

    shown, data = run("test", failing), run("test", failing, "--json")

    assert (shown.exit_code, shown.stdout) == (3, "")
    assert "bad.policy:2:7: error[PDP101]" in shown.stderr
    assert shown.stderr.splitlines()[-1] == "error: the policy set has 1 error and cannot be used"
    assert (data.exit_code, data.stderr) == (3, "")
    error = json.loads(data.stdout)["error"]
    assert error["code"] == "bad_policy"
    assert error["diagnostics"][0]["code"] == "PDP101"


def test_junit_xml_has_every_case_by_file(failing: Path, tmp_path: Path) -> None:
    path = tmp_path / "results.xml"

    done = run("test", failing, "--junit", path)

    root = parsed(path.read_bytes())
    assert done.exit_code == 1
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "15", "4")
    first, second = root
    assert (first.get("name"), first.get("tests"), first.get("failures")) == (
        f"{failing}/payments-test.policy", "10", "0"
    )  # fmt: skip
    assert (second.get("tests"), second.get("failures")) == ("5", "4")
    case = second[0]
    assert case.get("name") == (
        "wrong effect: may spiffe://prod.example.org/ns/checkout/sa/web POST /v1/charges on payments?"
    )
    assert case.get("line") == "3"
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("message") == (
        f"expected deny, got allow by payments/charge-create at {failing}/payments.policy:9"
    )


def test_junit_xml_that_cannot_be_written_ends_with_3(passing: Path) -> None:
    done = run("test", passing, "--junit", "/nonexistent/results.xml")

    assert done.exit_code == 3
    assert done.stderr == "error: `/nonexistent/results.xml` cannot be written: no such file or directory\n"


def test_names_of_tests_cannot_colour_or_move_anything(tmp_path: Path) -> None:
    bad = 'language 1\ntest "ab<&\U0001f600[bold]" { deny anonymous GET cart /x }\n'
    folder = policies(tmp_path / "set", bad=bad)

    done = run("test", folder, "--junit", tmp_path / "x.xml")

    assert 'test "ab<&\U0001f600[bold]"' in done.stdout
    case = parsed((tmp_path / "x.xml").read_bytes())[0][0]
    assert str(case.get("name")).startswith("ab<&\U0001f600[bold]: may")


@settings(deadline=None)
@given(text=st.text(st.characters(codec=None), min_size=1), failure=st.text(st.characters(codec=None)))
def test_junit_xml_is_well_formed_whatever_it_holds(text: str, failure: str) -> None:
    """Lone surrogates, NUL and all other text that XML has no form for included."""
    written = junit([JUnitCase(file=text, line=1, name=text, failure=failure)])

    (case,) = parsed(written).iter("testcase")
    assert (case.find("failure") is None) == (failure == "")
