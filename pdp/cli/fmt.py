"""`pdp fmt`: the one layout of policy files.

This module holds the command: which files it is about, what it prints, how it ends. The
layout is `pdp.lang.formatter`'s, replacing a file `pdp.cli.rewrite`'s.

Exit codes: 0 every file is in the layout (now), 1 `--check` found one that is not, 2 a
mistake in how it was called, 3 some file could not be formatted; the others were.
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from difflib import unified_diff
from enum import Enum
from pathlib import Path
from typing import Any, Final, final

import click

from pdp.cli.diagnostic_json import diagnostic_as_json
from pdp.cli.output import ExitCode, counted, print_json, show_diagnostics
from pdp.cli.rewrite import Read, read, rewrite
from pdp.diagnostics import Diagnostic, Source, escape, has_errors
from pdp.lang.formatter import format_source
from pdp.limits import MAX_FILE_BYTES
from pdp.store.problems import reason
from pdp.store.tree import Tree, scan

__all__ = ["fmt"]

_STANDARD_INPUT: Final = "<standard input>"

# `\b` asks click to leave the lines below it as they are.
_EXAMPLE: Final = """\b
Example:
  pdp fmt policies/
  pdp fmt --check policies/
  pdp fmt - < payments.policy
"""


class _Outcome(Enum):
    CHANGED = "changed"
    WOULD_CHANGE = "would_change"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """What became of one file.

    Attributes:
        path: The file as it was named.
        text: The text in the one layout; empty where it could not be made.
        diff: What changes, as a unified diff.
        problem: Why it could not be formatted, if not for diagnostics.
        diagnostics: The mistakes in it, with the source they are about.
    """

    path: str
    outcome: _Outcome
    text: str = ""
    diff: str = ""
    problem: str = ""
    diagnostics: tuple[Diagnostic, ...] = ()
    source: Source | None = None


@click.command("fmt", epilog=_EXAMPLE)
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(exists=True, allow_dash=True, path_type=Path)
)
@click.option(
    "--check", is_flag=True, help="Change nothing; show what would change, and exit with 1 if anything would."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def fmt(context: click.Context, paths: tuple[Path, ...], *, check: bool, as_json: bool) -> None:
    """Bring policy files into the one layout.

    PATHS are `.policy` files and directories of them; `-` reads standard input and writes
    standard output. A file with a mistake in it is left alone. Comments stay where they are.
    """
    results = _standard_input(paths, check=check) if Path("-") in paths else _files(paths, check=check)
    if as_json:
        print_json(_as_json(results))
    else:
        _print(results, show_diff=check, show_text=Path("-") in paths and not check)
    outcomes = {result.outcome for result in results}
    if _Outcome.FAILED in outcomes:
        context.exit(ExitCode.CANNOT)
    if check and not outcomes <= {_Outcome.UNCHANGED}:
        context.exit(ExitCode.NO)


# -- formatting ------------------------------------------------------------------------


def _standard_input(paths: tuple[Path, ...], *, check: bool) -> list[_Result]:
    if len(paths) > 1:
        raise click.UsageError("`-` stands alone: standard input is formatted to standard output")
    content = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        return [_failed(_STANDARD_INPUT, f"standard input has more than {MAX_FILE_BYTES} bytes")]
    result = _formatted(_STANDARD_INPUT, content)
    return [result if check else _changed(result)]


def _files(paths: tuple[Path, ...], *, check: bool) -> list[_Result]:
    trees = [(path, _tree(path)) for path in paths]  # all of them, before any file is touched
    files: dict[Path, str] = {}
    results = []
    for path, tree in trees:
        results += [
            _failed(_shown(path, problem.span.file), problem.message)
            for problem in tree.problems
            if not problem.span.file.endswith((".csv", ".txt"))
        ]
        for name, entry in tree.entries.items():
            if name.endswith(".policy"):
                files.setdefault(Path(tree.root, entry.real), _shown(path, name))
    return [*results, *(_file(file, shown, check=check) for file, shown in files.items())]


def _tree(path: Path) -> Tree:
    """The files below a path that was named; links that leave it are problems and not followed."""
    tree = scan(path)
    if not tree.root:
        raise click.UsageError("; ".join(problem.message for problem in tree.problems))
    if not tree.problems and not any(name.endswith(".policy") for name in tree.entries):
        raise click.UsageError(f"there is no `.policy` file in `{escape(str(path))}`")
    return tree


def _shown(path: Path, name: str) -> str:
    return str(path / name) if path.is_dir() else str(path)


def _file(file: Path, shown: str, *, check: bool) -> _Result:
    try:
        before = read(file)
        result = _formatted(shown, before.content)
        return result if check else _written(file, before, result)
    except OSError as error:
        return _failed(shown, f"this file cannot be rewritten: {reason(error)}")


def _written(file: Path, before: Read, result: _Result) -> _Result:
    if result.outcome is not _Outcome.WOULD_CHANGE:
        return result
    rewrite(file, before, result.text.encode())
    return _changed(result)


def _changed(result: _Result) -> _Result:
    return replace(result, outcome=_Outcome.CHANGED) if result.outcome is _Outcome.WOULD_CHANGE else result


def _formatted(shown: str, content: bytes) -> _Result:
    try:
        source = Source(path=shown, text=content.decode())
    except UnicodeDecodeError as error:
        return _failed(shown, f"this is not UTF-8 text: see byte {error.start}")
    try:
        formatted = format_source(source)
    except Exception as error:  # noqa: BLE001 -- our bug: it costs this file its layout, and no other file anything
        return _failed(shown, f"this is a bug of pdp, please report it; the file is untouched: {error!r}")
    if has_errors(formatted.diagnostics):
        return _Result(path=shown, outcome=_Outcome.FAILED, diagnostics=formatted.diagnostics, source=source)
    if formatted.text == source.text:
        return _Result(path=shown, outcome=_Outcome.UNCHANGED, text=formatted.text)
    diff = "".join(_diff(source.text, formatted.text, shown))
    return _Result(path=shown, outcome=_Outcome.WOULD_CHANGE, text=formatted.text, diff=diff)


def _failed(shown: str, problem: str) -> _Result:
    return _Result(path=shown, outcome=_Outcome.FAILED, problem=problem)


def _diff(before: str, after: str, shown: str) -> Iterator[str]:
    old, new = (_lines(text) for text in (before, after))
    for line in unified_diff(old, new, shown, shown):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(text: str) -> list[str]:
    """Lines with their ends; unlike `splitlines`, only at line feeds."""
    *lines, last = text.split("\n")
    return [f"{line}\n" for line in lines] + ([last] if last else [])


# -- printing --------------------------------------------------------------------------


def _print(results: Iterable[_Result], *, show_diff: bool, show_text: bool) -> None:
    counts = dict.fromkeys(_Outcome, 0)
    for result in results:
        counts[result.outcome] += 1
        if result.source is not None:
            show_diagnostics(result.diagnostics, {result.source.path: result.source})
        if result.problem:
            click.echo(f"{escape(result.path)}: {escape(result.problem)}", err=True)
        if show_diff and result.diff:
            click.echo(_printable(result.diff), nl=False)
        if show_text:
            sys.stdout.buffer.write(result.text.encode())
    if not show_text:
        click.echo(", ".join(_counted(counts)), err=True)


def _printable(diff: str) -> str:
    """Nothing in a policy moves the cursor or hides what follows it; tabs are what they are."""
    return "\n".join("\t".join(map(escape, line.split("\t"))) for line in diff.split("\n"))


def _counted(counts: dict[_Outcome, int]) -> Iterator[str]:
    said = {
        _Outcome.CHANGED: "changed",
        _Outcome.WOULD_CHANGE: "would change",
        _Outcome.UNCHANGED: "left as it was",
        _Outcome.FAILED: "could not be formatted",
    }
    for outcome, count in counts.items():
        if count:
            words = said[outcome].replace("it was", "they were") if count > 1 else said[outcome]
            yield f"{counted(count, 'file')} {words}"


def _as_json(results: list[_Result]) -> dict[str, Any]:
    return {
        "files": [_result_as_json(result) for result in results],
        **{outcome.value: sum(result.outcome is outcome for result in results) for outcome in _Outcome},
    }


def _result_as_json(result: _Result) -> dict[str, Any]:
    shown: dict[str, Any] = {"path": result.path, "outcome": result.outcome.value}
    if result.path == _STANDARD_INPUT and result.outcome is not _Outcome.FAILED:
        shown["text"] = result.text
    if result.diff:
        shown["diff"] = result.diff
    if result.problem:
        shown["problem"] = result.problem
    if result.source is not None:
        sources = {result.source.path: result.source}
        shown["diagnostics"] = [diagnostic_as_json(found, sources) for found in result.diagnostics]
    return shown
