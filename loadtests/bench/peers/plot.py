"""Latency against the number of rules, for everyone, as SVG: axes logarithmic, for light pages and dark."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil, floor, log10
from typing import Any, Final
from xml.sax.saxutils import escape

__all__ = ["drawn"]

WIDTH, HEIGHT = 860, 520
LEFT, RIGHT, TOP, BOTTOM = 80, 230, 40, 50
_APART: Final = 15  # pixels between two names
#: Colours that can be told apart on white and on black; who decides inside a process has a dashed line.
_COLOURS: Final = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b"),
    *("#56a0d3", "#7a6fd0", "#8c8c8c", "#c03b3b"),
)
_STYLE: Final = """\
text { font: 12px sans-serif; fill: #222 } .axis { stroke: #888; fill: none }
.grid { stroke: #8884; fill: none }
@media (prefers-color-scheme: dark) { text { fill: #ddd } }"""


def drawn(rows: Sequence[Mapping[str, Any]]) -> str:
    """The picture of these rows; what was not measured is left out."""
    lines: dict[tuple[bool, str], list[tuple[int, float]]] = {}
    for row in rows:
        if "p50_us" in row:
            lines.setdefault((row["inside"], row["name"]), []).append((row["rules"], row["p50_us"]))
    across = _Scale([rules for line in lines.values() for rules, _ in line], LEFT, WIDTH - RIGHT)
    up = _Scale([us for line in lines.values() for _, us in line], HEIGHT - BOTTOM, TOP)
    parts = [*_axes(across, up)]
    ends = _apart({key: up.place(line[-1][1]) for key, line in lines.items()})
    seen = {True: 0, False: 0}
    for (inside, name), line in lines.items():
        colour = _COLOURS[seen[inside] % len(_COLOURS)]
        seen[inside] += 1
        dash = ' stroke-dasharray="5 4"' if inside else ""
        points = [(across.place(rules), up.place(us)) for rules, us in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        (x, y), end = points[-1], ends[inside, name]
        edge = WIDTH - RIGHT + 14
        parts.append(
            f'<line x1="{x + 4:.1f}" y1="{y:.1f}" x2="{edge}" y2="{end:.1f}" stroke="{colour}"'
            ' stroke-opacity="0.4"/>'
        )
        parts.append(f'<text x="{edge + 4}" y="{end + 4:.1f}" style="fill:{colour}">{escape(name)}</text>')
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">\n'
        "<title>Median latency of one question against the number of rules</title>\n"
        f"<style>{_STYLE}</style>\n{body}\n</svg>\n"
    )


class _Scale:
    """Logarithms of values as pixels."""

    def __init__(self, values: Sequence[float], begin: float, end: float) -> None:
        self.low, self.high = (
            floor(log10(min(values))),
            max(ceil(log10(max(values))), floor(log10(min(values))) + 1),
        )
        self._begin, self._end = begin, end

    def place(self, value: float) -> float:
        return self._begin + (log10(value) - self.low) / (self.high - self.low) * (self._end - self._begin)


def _axes(across: _Scale, up: _Scale) -> list[str]:
    """Lines and figures of both, and what they are."""
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = []
    for power in range(across.low, across.high + 1):
        x = across.place(10.0**power)
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP}V{bottom}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{_figure(power)}</text>')
    for power in range(up.low, up.high + 1):
        y = up.place(10.0**power)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{right}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_figure(power)}</text>')
    parts.append(f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{right}"/>')
    parts.append(f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 10}" text-anchor="middle">rules</text>')
    says = "median latency of one question, in microseconds: over HTTP (lines), inside a process (dashes)"
    parts.append(f'<text x="{LEFT - 50}" y="{TOP - 18}">{says}</text>')
    return parts


def _figure(power: int) -> str:
    return f"{10**power:,}".replace(",", " ") if power >= 0 else f"{10.0**power:g}"


def _apart(wanted: Mapping[tuple[bool, str], float]) -> dict[tuple[bool, str], float]:
    """Where names stand, so that none covers another: each moves down as far as it must."""
    order = sorted(wanted, key=lambda key: wanted[key])
    places = {key: wanted[key] for key in order}
    for above, below in pairwise(order):
        places[below] = max(places[below], places[above] + _APART)
    over = max(0.0, max(places.values()) - (HEIGHT - 10))
    return {key: place - over for key, place in places.items()}
