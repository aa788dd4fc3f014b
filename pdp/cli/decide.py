"""`pdp decide`: decisions offline, one at a time or a file of them.

This module holds the command and one decision in words; files of questions are
`pdp.cli.batch`'s. A question given by options is the same question as in a body of
`/v1/decide` and is checked by the same code. Exit codes: 0 allow, 1 deny, 2 called wrongly,
3 no answer, since the policy set is bad; with `--batch`, 0 once every line was read.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec

from pdp.adapters.answer import instant_text
from pdp.adapters.schemas import BadQuestionError, Evidence, Question, UserClaims
from pdp.adapters.strict_json import BadJsonError, decode
from pdp.analysis.policy_tests import families
from pdp.cli import wording
from pdp.cli.batch import Asker, answer_lines
from pdp.cli.instant_option import INSTANT
from pdp.cli.output import ExitCode, MistakenError, Tone, current_instant, print_json, say
from pdp.cli.policy_set import POLICIES, PolicySet, require
from pdp.diagnostics import did_you_mean, escape
from pdp.engine.explain import Difference, Explanation, Outcome, Verdict, explain
from pdp.limits import MAX_BODY_BYTES
from pdp.vocabulary import Decision, Effect, Millis, Request

__all__ = ["decide_command"]

_T = TypeVar("_T")

_NOTHING: Final = "nothing"
_EXAMPLE: Final = """\b
Example:
  pdp decide policies/ --principal spiffe://prod.example.org/ns/shop/sa/web \\
      --service payments --method GET --path /v1/charges/41 --explain
  pdp decide policies/ --batch questions.jsonl > answers.jsonl
