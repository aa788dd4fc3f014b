"""What a service tells is printed by a thread: nobody waits for whoever reads it, and nothing piles up."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pdp.cli.outbox import Outbox
from pdp.limits import MAX_UNTOLD, UNTOLD_SECONDS

ROOT = Path(__file__).parents[2]
PIPE_BYTES = 64 * 1024


def untold(count: int) -> str:
    return f"{count} untold"


def test_paragraphs_are_printed_in_order(capfd: pytest.CaptureFixture[str]) -> None:
    outbox = Outbox(err=False, untold=untold)
    for number in range(100):
        outbox.put(f"paragraph {number}")
    outbox.close()

    assert capfd.readouterr() == ("".join(f"paragraph {number}\n" for number in range(100)), "")


def test_they_go_to_standard_error_where_that_is_asked(capfd: pytest.CaptureFixture[str]) -> None:
    outbox = Outbox(err=True, untold=untold)
    outbox.put("a\ud800b")  # half of a pair cannot be written as it is
    outbox.close()

    assert capfd.readouterr() == ("", "a\\ud800b\n")


def test_nobody_waits_for_a_reader_and_what_is_too_much_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    with os.fdopen(read, "rb") as reader, os.fdopen(write, "w") as writer:
        monkeypatch.setattr(sys, "stdout", writer)
        outbox = Outbox(err=False, untold=untold)
        began = time.monotonic()
        outbox.put("x" * PIPE_BYTES)  # with its newline one too many: the thread is stuck in it
        time.sleep(0.2)
        for number in range(MAX_UNTOLD + 7):
            outbox.put(str(number))
        assert time.monotonic() - began < UNTOLD_SECONDS
        lines = [reader.readline() for _ in range(MAX_UNTOLD + 2)]
        outbox.put("and on")
        outbox.close()
        last = reader.readline()

    assert lines[1:] == [*(f"{number}\n".encode() for number in range(MAX_UNTOLD)), b"7 untold\n"]
    assert last == b"and on\n"


STUCK = """
from pdp.cli.reporting import Reporter
with Reporter(as_json=False, err=False) as reporter:
    for _ in range(200):
        reporter.say("x" * 1000)
raise SystemExit(7)
"""


def test_a_process_whose_output_nobody_reads_ends_all_the_same() -> None:
    with subprocess.Popen([sys.executable, "-c", STUCK], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.wait(60) == 7
        assert process.stdout is not None
        process.stdout.close()


def test_that_nobody_is_there_any_more_ends_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", STUCK], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(60) == 7
