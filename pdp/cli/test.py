"""`pdp test`: runs the tests beside the policies.

This module holds the command and what it prints. A case becomes a request, and is held
against its answer, in `pdp.analysis.policy_tests`; the XML for CI systems is `pdp.cli.junit`'s.
Exit codes: 0 every case holds, 1 some do not, 2 called wrongly, 3 the policy set is bad.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import click

from pdp.adapters.answer import instant_text
from pdp.analysis.policy_tests import Outcome, names_of, run_case
from pdp.cli import wording
from pdp.cli.junit import JUnitCase, junit
from pdp.cli.output import CannotError, ExitCode, Tone, counted, current_instant, print_json, say
from pdp.cli.policy_set import POLICIES, PolicySet, require
from pdp.diagnostics import escape
from pdp.lang import ast
from pdp.store.problems import reason
from pdp.vocabulary import Millis

__all__ = ["test_command"]

_EXAMPLE: Final = """\b
Example:
  pdp test policies/
  pdp test policies/ --filter charge
  pdp test policies/ --junit results.xml
"""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """One case: where it stands, what it says, and what became of it."""

    file: str
    line: int
    test: str
    case: ast.TestCase
    outcome: Outcome
    expected: str
    got: str


@click.command("test", epilog=_EXAMPLE)
@click.argument("policies", type=POLICIES)
@click.option("--filter", "text", metavar="TEXT", help="Only tests whose name or file holds this text.")
@click.option(
    "--junit",
    "junit_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also write the results as JUnit XML.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def test_command(
    context: click.Context, policies: Path, *, text: str | None, junit_file: Path | None, as_json: bool
) -> None:
    """Run the tests that stand beside the policies.

    A case without `at` is asked as of now, the same instant for all of them.
    """
    now = current_instant()
    policy_set = require(policies, now)
    results = _run(policy_set, text, now)
    failed = [result for result in results if not result.outcome.passed]
    if junit_file is not None:
        _write(junit_file, junit(_junit_case(result) for result in results))
    if as_json:
        print_json(_as_json(results, now))
    else:
        _print(results, failed)
    context.exit(ExitCode.NO if failed else ExitCode.YES)


def _run(policy_set: PolicySet, text: str | None, now: Millis) -> list[_Result]:
    snapshot, reading = policy_set.snapshot, policy_set.reading
    files = [parsed.file for parsed in snapshot.files]
    names = names_of(files)
    blocks = [(file, item) for file in files for item in file.items if isinstance(item, ast.TestBlock)]
    chosen = [
        (file, block)
        for file, block in blocks
        if text is None or text.lower() in block.name.lower() or text.lower() in file.path.lower()
    ]
    if blocks and not chosen:
        raise click.UsageError(f"no test has `{escape(text or '')}` in its name or file")
    results = []
    for file, block in chosen:
        source = reading.loaded.sources[file.path]
        for case in block.cases:
            outcome = run_case(case, snapshot.index, names, now)
            results.append(
                _Result(
                    file=reading.shown(file.path),
                    line=source.position(case.span.start)[0],
                    test=block.name,
                    case=case,
                    outcome=outcome,
                    expected=_expected(case),
                    got=wording.outcome(outcome.decision, outcome.rules, reading.shown),
                )
            )
    return results


def _expected(case: ast.TestCase) -> str:
    if case.expectation is ast.Expectation.DEFAULT:
        return f"{case.effect.value} by default"
    return f"{case.effect.value} by {escape(case.rule.text)}" if case.rule is not None else case.effect.value


# -- printing --------------------------------------------------------------------------


def _print(results: list[_Result], failed: Iterable[_Result]) -> None:
    for result in failed:
        say(
            [
                (f"{escape(result.file)}:{result.line}: ", Tone.STRONG),
                ("failed", Tone.BAD),
                (f': test "{escape(result.test)}"\n', Tone.STRONG),
                (_details(result), Tone.PLAIN),
            ]
        )
    if not results:
        say([("no tests found", Tone.WARNING)])
        return
    failures = sum(not result.outcome.passed for result in results)
    parts = [(f"{counted(len(results), 'case')}: ", Tone.PLAIN)]
    parts.append((f"{len(results) - failures} passed", Tone.GOOD if failures < len(results) else Tone.PLAIN))
    parts += [(", ", Tone.PLAIN), (f"{failures} failed", Tone.BAD if failures else Tone.PLAIN)]
    say(parts)


def _details(result: _Result) -> str:
    lines = [
        f"  question: {_question(result)}",
        f"  expected: {result.expected}",
        f"  got:      {result.got}",
    ]
    return "\n".join(lines) + "\n"


def _question(result: _Result) -> str:
    """The question in words, with what the case says of the instant and of who asks."""
    case, asked = result.case, wording.question(result.outcome.request).removesuffix("?")
    if case.at is not None:
        asked += f", at {instant_text(case.at)}"
    if case.supplying is not None:
        asked += f", supplying {', '.join(escape(name.text) for name in case.supplying) or 'nothing'}"
    return f"{asked}?"


def _junit_case(result: _Result) -> JUnitCase:
    question = _question(result)
    failure = "" if result.outcome.passed else f"expected {result.expected}, got {result.got}\n{question}"
    return JUnitCase(file=result.file, line=result.line, name=f"{result.test}: {question}", failure=failure)


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise CannotError("not_written", f"`{path}` cannot be written: {reason(error)}") from error


def _as_json(results: list[_Result], now: Millis) -> dict[str, Any]:
    passed = sum(result.outcome.passed for result in results)
    return {
        "now": instant_text(now),
        "passed": passed,
        "failed": len(results) - passed,
        "cases": [_result_as_json(result) for result in results],
    }


def _result_as_json(result: _Result) -> dict[str, Any]:
    decision = result.outcome.decision
    return {
        "file": result.file,
        "line": result.line,
        "test": result.test,
        "question": _question(result),
        "expected": result.expected,
        "passed": result.outcome.passed,
        "decision": decision.effect.value,
        "reason": decision.reason.value,
        "rules": [{"name": rule.name, "at": f"{rule.file}:{rule.line}"} for rule in result.outcome.rules],
    }
