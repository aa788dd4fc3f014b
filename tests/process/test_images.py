"""Versions handed over in memory: nobody changes them, and what did not change is not written again."""

import fcntl
import mmap
import os
from pathlib import Path

import pytest

from pdp.engine.decide import decide
from pdp.image.layout import ImageError
from pdp.limits import MAX_IMAGE_FILES
from pdp.process.images import ImageShelf, Unpacker
from pdp.process.sealed import map_sealed, write_sealed
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from pdp.store.snapshot import Snapshot
from tests.engine.asking import HEAD, NOW, ask

FILES = 30
RULES = 40


def files_of_process() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def mapped() -> int:
    """How many bytes of files in memory this process maps."""
    lines = Path("/proc/self/maps").read_text(encoding="ascii").splitlines()
    spans = [line.split()[0].split("-") for line in lines if "memfd:pdp" in line]
    return sum(int(end, 16) - int(start, 16) for start, end in spans)


class World:
    """A policy set that is edited."""

    def __init__(self) -> None:
        self.loader = Loader()
        self.files = {"head.policy": HEAD.encode()}
        for number in range(FILES):
            self.write(number, 0)

    def write(self, number: int, edit: int) -> None:
        rules = "".join(f"    allow prod/p{rule} to GET /r{rule}/{{id}}\n" for rule in range(RULES))
        text = f"language 1\nservice s{number} {{\n{rules}    allow prod/e{edit} to GET /edited/{edit}\n}}\n"
        self.files[f"f{number}.policy"] = text.encode()

    def load(self) -> Snapshot:
        loaded = self.loader.load(make_bundle(self.files), now=NOW)
        assert loaded.snapshot is not None
        return loaded.snapshot


def test_what_is_handed_over_can_be_changed_by_nobody() -> None:
    file = write_sealed([b"one", b"two"])
    assert map_sealed(file)[:] == b"onetwo"

    with pytest.raises(PermissionError):
        os.pwrite(file, b"x", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(file, 0)
    with pytest.raises(PermissionError):
        os.ftruncate(file, 100)
    with pytest.raises(PermissionError):
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, 0)
    with pytest.raises((PermissionError, OSError)):
        mmap.mmap(file, 6, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    os.close(file)


def test_a_file_that_somebody_could_change_is_not_read() -> None:
    file = os.memfd_create("other", os.MFD_ALLOW_SEALING)
    os.write(file, b"content")
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)

    with pytest.raises(ImageError, match="changed"):
        map_sealed(file)
    os.close(file)


def test_an_edit_hands_over_what_it_touched_and_workers_keep_the_rest() -> None:
    world, shelf, worker = World(), ImageShelf(), Unpacker()
    first = shelf.pack(world.load())
    whole = sum(os.fstat(file).st_size for file in first.files[1:])
    before = worker.unpack(first.files).index

    world.write(7, 1)
    second = shelf.pack(world.load())
    new = os.fstat(second.files[-1]).st_size
    after = worker.unpack(second.files).index

    assert new < whole / FILES * 3
    assert {name for name in before.services if after.services[name] is not before.services[name]} == {"s7"}
    assert decide(after, ask("prod/e1 GET /edited/1", service="s7")).effect.value == "allow"
    assert decide(before, ask("prod/e1 GET /edited/1", service="s7")).effect.value == "deny"


def test_after_many_edits_little_is_left_of_what_was() -> None:
    """Files are put together in time: neither side holds more than a few, or much that nobody needs."""
    world, shelf, worker = World(), ImageShelf(), Unpacker()
    worker.unpack(shelf.pack(world.load()).files)
    held, size = files_of_process(), mapped()
    for edit in range(1, 8 * MAX_IMAGE_FILES):
        world.write(edit % FILES, edit)
        parcel = shelf.pack(world.load())
        assert len(parcel.files) <= MAX_IMAGE_FILES + 1
        late = Unpacker().unpack(parcel.again().files)
        index = worker.unpack(parcel.files).index
        for one in (index, late.index):
            request = ask(f"prod/e{edit} GET /edited/{edit}", service=f"s{edit % FILES}")
            assert decide(one, request).effect.value == "allow"

    del late, index, one
    assert files_of_process() - held <= 2 * MAX_IMAGE_FILES
    assert mapped() < 3 * size


def test_a_version_that_is_closed_leaves_no_file() -> None:
    shelf = ImageShelf()
    held = files_of_process()
    parcel = shelf.pack(World().load())
    again = parcel.again()

    Unpacker().unpack(again.files)
    parcel.close()

    assert files_of_process() - held <= 3  # what the shelf keeps for the next version
