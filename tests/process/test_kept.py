"""What is kept for the next start: used for the very files that it was made of, and for nothing else."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pdp.diagnostics import Diagnostic, Source, Span
from pdp.engine.decide import decide
from pdp.lang.parsed import Parsed
from pdp.lang.parser import parse
from pdp.process import kept as kept_module
from pdp.process import kept_file as kept_file_module
from pdp.process.cannot_start import CannotStartError
from pdp.process.images import ImageShelf
from pdp.process.kept import Kept
from pdp.process.policies import make_publisher
from pdp.store import parsing
from pdp.store.bundle import PolicyBundle, make_bundle
from pdp.store.publish import Accepted, Event, Publisher
from tests.engine.asking import HEAD, NOW, ask

DEADLINE = 60.0
SECOND = b"language 1\nservice t {}\n"
FILE, TREES = "compiled.image", "trees.parsed"


def bundle(path: str = "/x") -> PolicyBundle:
    text = f"{HEAD}service s {{\n    allow prod/a to GET {path}\n    deny anyone to any /admin/**\n}}\n"
    return make_bundle({"a.policy": text.encode(), "b.policy": SECOND})


def until(holds: Callable[[], object]) -> None:
    limit = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.02)


class World:
    """A publisher with a folder, as the service has them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.said = folder, list[str]()
        self.events: list[Event] = []
        self.parsed: list[str] = []

    def start(self, files: PolicyBundle) -> Publisher:
        """As at the start of the service; `image` then says whether the compiled form was used."""
        self.parsed.clear()
        self.kept = Kept(self.folder, self.said.append)
        publisher = make_publisher(files, "", told=[self.events.append], kept=self.kept)
        self.image = not publisher.current.snapshot.units
        return publisher

    def keep(self, files: PolicyBundle) -> None:
        """Start, and wait until the compiled form is there."""
        self.kept_by = self.start(files)
        self.kept.follow(self.kept_by)
        until(lambda: self.kept_is(files.digest))

    def kept_is(self, digest: str) -> bool:
        """Whether these files are what was kept last."""
        return self.kept._written == digest  # then both files are there, and whole


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(kept_module, "_QUIET_SECONDS", 0.05)
    made = World(tmp_path / "kept")

    def noted(source: Source) -> Parsed:
        made.parsed.append(source.path)
        return parse(source)

    monkeypatch.setattr(parsing, "parse", noted)
    return made


def allowed(publisher: Publisher, path: str) -> bool:
    return decide(publisher.current.snapshot.index, ask(f"prod/a GET {path}")).effect.value == "allow"


def test_the_next_start_uses_it(world: World) -> None:
    world.keep(bundle())
    assert not world.image

    again = world.start(bundle())

    assert world.image
    assert world.said == []
    assert again.current.snapshot.revision == world.kept_by.current.snapshot.revision
    assert again.current.snapshot.rules == world.kept_by.current.snapshot.rules
    assert allowed(again, "/x")
    assert not allowed(again, "/admin/x")


def test_what_lies_in_an_image_already_is_kept_as_it_lies_there(world: World) -> None:
    world.kept_by, shelf = world.start(bundle()), ImageShelf()
    with closing(shelf.pack(world.kept_by.current.snapshot)) as parcel:
        world.kept_by.rest_on(shelf.read(parcel))
    world.kept.follow(world.kept_by)
    until(lambda: world.kept_is(bundle().digest))

    again = world.start(bundle())

    assert (world.image, world.said) == (True, [])
    assert (allowed(again, "/x"), allowed(again, "/admin/x")) == (True, False)
    world.kept.follow(again, lambda snapshot: shelf.read(shelf.pack(snapshot)))
    again.offer(bundle("/y"), NOW)
    assert (allowed(again, "/x"), allowed(again, "/y")) == (False, True)


