"""Versions as they are handed to workers: images in memory, which all of them map and none has to compile.

Each version adds a file of what is new in it. What is no longer part of any version goes when files are put
together, which happens once there are many, or once much of them is of no use.
"""

import mmap
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from typing import Final, Self, final

from pdp.image.manifest import Contents, Manifest, Place, read_manifest, write_manifest
from pdp.image.reader import Image, ImageReader
from pdp.image.writer import ImageWriter
from pdp.limits import MAX_IMAGE_FILES
from pdp.process.sealed import map_sealed, write_sealed
from pdp.store.snapshot import Snapshot

__all__ = ["ImageShelf", "Parcel", "Unpacker"]


@final
@dataclass(frozen=True, slots=True)
class Parcel:
    """A version as open files.

    Attributes:
        files: The manifest, and the files that it names.
    """

    files: tuple[int, ...]

    def again(self) -> Self:
        """The same version, to be closed for itself."""
        return type(self)(tuple(map(os.dup, self.files)))

    def close(self) -> None:
        """The version is handed to nobody any more."""
        for file in self.files:
            os.close(file)


@final
@dataclass(slots=True, kw_only=True)
class _File:
    """A file of parts. `live` is how many bytes of it some part of the last version needs."""

    descriptor: int
    content: mmap.mmap
    live: int = 0


@final
class ImageShelf:
    """The files of the last version, from which the next one goes on. For one thread at a time."""

    def __init__(self) -> None:
        self._writer, self._unpacker = ImageWriter(), Unpacker()
        self._numbers = count(1)
        self._files: dict[int, _File] = {}
        self._places: dict[int, Place] = {}

    def pack(self, snapshot: Snapshot) -> Parcel:
        """A version for workers: whatever is not in the files yet is written.

        Raises:
            OSError: There is no memory for it.
            OverflowError: There is more of something than an image can hold.
        """
        contents = self._writer.write(snapshot.index, snapshot.callers, snapshot.rules, snapshot.digest)
        if self._writer.new:
            self._add(self._writer.new.items())
            self._writer.new = {}
        self._keep(contents)
        self._put_together()
        manifest = Manifest(files=tuple(self._files), places=tuple(self._places.values()), contents=contents)
        first = write_sealed([write_manifest(manifest)])
        return Parcel((first, *(os.dup(file.descriptor) for file in self._files.values())))

    def read(self, parcel: Parcel) -> Image:
        """The version that was packed last, as workers read it; the next one goes on from this.

        Raises:
            ImageError: It is damaged.
            OSError: There is no memory to map it.
        """
        image = self._unpacker.unpack(parcel.again().files)
        self._writer.rest_on(image.index)
        return image

    def _add(self, parts: Iterable[tuple[int, bytes]]) -> None:
        """Write parts to a new file."""
        number, at, contents = next(self._numbers), 0, []
        for part, content in parts:
            self._places[part] = Place(part, number, at, len(content), sha256(content).digest())
            contents.append(content)
            at += len(content)
        descriptor = write_sealed(contents)
        self._files[number] = _File(descriptor=descriptor, content=map_sealed(descriptor))

    def _keep(self, contents: Contents) -> None:
        """Forget parts that a version has not, and files without any."""
        used = {contents.walks, contents.environment, *contents.names}
        for service in (*contents.services, contents.undeclared):
            used |= {service.rules, *service.texts}
        self._places = {part: place for part, place in self._places.items() if part in used}
        for file in self._files.values():
            file.live = 0
        for place in self._places.values():
            self._files[place.file].live += place.length
        self._forget(number for number, file in tuple(self._files.items()) if not file.live)

    def _forget(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            file = self._files.pop(number)
            os.close(file.descriptor)
            with suppress(BufferError):
                file.content.close()

    def _put_together(self) -> None:
        """Write the parts of several files to one, where that is worth it."""
        largest = max(self._files, key=lambda number: self._files[number].live)
        wasteful = 2 * self._files[largest].live < len(self._files[largest].content)
        if len(self._files) <= MAX_IMAGE_FILES and not wasteful:
            return
        old = [number for number in self._files if number != largest or wasteful]
        self._add(
            [
                (part, self._files[place.file].content[place.start : place.start + place.length])
                for part, place in self._places.items()
                if place.file in old
            ]
        )
        self._forget(old)
        for number in self._files:
            self._files[number].live = sum(p.length for p in self._places.values() if p.file == number)


@final
class Unpacker:
    """Versions as a worker maps them, one after the other."""

    def __init__(self) -> None:
        self._reader: Final = ImageReader()
        self._files: dict[int, mmap.mmap] = {}

    def unpack(self, files: Sequence[int]) -> Image:
        """The version of a parcel; its files are closed.

        Raises:
            ImageError: It is damaged.
            OSError: There is no memory to map it.
        """
        try:
            with map_sealed(files[0]) as content:
                manifest = read_manifest(content[:])
            mapped = {
                number: self._files.get(number) or map_sealed(file)
                for number, file in zip(manifest.files, files[1:], strict=True)
            }
            image = self._reader.read(manifest, mapped)
        finally:
            for file in files:
                os.close(file)
        self._files = mapped
        return image
