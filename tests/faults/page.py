"""The page about faults: what was done, and a row for each."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.faults.verdict import Row

__all__ = ["PAGE", "page", "table"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"

_TEXT = """\
# Faults

What becomes of questions while something fails. Written by `make faults`, which runs the real service
over mTLS, three workers and a decision log, under load from sixteen connections of HTTPS and gRPC, and
does to it what each row says (`tests/faults/`). `tests/faults/test_faults.py` does the same for a shorter
time, as part of the test-suite.

The right answer to each question under each version is worked out beforehand by the engine alone. An
answer is *wrong* if it is not exactly what the revision that it names says, if that revision was never
published, or if it is older than one that was seen before the question was asked. There may be none,
whatever fails. After each fault that the service lives through `decided = logged + dropped`, and every
line of the log is whole.

| column | means |
|---|---|
| requests | questions that were asked; a batch is one |
| wrong | answers that were wrong |
| failed | error statuses: no decision, and never an allow |
| lost | connections that ended between a question and its answer |
| cancelled | calls of a gRPC client that does not [ask again](api.md#grpc): grpcio cancels some as it stops |
| not connected | connections that could not be opened |
| recovery | seconds until nothing failed or was lost any more and no answer took longer than a second |

The last run: {machine}, shared with what asked and with others. A worker is forked, and answers at
once; a service that begins needs a second of each of two cores.

{table}
"""


def page(rows: Sequence[Row], machine: str) -> str:
    """The page, with these rows."""
    return _TEXT.format(machine=machine, table="\n".join(table(rows)))


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The lines of the table."""
    yield "| fault | requests | wrong | failed | lost | cancelled | not connected | recovery | measured |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for row in rows:
        failed = ", ".join(f"{count} `{code}`" for code, count in sorted(row.failed.items())) or "0"
        recovery = "-" if row.recovery is None else f"{row.recovery:.2f}"
        yield (
            f"| {row.name} | {row.requests} | {len(row.wrong)} | {failed} | {row.lost} | {row.cancelled} "
            f"| {row.refused} | {recovery} | {row.notes} |"
        )