def test_it_is_for_its_owner_alone(world: World) -> None:
    world.keep(bundle())

    assert (world.folder / FILE).stat().st_mode & 0o777 == 0o600
    assert (world.folder / TREES).stat().st_mode & 0o777 == 0o600
    assert world.folder.stat().st_mode & 0o777 == 0o700


def test_an_edit_is_kept_in_its_turn(world: World) -> None:
    world.keep(bundle())
    before = (world.folder / FILE).stat().st_ino

    world.kept_by.offer(bundle("/y"), NOW)
    until(lambda: (world.folder / FILE).stat().st_ino != before)

    assert allowed(world.start(bundle("/y")), "/y")
    assert world.image


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def swap(file: Path) -> None:
    other = file.with_name("other")
    file.rename(other)
    file.symlink_to(other)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a byte is another": (flip, "damaged"),
    "it is cut short": (lambda file: os.truncate(file, file.stat().st_size - 1), ""),
    "it is cut to nothing": (lambda file: os.truncate(file, 0), "empty"),
    "it is cut within its head": (lambda file: os.truncate(file, 40), "not whole"),
    "it is something else": (lambda file: file.write_bytes(b"x" * 5000), "not one of ours"),
    "others may write it": (lambda file: file.chmod(0o620), "others may"),
    "others may read it": (lambda file: file.chmod(0o604), "others may"),
    "others may enter the folder": (lambda file: file.parent.chmod(0o750), "entered by others"),
    "it is a symbolic link": (swap, "symbolic link"),
    "it is a folder": (lambda file: (file.unlink(), file.mkdir(mode=0o700)), ""),
    "it is a pipe": (lambda file: (file.unlink(), os.mkfifo(file, 0o600)), "not a file"),
}


@pytest.mark.parametrize("how", BAD)
def test_what_is_not_right_is_not_used_and_said_once(world: World, how: str) -> None:
    world.keep(bundle())
    spoil, reason = BAD[how]
    spoil(world.folder / FILE)

    publisher = world.start(bundle())

    assert not world.image
    assert allowed(publisher, "/x")
    assert reason in world.said[0]
    assert ["not used" in said for said in world.said].count(True) == 1


def test_a_folder_that_is_a_link_is_not_used(world: World, tmp_path: Path) -> None:
    world.keep(bundle())
    world.folder.rename(tmp_path / "moved")
    world.folder.symlink_to(tmp_path / "moved")

    world.start(bundle())

    assert not world.image
    assert "symbolic link" in world.said[0]


def test_other_files_are_read(world: World) -> None:
    world.keep(bundle())

    publisher = world.start(bundle("/y"))

    assert not world.image
    assert (allowed(publisher, "/x"), allowed(publisher, "/y")) == (False, True)
    assert "other files" in world.said[0]


