"""Memory that was freed goes back to the system."""

import subprocess
import sys

import pytest

SCRIPT = """
from pathlib import Path
from pdp.process.heap import give_back

def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

blocks = [bytes(1000) for _ in range(100_000)]
last = bytes(1000)  # behind all of them: the allocator cannot give back what lies before it by itself
del blocks
before = held()
give_back()
print(before - held())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of the allocator of glibc")
def test_what_was_freed_is_given_back() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)

    assert int(run.stdout) > 50_000_000