"""


@click.command("decide", epilog=_EXAMPLE)
@click.argument("policies", type=POLICIES)
@click.option("--principal", metavar="ID", help="A SPIFFE ID, `dns:NAME`, or `anonymous`.")
@click.option("--service", metavar="NAME", help="The service that is asked.")
@click.option("--host", metavar="HOST", help="A host of the service, in its stead.")
@click.option("--method", metavar="METHOD", help="The method, in upper case.")
@click.option("--path", metavar="PATH", help="The path as it stands in the request.")
@click.option("--user", metavar="JSON", help="The user: issuer, subject and groups.")
@click.option("--context", "attributes", metavar="JSON", help="Attributes by name.")
@click.option(
    "--supplies",
    metavar="FAMILIES",
    help="Families of attributes that are not given because they are absent, such as `source,header`, "
    "or `nothing`. Default: all.",
)
@click.option("--at", type=INSTANT, metavar="INSTANT", help="When. Default: now.")
@click.option("--explain", "explained", is_flag=True, help="Add the rules considered and the nearest allow.")
@click.option(
    "--batch",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="Answer every line of a file of JSON questions; `-` is standard input.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as the service gives it.")
def decide_command(
    policies: Path,
    *,
    supplies: str | None,
    at: Millis | None,
    explained: bool,
    batch: Path | None,
    as_json: bool,
    **given: str | None,
) -> None:
    """Decide one request, or a file of them, offline.

    POLICIES is a directory of `.policy` files, or one such file.
    """
    _require_usable(given, batch, explained=explained)
    now = current_instant()
    policy_set = require(policies, now)
    asker = Asker(snapshot=policy_set.snapshot, supplied=_supplied(supplies, policy_set), at=at)
    if batch is not None:
        answer_lines(asker, batch)
        return
    try:
        question = _question(given)
        request, decision = asker.decide(question)
    except (BadQuestionError, BadJsonError) as error:
        raise MistakenError(error.code, error.message) from error
    explanation = explain(policy_set.snapshot.index, request, decision) if explained else None
    if as_json:
        answer = asker.answer(request, decision, explanation)
        print_json(msgspec.to_builtins(answer))
    else:
        _print(decision, request, explanation, policy_set)
    click.get_current_context().exit(ExitCode.YES if decision.effect is Effect.ALLOW else ExitCode.NO)


# -- the question ----------------------------------------------------------------------


def _require_usable(given: Mapping[str, str | None], batch: Path | None, *, explained: bool) -> None:
    if batch is not None:
        named = [name for name, value in given.items() if value is not None]
        if named or explained:
            option = "--explain" if explained else _option(named[0])
            raise click.UsageError(f"`--batch` and `{option}` exclude each other: the lines say it")
        return
    missing = [name for name in ("principal", "method", "path") if given[name] is None]
    if (given["service"] is None) == (given["host"] is None):
        raise click.UsageError("one of `--service` and `--host` is needed, and not both")
    if missing:
        raise click.UsageError(f"`{_option(missing[0])}` is missing")


def _option(name: str) -> str:
    return "--context" if name == "attributes" else f"--{name}"


def _supplied(supplies: str | None, policy_set: PolicySet) -> frozenset[str]:
    known = families(policy_set.snapshot.index)
    if supplies is None:
        return known
    named = frozenset(part.strip() for part in supplies.split(",")) if supplies != _NOTHING else frozenset()
    for family in sorted(named - known):
        help_ = did_you_mean(family, known) or f"known are {', '.join(sorted(known))}, and `{_NOTHING}`"
        raise click.UsageError(f"unknown family of attributes `{escape(family)}`: {escape(help_)}")
    return named


def _question(given: Mapping[str, str | None]) -> Question:
    """The question that the options ask.

    Raises:
        BadJsonError: `--user` or `--context` is not what it should be.
    """
    return Question(
        principal=_principal(given["principal"] or ""),
        service=given["service"],
        host=given["host"],
        method=given["method"] or "",
        path=given["path"] or "",
        user=None if given["user"] is None else _decoded("--user", given["user"], UserClaims),
        context={}
        if given["attributes"] is None
        else _decoded("--context", given["attributes"], dict[str, Any]),
    )


def _principal(text: str) -> str | Evidence:
    if text == "anonymous":
        return Evidence(anonymous=True)
    return Evidence(dns=text.removeprefix("dns:")) if text.startswith("dns:") else text


def _decoded(option: str, text: str, type_: type[_T]) -> _T:
    given = text.encode(errors="surrogatepass")
    try:
        return decode(given, type_, max_bytes=MAX_BODY_BYTES, subject=f"`{option}`")
    except BadJsonError as error:
        named = error.message.startswith(f"`{option}`")
        raise BadJsonError(error.code, error.message if named else f"`{option}`: {error.message}") from None


# -- the answer in words ---------------------------------------------------------------


def _print(
    decision: Decision, request: Request, explanation: Explanation | None, policy_set: PolicySet
) -> None:
    index, shown = policy_set.snapshot.index, policy_set.reading.shown
    rules = [index.rule(request.service, rule) for rule in decision.rules]
    tone = Tone.GOOD if decision.effect is Effect.ALLOW else Tone.BAD
    say([(decision.effect.value.upper(), tone), (f"  {wording.reason(decision, request)}", Tone.PLAIN)])
    for text in rules:
        because = f", because {escape(text.because)}" if text.because else ""
        say(f"  by {wording.rule(text, shown)}{because}")
    for duty in decision.obligations:
        say(f"  must {wording.duty(duty)}")
    if decision.region is None:
        say("  holds for this very request only")
    else:
        say(f"  holds for {wording.region(decision.region)}")
    if decision.valid_until is not None:
        say(f"  until {instant_text(decision.valid_until)}")
    if decision.shadow is not None:
        would = [index.rule(request.service, rule) for rule in decision.shadow.rules]
        named = f" by {', '.join(wording.rule(text, shown) for text in would)}" if would else ""
        say(f"  with its shadow rules enforced: {decision.shadow.effect.value}{named}")
    if explanation is not None:
        _print_explanation(explanation, request, policy_set)


def _print_explanation(explanation: Explanation, request: Request, policy_set: PolicySet) -> None:
    index, shown = policy_set.snapshot.index, policy_set.reading.shown
    if explanation.problem is not None:
        say(f"\nno rule is considered: {escape(explanation.problem.code)}")
        return
    if explanation.reading is not None:
        say(f"\nthe path is read as {escape(explanation.reading)}")
    say("\nconsidered:" if explanation.considered else "\nno rule on this path is about this principal")
    for found in explanation.considered:
        kind = f"{'shadow ' if found.shadow else ''}{found.effect.value}"
        text = wording.rule(index.rule(request.service, found.rule), shown)
        unknown = found.outcome is Outcome.SATISFIED and bool(found.differences)
        since = ", since its condition is unknown" if unknown else ""
        say(f"  {kind} {text}: {found.outcome.value.replace('_', ' ')}{since}")
        _print_differences(found.differences, "    ")
    if explanation.nearest is None:
        return
    say(f"nearest allow: {wording.rule(index.rule(request.service, explanation.nearest.rule), shown)}")
    _print_differences(explanation.nearest.differences, "  ")


def _print_differences(differences: Iterable[Difference], indent: str) -> None:
    for difference in differences:
        name = difference.coordinate.value.replace("_", " ")
        unknown = ", which is unknown" if difference.truth is Verdict.UNKNOWN else ""
        say(f"{indent}{name}: {escape(difference.given)}; wanted: {escape(difference.wanted)}{unknown}")
