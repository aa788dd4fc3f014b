"""What was measured, as tables and a plot: written between the marks of `docs/benchmarks.md`.

What the page says about them is written by people. What is in the tables comes from the file of results
alone.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from loadtests.bench.peers import plot

__all__ = ["by_schedule", "filled", "machine", "medians", "table", "write"]

DOCS: Final = Path(__file__).parents[3] / "docs"
_FEW: Final = 1000  # questions, for a p99 that means anything
_HEAD: Final = (
    "| rules | peer | p50 us | p99 us | a second | p50 ms, 32 | p99 ms, 32"
    " | processor us | of pdp | of FastAPI |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)
_SCHEDULE_HEAD: Final = (
    "| peer | of its ceiling | asked a second | p50 us | p99 us | p99.9 us | late itself, p99 us |\n"
    "|---|---|---|---|---|---|---|"
)


def count(number: float) -> str:
    """A number with thin groups of three."""
    return f"{number:,.0f}".replace(",", " ")


def brief(number: float) -> str:
    """Three digits that matter."""
    return count(number) if number >= 100 else f"{number:.3g}"


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each figure."""
    return {name: median(each[name] for each in rounds) for name in rounds[0]}


def table(results: Mapping[str, Any]) -> str:
    """Everyone by number of rules."""
    return "\n".join([_HEAD, *map(_line, results["rows"])])


def _line(row: Mapping[str, Any]) -> str:
    start = f"| {count(row['rules'])} | {row['name']} |"
    if "reason" in row:
        return f"{start} *not measured*: {row['reason']} | | | | | | | |"
    p99 = brief(row["p99_us"]) if row["asked"] >= _FEW else "-"
    many = (f"{row[key] / 1000:.3g}" if key in row else "-" for key in ("many_p50_us", "many_p99_us"))
    of = (f"{row[key]:.2g}" if key in row else "-" for key in ("of_pdp", "of_plain"))
    cells = [brief(row["p50_us"]), p99, brief(row["per_second"]), *many, brief(row["processor_us"]), *of]
    return f"{start} {' | '.join(cells)} |"


def by_schedule(results: Mapping[str, Any]) -> str:
    """Latencies from the intended instant."""
    lines = [
        f"| {each['name']} | {each['share']:.0%} | {count(each['rate'])}"
        f" | {brief(each['p50_us'])} | {brief(each['p99_us'])} | {brief(each['p999_us'])}"
        f" | {brief(each['late_p99_us'])} |"
        for each in results["by_schedule"]
    ]
    return "\n".join([_SCHEDULE_HEAD, *lines])


def machine(results: Mapping[str, Any]) -> str:
    """The date, what it ran on, and what else wanted the processor."""
    told = ", ".join(f"{name} {value}" for name, value in results["machine"].items())
    load = ", ".join(f"{value} at {count(int(rules))}" for rules, value in results["load"].items())
    return (
        f"{results['date']}; {told}. Medians of {results['rounds']} rounds of {results['seconds']:g} s;"
        f" a peer has {results['start_limit']:g} s to start."
        f" Load average after each number of rules, ours included: {load}."
    )


def filled(page: str, results: Mapping[str, Any]) -> str:
    """The page, with what is between its marks made anew."""
    for name, text in (
        ("machine", machine(results)),
        ("table", table(results)),
        ("schedule", by_schedule(results)),
    ):
        marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        assert marks.search(page), name
        page = marks.sub(lambda found, text=text: f"{found[1]}{text}\n{found[2]}", page)
    return page


def write(results: Mapping[str, Any]) -> None:
    """The page and its plot."""
    page = DOCS / "benchmarks.md"
    page.write_text(filled(page.read_text(encoding="utf-8"), results), encoding="utf-8")
    (DOCS / "benchmarks.svg").write_text(plot.drawn(results["rows"]), encoding="utf-8")
