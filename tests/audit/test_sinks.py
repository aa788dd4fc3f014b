"""Where lines go: whole lines only, several writers, rotation, a disk that is full."""

import subprocess
import sys
from pathlib import Path

import pytest

from pdp.audit.sinks import FileSink

ROOT = Path(__file__).parents[2]


def line(text: str, size: int = 20) -> bytes:
    return text.ljust(size - 1, ".").encode() + b"\n"


def test_lines_are_appended_and_the_file_is_not_for_everybody(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"before\n")
    sink = FileSink(tmp_path / "new", max_bytes=1000, keep=1)
    old = FileSink(path, max_bytes=1000, keep=1)

    old.write(line("a"))
    sink.close()
    old.close()

    assert path.read_bytes() == b"before\n" + line("a")
    assert (tmp_path / "new").stat().st_mode & 0o007 == 0


def test_a_file_is_rotated_before_it_grows_too_large(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "log", max_bytes=45, keep=2)

    for text in "abcdefg":
        sink.write(line(text))
    sink.close()

    assert (tmp_path / "log").read_bytes() == line("g")
    assert (tmp_path / "log.1").read_bytes() == line("e") + line("f")
    assert (tmp_path / "log.2").read_bytes() == line("c") + line("d")
    assert not (tmp_path / "log.3").exists()


def test_without_older_files_the_file_begins_anew(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "log", max_bytes=25, keep=0)

    sink.write(line("a"))
    sink.write(line("b"))
    sink.close()

    assert (tmp_path / "log").read_bytes() == line("b")
    assert not (tmp_path / "log.1").exists()


def test_lines_larger_than_the_bound_are_written_all_the_same(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "log", max_bytes=10, keep=1)

    sink.write(line("a"))
    sink.write(line("b"))
    sink.close()

    assert (tmp_path / "log").read_bytes() == line("b")
    assert (tmp_path / "log.1").read_bytes() == line("a")


def test_a_file_that_somebody_else_rotates_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    sink = FileSink(path, max_bytes=1000, keep=1)

    sink.write(line("a"))
    path.rename(tmp_path / "taken")
    sink.write(line("b"))
    path.unlink()
    sink.write(line("c"))
    sink.close()

    assert (tmp_path / "taken").read_bytes() == line("a")
    assert path.read_bytes() == line("c")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="symbolic"):
        FileSink(tmp_path / "link", max_bytes=1000, keep=1)


WRITER = """
import sys
from pathlib import Path
from pdp.audit.sinks import FileSink
sink = FileSink(Path(sys.argv[1]), max_bytes=400, keep=1000)
for number in range(500):
    sink.write(f"{sys.argv[2]}-{number}\\n".encode())
"""


def test_several_processes_lose_and_mix_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log"
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name], cwd=ROOT) for name in "abcd"
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0, 0]

    files = [file for file in tmp_path.iterdir() if not file.name.endswith(".lock")]
    lines = [text for file in files for text in file.read_text().splitlines()]
    assert sorted(lines) == sorted(f"{name}-{number}" for name in "abcd" for number in range(500))
    assert len(files) > 3
    assert all(file.stat().st_size <= 400 + 4 * 10 for file in files)


FILLER = """
import resource, signal, sys
from pathlib import Path
from pdp.audit.sinks import FileSink
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50, resource.RLIM_INFINITY))
sink = FileSink(Path(sys.argv[1]), max_bytes=10_000, keep=1)
sink.write(b"a" * 19 + b"\\n")
for _ in range(2):
    try:
        sink.write(b"b" * 39 + b"\\n")
    except OSError as error:
        print("full")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
sink.write(b"c" * 19 + b"\\n")
"""


def test_a_line_that_was_cut_off_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "log"

    done = subprocess.run(
        [sys.executable, "-c", FILLER, str(path)], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "full\nfull\n", "")
    assert path.read_bytes() == b"a" * 19 + b"\n" + b"c" * 19 + b"\n"


def test_a_line_that_a_killed_process_left_unfinished_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "log"
    ours, other = (FileSink(path, max_bytes=1000, keep=1) for _ in range(2))
    ours.write(line("a"))
    with path.open("ab") as killed:
        killed.write(line("b")[:7])
    other.write(line("c"))
    ours.write(line("d"))
    ours.close()
    other.close()

    assert path.read_bytes().splitlines(keepends=True) == [
        line("a"), line("b")[:7] + b"\n", line("c"), line("d")
    ]  # fmt: skip


CUTTER = """
import resource, signal, sys
from pathlib import Path
from pdp.audit.sinks import FileSink
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sink = FileSink(Path(sys.argv[1]), max_bytes=10_000_000, keep=1)
print("ready", flush=True)
for number in range(3000):
    # By turns there is room for all of a line, and for a part of it.
    size = Path(sys.argv[1]).stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 30 * (number % 2) + 10, resource.RLIM_INFINITY))
    try:
        sink.write(b"c" * 19 + b"\\n")
    except OSError:
        pass
"""


def test_taking_back_what_was_cut_off_takes_nothing_of_others(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with subprocess.Popen(
        [sys.executable, "-c", CUTTER, str(path)], cwd=ROOT, stdout=subprocess.PIPE
    ) as cutter:
        assert cutter.stdout is not None
        cutter.stdout.readline()
        sink, written = FileSink(path, max_bytes=10_000_000, keep=1), 0
        while cutter.poll() is None:
            sink.write(f"{written}\n".encode())
            written += 1
        sink.close()

    lines = path.read_text().splitlines()
    assert written > 100
    assert [text for text in lines if "c" not in text] == [str(number) for number in range(written)]
    assert {text for text in lines if "c" in text} == {"c" * 19}


def test_a_full_device_is_an_error() -> None:
    sink = FileSink(Path("/dev/full"), max_bytes=1000, keep=0)

    with pytest.raises(OSError, match="No space"):
        sink.write(b"x\n")
    assert Path("/dev/full").is_char_device()


STREAM = """
import resource, signal, sys
from pdp.audit.sinks import StreamSink
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (30, resource.RLIM_INFINITY))
sink = StreamSink(1)
sink.write(b"a" * 19 + b"\\n")
try:
    sink.write(b"b" * 19 + b"\\n")
except OSError:
    sys.stderr.write("full")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
sink.write(b"c" * 19 + b"\\n")
"""


def test_on_a_stream_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with path.open("wb") as out:
        done = subprocess.run(
            [sys.executable, "-c", STREAM],
            cwd=ROOT,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert (done.returncode, done.stderr) == (0, "full")
    assert path.read_bytes().splitlines() == [b"a" * 19, b"b" * 10, b"c" * 19]
