"""Rows as they are kept: medians, and ratios to pdp and to the plain route, of the same round each."""

from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from loadtests.bench.peers.turns import Row

__all__ = ["BASE", "PLAIN", "ratios", "told"]

PLAIN: Final = "FastAPI, a constant"
#: What peers are held against: pdp where it decides each question, by HTTP and inside a process.
BASE: Final = {False: "pdp, nothing remembered", True: "pdp decide()"}


def ratios(row: Row, rows: Sequence[Row]) -> dict[str, float]:
    """Questions a second as a part of those of others: the median of what each round came to."""
    found = {}
    for key, name in (("of_pdp", BASE[row.inside]), ("of_plain", PLAIN)):
        other = next((each for each in rows if each.name == name and each.inside == row.inside), None)
        if row.rounds and other is not None and other.rounds:
            found[key] = median(
                mine["per_second"] / theirs["per_second"]
                for mine, theirs in zip(row.rounds, other.rounds, strict=True)
            )
    return found


def told(row: Row, of: dict[str, float]) -> dict[str, Any]:
    """A row for the file of results."""
    kept: dict[str, Any] = {"name": row.name, "rules": row.rules, "inside": row.inside, "asked": row.asked}
    if row.reason is not None:
        return {**kept, "reason": row.reason}
    figures = {name: float(f"{value:.4g}") for name, value in row.figures().items()}
    return {**kept, **figures, **{name: float(f"{value:.3g}") for name, value in of.items()}}
