"""A few files watched: what is handed over is whole, what is wrong is told once it lasts, nothing ends it."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pdp.limits import MAX_TRUST_FILE_BYTES
from pdp.store import file_watch
from pdp.store.file_watch import Contents, FileWatcher

POLL, SETTLE, CONTENT, PATIENCE = 0.02, 0.05, 0.3, 0.4


class Watched:
    """What a watcher handed over and told; what is wrong is decided by a test."""

    def __init__(self, *paths: Path) -> None:
        self.paths = paths
        self.seen: list[tuple[bytes | str, ...]] = []
        self.told: list[str | None] = []
        self.wrong: str | None = None
        self.error: BaseException | None = None
        self.lock = threading.Lock()

    def consider(self, contents: Contents) -> str | None:
        with self.lock:
            self.seen.append(tuple(contents[path] for path in self.paths))
            if self.error is not None:
                raise self.error
            return self.wrong

    def tell(self, wrong: str | None) -> None:
        self.told.append(wrong)


@contextmanager
def watching(watched: Watched, **times: float) -> Iterator[FileWatcher]:
    given = {"poll_seconds": POLL, "settle_seconds": SETTLE, "content_seconds": CONTENT,
             "patience_seconds": PATIENCE, **times}  # fmt: skip
    watcher = FileWatcher(
        name="test", paths=watched.paths, consider=watched.consider, tell=watched.tell, **given
    )
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.stop()


def wait(watched: Watched, *contents: bytes | str, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not watched.seen or watched.seen[-1] != contents:
        assert time.monotonic() < deadline, watched.seen
        time.sleep(0.01)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "a.pem").write_bytes(b"one")
    return tmp_path / "a.pem"


def test_first_look_hands_over_what_is_there(file: Path) -> None:
    watched = Watched(file)
    with watching(watched):
        wait(watched, b"one")
        time.sleep(3 * CONTENT)

    assert watched.seen == [(b"one",)]  # and nothing again while nothing differs


@pytest.mark.parametrize("how", ["in place", "renamed", "link", "parent link", "gone and back"])
def test_a_change_is_handed_over_however_it_is_made(tmp_path: Path, file: Path, how: str) -> None:
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "a.pem").write_bytes(b"one")
    (tmp_path / "now").symlink_to("v1")
    (tmp_path / "link.pem").symlink_to(file)
    path = {"link": tmp_path / "link.pem", "parent link": tmp_path / "now" / "a.pem"}.get(how, file)
    watched = Watched(path)
    with watching(watched):
        wait(watched, b"one")
        match how:
            case "in place":
                file.write_bytes(b"two")
            case "renamed" | "link":
                (tmp_path / "new").write_bytes(b"two")
                (tmp_path / "new").rename(file)
            case "parent link":
                (tmp_path / "v2").mkdir()
                (tmp_path / "v2" / "a.pem").write_bytes(b"two")
                (tmp_path / "then").symlink_to("v2")
                (tmp_path / "then").rename(tmp_path / "now")
            case _:
                file.unlink()
                wait(watched, "cannot be read: No such file or directory")
                file.write_bytes(b"two")
        wait(watched, b"two")


def test_content_that_no_signature_betrays_is_read_from_time_to_time(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_watch, "_signature", lambda _: (1,))
    monkeypatch.setattr(file_watch, "_DOUBT_SECONDS", 0.0)
    watched = Watched(file)
    with watching(watched):
        wait(watched, b"one")
        file.write_bytes(b"two")
        wait(watched, b"two")


def test_files_that_are_written_in_parts_are_not_handed_over_halfway(tmp_path: Path, file: Path) -> None:
    """A pair whose second half comes a moment later; a file that grows."""
    key = tmp_path / "key.pem"
    key.write_bytes(b"key one")
    watched = Watched(file, key)
    with watching(watched, settle_seconds=1.5):  # long beside what a busy machine delays a write
        wait(watched, b"one", b"key one")
        file.write_bytes(b"two")
        time.sleep(0.05)
        key.write_bytes(b"key ")
        time.sleep(0.05)
        key.write_bytes(b"key two")
        wait(watched, b"two", b"key two")

    assert watched.seen == [(b"one", b"key one"), (b"two", b"key two")]


def test_what_is_wrong_is_told_once_and_so_is_that_nothing_is_any_more(file: Path) -> None:
    watched = Watched(file)
    watched.wrong = "bad"
    with watching(watched):
        wait(watched, b"one")
        assert watched.told == []  # it may be half a change
        until_told(watched, ["bad"])
        time.sleep(2 * CONTENT)
        assert watched.told == ["bad"]
        assert len(watched.seen) > 2  # looked at again: not only files can be at fault

        watched.wrong = None
        until_told(watched, ["bad", None])


def test_what_is_wrong_for_a_moment_is_not_told(file: Path) -> None:
    watched = Watched(file)
    with watching(watched, patience_seconds=1.5):
        wait(watched, b"one")
        watched.wrong = "bad"
        file.write_bytes(b"two")
        wait(watched, b"two")
        watched.wrong = None
        file.write_bytes(b"three")
        wait(watched, b"three")
        time.sleep(1.7)

    assert watched.told == []


def until_told(watched: Watched, told: list[str | None]) -> None:
    deadline = time.monotonic() + 10
    while watched.told != told:
        assert time.monotonic() < deadline, watched.told
        time.sleep(0.01)


@pytest.mark.parametrize("error", [RuntimeError("oh"), MemoryError("oh"), SystemExit("oh")])
def test_no_defect_ends_it(file: Path, error: BaseException) -> None:
    watched = Watched(file)
    watched.error = error
    with watching(watched):
        wait(watched, b"one")
        until_told(watched, [f"they could not be looked at, by a defect of pdp: {type(error).__name__}: oh"])
        watched.error = None
        file.write_bytes(b"two")
        wait(watched, b"two")
        until_told(watched, [watched.told[0], None])


@pytest.mark.parametrize("error", [OSError("too many open files"), SystemExit("oh")])
def test_what_failed_is_tried_again_at_the_next_look(file: Path, error: BaseException) -> None:
    watched = Watched(file)
    with watching(watched, content_seconds=60):
        wait(watched, b"one")
        watched.error = error
        file.write_bytes(b"two")
        wait(watched, b"two")
        time.sleep(3.5)  # no change is near any more
        before = len(watched.seen)
        watched.error = None

        time.sleep(0.5)

        assert len(watched.seen) > before
        considered = len(watched.seen)
        time.sleep(0.5)
        assert len(watched.seen) == considered  # and then no more


def test_whoever_cannot_be_told_ends_nothing(file: Path) -> None:
    watched = Watched(file)
    watched.wrong = "bad"

    def tell(wrong: str | None) -> None:
        watched.told.append(wrong)
        raise OSError("nobody reads it")

    watched.tell = tell  # type: ignore[method-assign]
    with watching(watched):
        until_told(watched, ["bad"])
        file.write_bytes(b"two")
        wait(watched, b"two")


def test_files_that_never_hold_still_are_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = iter(range(10**9))
    watched = Watched(file)
    with watching(watched, settle_seconds=0.005):
        wait(watched, b"one")
        monkeypatch.setattr(file_watch, "_read", lambda _: b"%d" % next(count))
        until_told(watched, ["the files do not hold still"])
        monkeypatch.undo()
        until_told(watched, ["the files do not hold still", None])

    # Perhaps more than once: what is wrong is considered anew from time to time. Never what was torn.
    assert set(watched.seen) == {(b"one",)}


def test_a_file_at_its_bound_is_handed_over_and_one_past_it_is_not(file: Path) -> None:
    watched = Watched(file)
    file.write_bytes(b"x" * MAX_TRUST_FILE_BYTES)
    with watching(watched):
        wait(watched, b"x" * MAX_TRUST_FILE_BYTES)
        file.write_bytes(b"x" * (MAX_TRUST_FILE_BYTES + 1))
        wait(watched, f"larger than {MAX_TRUST_FILE_BYTES} bytes, the limit for such a file")


def test_nobody_waits_for_the_other_end_of_a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)
    watched = Watched(file)
    with watching(watched):
        wait(watched, "cannot be read: it is no regular file")


def test_it_can_be_stopped_from_within_and_before_it_began(file: Path) -> None:
    watched = Watched(file)
    never = FileWatcher(name="never", paths=[file], consider=watched.consider, tell=watched.tell)
    never.stop()

    running: list[FileWatcher] = []
    watched.wrong = "bad"
    watched.tell = lambda _: running[0].stop()  # type: ignore[method-assign]
    with watching(watched) as watcher:
        running.append(watcher)
        deadline = time.monotonic() + 10
        while watcher._thread.is_alive():
            assert time.monotonic() < deadline
            time.sleep(0.01)
