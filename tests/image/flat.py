"""An index written to an image and read again, for tests that compare the two."""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

from pdp.compiler.callers import CallerEntry
from pdp.image.keeper import Keeper
from pdp.image.manifest import Contents, Manifest, Place, read_manifest, write_manifest
from pdp.image.reader import Image, ImageReader
from pdp.image.writer import ImageWriter
from pdp.index.rule_index import RuleIndex
from pdp.store.snapshot import Snapshot

__all__ = ["Press", "flat_index", "flat_snapshot"]


class Press:
    """Writes versions and reads them, a file of new parts a version."""

    def __init__(self, most: int = 1000) -> None:
        self.writer, self.reader = ImageWriter(), ImageReader(Keeper(most))
        self.files: dict[int, bytes] = {}
        self.places: dict[int, Place] = {}
        self.contents: Contents | None = None

    def write(self, index: RuleIndex, callers: tuple[CallerEntry, ...] = (), rules: int = 0) -> Manifest:
        self.contents = self.writer.write(index, callers, rules, "digest")
        file, at = len(self.files), 0
        for number, content in self.writer.new.items():
            self.places[number] = Place(number, file, at, len(content), sha256(content).digest())
            at += len(content)
        self.files[file] = b"".join(self.writer.new.values())
        return Manifest(files=tuple(self.files), places=tuple(self.places.values()), contents=self.contents)

    def read(self, manifest: Manifest, files: Mapping[int, bytes] | None = None) -> Image:
        return self.reader.read(read_manifest(write_manifest(manifest)), files or self.files)


def flat_index(index: RuleIndex, most: int = 1000) -> RuleIndex:
    """The same index, read from an image; so many things of it are kept at a time."""
    press = Press(most)
    return press.read(press.write(index)).index


def flat_snapshot(snapshot: Snapshot, most: int = 1000) -> Snapshot:
    """The same snapshot, its index read from an image."""
    press = Press(most)
    image = press.read(press.write(snapshot.index, snapshot.callers, snapshot.rules))
    return replace(snapshot, index=image.index, callers=image.callers, rules=image.rules)
