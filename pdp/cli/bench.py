"""`pdp bench`: what a decision costs here, as a ratio to the least that any look-up can cost.

Ratios to the *floor* hold on other machines; microseconds do not. Both are measured in
`pdp.cli.bench_measure`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
import msgspec

from pdp.cli.bench_measure import Figures, measure_policies, measure_shape
from pdp.cli.bench_shapes import SHAPES
from pdp.cli.output import print_json, say

__all__ = ["bench"]

_SIZES: Final = "10,10000,100000"
_MANY: Final = 1000  # below, what the process grows by is not the rules


@click.command()
@click.argument("policies", required=False, type=click.Path(path_type=Path, exists=True))
@click.option("--shape", "shapes", multiple=True, type=click.Choice(list(SHAPES)), help="Only these shapes.")
@click.option("--rules", default=_SIZES, show_default=True, help="Sizes of the shapes, separated by commas.")
@click.option("--image", is_flag=True, help="Decide from a mapped image, as workers do.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def bench(policies: Path | None, shapes: tuple[str, ...], rules: str, *, image: bool, as_json: bool) -> None:
    r"""Measure decisions about POLICIES, or about five made-up shapes of policy set, on this machine.

    \b
    Example:
      pdp bench policies/
      pdp bench --shape forty --rules 10,100000
    """
    if policies is not None:
        found = [measure_policies(policies, image=image)]
    else:
        sizes = _sizes(rules)
        names = shapes or tuple(SHAPES)
        found = []
        for at, (name, size) in enumerate((name, size) for name in names for size in sizes):
            _progress(at, len(names) * len(sizes), f"{name}, {size} rules")
            found.append(measure_shape(name, size, image=image))
        _progress(0, 0, "")
    if as_json:
        print_json([msgspec.to_builtins(figures) for figures in found])
    else:
        say(_table(found))


def _sizes(text: str) -> list[int]:
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise click.BadParameter("write numbers of rules, such as 10,10000", param_hint="--rules")
    return sizes


def _progress(done: int, total: int, text: str) -> None:
    """One line on a terminal's standard error, overwritten."""
    if sys.stderr.isatty():
        shown = f"[{done + 1}/{total}] {text}" if total else ""
        click.echo(f"\r\x1b[K{shown}", nl=False, err=True)


def _table(found: Sequence[Figures]) -> str:
    heads = ("rules", "median", "p99", "floor", "ratio", "p99 ratio", "to bare", "allowed", "load", "B/rule")
    rows = [
        (
            f"{item.rules}",
            f"{item.median:.2f} us",
            f"{item.p99:.2f} us",
            f"{item.floor:.2f} us",
            f"{item.ratio:.2f}",
            f"{item.p99_ratio:.2f}",
            f"{item.bare_ratio:.2f}",
            f"{item.allowed:.0%}",
            f"{item.load_seconds:.1f} s",
            f"{item.bytes_per_rule}" if item.rules >= _MANY else "-",
        )
        for item in found
    ]
    names = ["", *(item.shape for item in found)]
    first = max(map(len, names))
    return "\n".join(
        f"{name:{first}}" + "".join(f"{cell:>11}" for cell in row)
        for name, row in zip(names, (heads, *rows), strict=True)
    )