def test_another_program_reads_the_files(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.keep(bundle())
    monkeypatch.setattr(kept_file_module, "code_digest", lambda: "another")

    world.start(bundle())

    assert not world.image
    assert world.parsed == ["a.policy", "b.policy"]
    assert "another version" in world.said[0]


def test_files_that_could_not_all_be_read_are_never_answered_for(world: World) -> None:
    world.keep(bundle())
    problem = Diagnostic(code="PDP901", message="x", span=Span(file="a.policy", start=0, end=0))

    with pytest.raises(CannotStartError):
        world.start(make_bundle(bundle().files, [problem]))


def test_edits_wait_until_what_was_kept_is_compiled_and_go_on_from_it(world: World) -> None:
    world.keep(bundle())
    publisher = world.start(bundle())
    prepared, go = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        prepared.set()
        go.wait(DEADLINE)

    world.kept.follow(publisher, hold)
    prepared.wait(DEADLINE)
    editing = threading.Thread(target=publisher.offer, args=(bundle("/y"), NOW))
    editing.start()
    time.sleep(0.1)
    assert allowed(publisher, "/x")  # answers do not wait
    go.set()
    editing.join(DEADLINE)

    (event,) = world.events
    assert isinstance(event, Accepted)
    assert str(event.changes) == "1 granted, 1 revoked"
    assert event.before.number == 1
    assert allowed(publisher, "/y")


def test_an_edit_that_comes_first_compiles_what_was_kept_itself(world: World) -> None:
    world.keep(bundle())
    publisher = world.start(bundle())

    publisher.offer(bundle("/y"), NOW)
    publisher.prime(NOW, lambda _: pytest.fail("it was compiled already"))

    (event,) = world.events
    assert isinstance(event, Accepted)
    assert str(event.changes) == "1 granted, 1 revoked"
    assert (allowed(publisher, "/x"), allowed(publisher, "/y")) == (False, True)


def test_saving_again_what_was_kept_is_no_new_version(world: World) -> None:
    world.keep(bundle())
    publisher = world.start(bundle())

    event = publisher.offer(bundle(), NOW)

    assert isinstance(event, Accepted)
    assert not event.changed
    assert publisher.current.number == 1


# -- files that are as they were ---------------------------------------------------------


def test_only_what_changed_is_parsed(world: World) -> None:
    world.keep(bundle())
    assert world.parsed == ["a.policy", "b.policy"]

    publisher = world.start(bundle("/y"))

    assert world.parsed == ["a.policy"]
    assert (allowed(publisher, "/x"), allowed(publisher, "/y")) == (False, True)
    assert world.said[-1] == "1 of 2 policy files were parsed, the others are as they were"


def test_what_was_recalled_is_compiled_as_what_is_parsed(world: World, tmp_path: Path) -> None:
    world.keep(bundle())
    recalled = world.start(bundle("/y")).current.snapshot
    parsed = World(tmp_path / "other").start(bundle("/y")).current.snapshot

    assert recalled.files == parsed.files
    assert [unit.by_service for unit in recalled.units] == [unit.by_service for unit in parsed.units]
    assert recalled.revision == parsed.revision


def test_nothing_is_parsed_after_a_start_from_the_compiled_form(world: World) -> None:
    world.keep(bundle())
    publisher = world.start(bundle())

    publisher.prime(NOW, lambda _: None)

    assert world.image
    assert len(publisher.current.snapshot.files) == 2
    assert world.parsed == []
    assert world.said == []


def test_a_name_alone_recalls_nothing(world: World) -> None:
    world.keep(bundle())
    files = {"a.policy": SECOND, "b.policy": bundle().files["a.policy"]}

    world.start(make_bundle(files))

    assert world.parsed == ["a.policy", "b.policy"]


def flip_in_second(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[content.index(b"b.policy")] ^= 1  # within the tree that is wanted
    file.write_bytes(content)


@pytest.mark.parametrize("how", BAD)
def test_trees_that_are_not_right_are_not_used_and_that_is_said_once(world: World, how: str) -> None:
    world.keep(bundle())
    spoil, reason = BAD[how]
    (flip_in_second if spoil is flip else spoil)(world.folder / TREES)

    publisher = world.start(bundle("/y"))

    assert world.parsed == ["a.policy", "b.policy"]
    assert (allowed(publisher, "/x"), allowed(publisher, "/y")) == (False, True)
    said = [text for text in world.said if "not used" in text]
    assert reason in said[-1]
    assert len(said) == (1 if "folder" in how and "enter" in how else 2)


def test_trees_that_are_lost_are_kept_anew(world: World) -> None:
    world.keep(bundle())
    (world.folder / TREES).unlink()

    publisher = world.start(bundle())
    world.kept.follow(publisher)
    until((world.folder / TREES).exists)

    assert world.image
    assert world.said == []
    world.start(bundle("/y"))
    assert world.parsed == ["a.policy"]


def test_what_changed_is_kept_with_what_was_recalled(world: World) -> None:
    world.keep(bundle())
    world.keep(bundle("/y"))

    world.start(make_bundle({**bundle("/y").files, "c.policy": SECOND.replace(b"t", b"u")}))

    assert world.parsed == ["c.policy"]
