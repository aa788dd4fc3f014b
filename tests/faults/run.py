"""`make faults`: every fault for longer than in the test-suite, told as it goes; writes `docs/faults.md`.

.venv/bin/python tests/faults/run.py             # all of them, and the page
.venv/bin/python tests/faults/run.py killed disk # those whose name holds a word; the page stays
"""

import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.faults.faults import ALL, ALONE, TOGETHER, load_for, stage  # noqa: E402 - found by the line above
from tests.faults.page import PAGE, page, table  # noqa: E402
from tests.faults.stage import Stage  # noqa: E402
from tests.faults.trial import Effort, Fault, try_fault  # noqa: E402
from tests.faults.verdict import Row  # noqa: E402

EFFORT = Effort(steady=5.0, reloads=1000, floods=200)


def main(words: list[str]) -> int:
    """Try them, and print the table."""
    chosen = [fault for fault in ALL if not words or any(word in fault.name for word in words)]
    with tempfile.TemporaryDirectory(prefix="pdp-faults-") as folder:
        rows = list(try_all(Path(folder), chosen))
    print("\n" + "\n".join(table(rows)))
    if not words:
        machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
        PAGE.write_text(page(rows, machine), encoding="utf-8")
        print(f"\nwritten to {PAGE.relative_to(ROOT)}")
    return 0


def try_all(folder: Path, chosen: list[Fault]) -> Iterator[Row]:
    """A row for each, those that one service lives through first."""
    together = [fault for fault in TOGETHER if fault in chosen]
    if together:
        with stage(folder / "together") as shared:
            for fault in together:
                yield tell(fault, shared)
    for number, fault in enumerate(fault for fault in ALONE if fault in chosen):
        with stage(folder / f"alone-{number}", fault) as own:
            yield tell(fault, own)


def tell(fault: Fault, on: Stage) -> Row:
    """Try one, and say how it went."""
    print(f"{fault.name} ...", flush=True)
    began = time.monotonic()
    row = try_fault(fault, on, EFFORT, load_for(fault, on))
    print(f"    {time.monotonic() - began:.0f} s: {row.requests} requests; {row.notes}", flush=True)
    return row


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
