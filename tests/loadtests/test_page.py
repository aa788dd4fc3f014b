"""Tables and the plot are made from a file of results."""

import json
from xml.etree import ElementTree as ET

from loadtests.bench.peers import page, plot
from loadtests.bench.peers.results import ratios, told
from loadtests.bench.peers.turns import Row

PAGE = (
    "# Title\n\n<!-- machine -->\n<!-- end of machine -->\n\nwords\n\n"
    "<!-- table -->\nold\n<!-- end of table -->\n<!-- schedule -->\n<!-- end of schedule -->\n"
)


def http(name: str, per_second: list[float]) -> Row:
    rounds = [
        {
            "p50_us": 1e6 / each,
            "p99_us": 3e6 / each,
            "per_second": each,
            "many_p50_us": 1500.0,
            "many_p99_us": 9000.0,
            "processor_us": 250.0,
        }
        for each in per_second
    ]
    return Row(name, 10_000, inside=False, asked=10_000, rounds=rounds)


ROWS = [
    http("FastAPI, a constant", [2000, 1000, 3000]),
    http("pdp, nothing remembered", [4000, 2000, 3000]),
    Row("Cerbos", 10_000, inside=False, reason="not ready 60 s after its start"),
    Row(
        "pdp decide()",
        10_000,
        inside=True,
        asked=10_000,
        rounds=[{"p50_us": 8, "p99_us": 20, "per_second": 1e5, "processor_us": 9}],
    ),
    Row(
        "casbin",
        10_000,
        inside=True,
        asked=20,
        rounds=[{"p50_us": 4e5, "p99_us": 5e5, "per_second": 2.5, "processor_us": 3.9e5}],
    ),
]
RESULTS = {
    "date": "2026-01-02",
    "machine": {"processor": "two cores"},
    "rounds": 3,
    "seconds": 2.0,
    "start_limit": 600,
    "load": {"10000": 1.5},
    "rows": [told(row, ratios(row, ROWS)) for row in ROWS],
    "by_schedule": [
        {"name": "pdp", "rules": 10_000, "share": 0.85, "rate": 3400.0, "per_second": 3399.0, "p50_us": 300.0,
         "p99_us": 2000.0, "p999_us": 9000.0, "late_p99_us": 12.0},
    ],
}  # fmt: skip


def test_ratios_are_of_the_same_round() -> None:
    """Medians of each and then their ratio would be 2000 of 3000."""
    assert ratios(ROWS[0], ROWS) == {"of_pdp": 0.5, "of_plain": 1.0}


def test_what_decides_inside_is_held_against_the_same() -> None:
    assert ratios(ROWS[4], ROWS) == {"of_pdp": 2.5e-5}


def test_the_table_has_a_line_for_each() -> None:
    lines = page.table(RESULTS).splitlines()[2:]

    assert lines[0] == "| 10 000 | FastAPI, a constant | 500 | 1 500 | 2 000 | 1.5 | 9 | 250 | 0.5 | 1 |"
    assert lines[2] == "| 10 000 | Cerbos | *not measured*: not ready 60 s after its start | | | | | | | |"
    assert lines[4] == "| 10 000 | casbin | 400 000 | - | 2.5 | - | - | 390 000 | 2.5e-05 | - |"
    assert {line.count("|") for line in page.table(RESULTS).splitlines()} == {11}


def test_the_page_is_filled_between_its_marks_alone() -> None:
    once = page.filled(PAGE, RESULTS)

    assert page.filled(once, RESULTS) == once
    assert "old" not in once
    assert once.startswith("# Title\n\n<!-- machine -->\n2026-01-02; processor two cores.")
    assert "\n\nwords\n\n" in once
    assert "| pdp | 85% | 3 400 | 300 | 2 000 | 9 000 | 12 |" in once


def test_the_plot_has_a_line_for_each_that_was_measured() -> None:
    rows = [*RESULTS["rows"], *({**row, "rules": 10} for row in RESULTS["rows"])]
    picture = ET.fromstring(plot.drawn(rows))  # noqa: S314 - ours
    name = "{http://www.w3.org/2000/svg}"
    texts = [text.text for text in picture.iter(f"{name}text")]

    assert len(list(picture.iter(f"{name}polyline"))) == 4
    assert {"casbin", "pdp decide()", "FastAPI, a constant"} <= set(texts)
    assert "Cerbos" not in texts
    width, height = (float(each) for each in picture.attrib["viewBox"].split()[2:])
    for circle in picture.iter(f"{name}circle"):
        assert 0 < float(circle.attrib["cx"]) < width
        assert 0 < float(circle.attrib["cy"]) < height


def test_the_page_in_the_repository_is_made_from_the_results_beside_it() -> None:
    results = json.loads((page.DOCS.parent / "loadtests/results/peers.json").read_text(encoding="utf-8"))
    text = (page.DOCS / "benchmarks.md").read_text(encoding="utf-8")

    assert page.filled(text, results) == text
    assert plot.drawn(results["rows"]) == (page.DOCS / "benchmarks.svg").read_text(encoding="utf-8")
