"""Asking as fast as answers come: `wrk` with the prepared requests, each connection one at a time.

What an answer says was checked before; here each has to be 200.
"""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = ["Wrk", "missing"]

_SCRIPT: Final = Path(__file__).parent / "ask.lua"


def missing() -> str | None:
    """The program."""
    return None if shutil.which("wrk") else "no wrk here"


class Wrk:
    """Prepared requests to one peer, in a file for `wrk`."""

    def __init__(self, folder: Path, port: int, requests: Sequence[bytes]) -> None:
        self._url = f"http://127.0.0.1:{port}/"
        self._file = folder / "requests"
        self._file.write_bytes(b"".join(b"%d\n%b" % (len(each), each) for each in requests))
        self._asked = 0

    def one_round(self, connections: int, seconds: float) -> dict[str, float]:
        """Median and p99 in microseconds, and questions a second."""
        load = ["--threads", "1", "--connections", str(connections), "--timeout", "30s"]
        length = ["--duration", f"{max(1, round(seconds))}s"]
        asked = ["--script", str(_SCRIPT), self._url, "--", str(self._file), str(self._asked)]
        said = subprocess.run(
            ["wrk", *load, *length, *asked], capture_output=True, text=True, check=True, timeout=120
        ).stdout
        found = json.loads(said.splitlines()[-1])
        assert found["failed"] == 0, said
        self._asked += int(found["asked"])
        return {
            "asked": found["asked"],
            "p50_us": found["p50_us"],
            "p99_us": found["p99_us"],
            "per_second": found["asked"] / found["microseconds"] * 1e6,
        }
