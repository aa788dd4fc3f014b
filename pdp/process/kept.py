"""The compiled form of the version that is served, kept on disk: the next start maps it instead of compiling.

A file is believed only if it is ours alone, whole, and was made of the same policy files by the same program
under the same databases; else the policies are read, and that is said once. It is written some seconds
after a version is in force, under another name, and renamed when it is whole.

INVARIANT: what is kept was in force: without errors, its invariants decided. It is an answer to nothing but
the very files that it was made of, since it is named by their digest, and those are read at every start.
"""

import os
import platform
import stat
import struct
import sys
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from threading import Event as Signal
from threading import Thread
from typing import Final, final

from pdp.diagnostics import escape
from pdp.identity.private_files import (
    SECRET,
    FolderError,
    Output,
    locked_folder,
    make_private_folder,
    replace_files,
)
from pdp.image.layout import ImageError
from pdp.image.manifest import Manifest, Place, read_manifest, write_manifest
from pdp.image.reader import Image, ImageReader
from pdp.image.writer import ImageWriter
from pdp.process.images import Parcel
from pdp.process.parts import Say, clock
from pdp.process.sealed import map_sealed, write_sealed
from pdp.store.bundle import PolicyBundle
from pdp.store.publish import Accepted, Event, Publisher
from pdp.store.snapshot import Snapshot

__all__ = ["Kept", "code_digest"]

_NAME: Final = "compiled.image"
#: Magic, what it was made of, where the manifest lies and its digest; the parts follow, then the manifest.
_HEADER: Final = struct.Struct("=8s32sQQ32s")
_MAGIC: Final = b"pdpkept1"
_FILE: Final = 0  # the number of the one file
_MAX_BYTES: Final = 8 << 30  # nothing that we write is larger
_AT_ONCE: Final = 1 << 24
_QUIET_SECONDS: Final = 3.0  # an edit is often followed by the next
_LIBRARIES: Final = ("lark", "msgspec", "tzdata")


@cache
def code_digest() -> str:
    """A digest of the program and of everything else but policy files that a compiled form depends on."""
    digest = sha256()
    root = Path(str(files("pdp")))
    folders = [root] if (root / "_grammar").is_dir() else [root, root.parent / "grammar"]
    for path in sorted(path for folder in folders for path in folder.rglob("*")):
        if path.suffix in {".py", ".lark"}:
            digest.update(sha256(path.read_bytes()).digest())
    facts = (
        sys.version, sys.byteorder, platform.machine(), unicodedata.unidata_version,
        *(version(name) for name in _LIBRARIES),
    )  # fmt: skip
    digest.update("\n".join(facts).encode())
    return digest.hexdigest()


def _made_of(digest: str) -> bytes:
    """What names a compiled form: the files with this digest, and all that `code_digest` names."""
    return sha256(f"{digest}\n{code_digest()}".encode()).digest()


@final
class Kept:
    """The folder with the compiled form."""

    def __init__(self, folder: Path, say: Say) -> None:
        """Keep it in a folder, which is made if it is not there.

        Args:
            folder: The folder: ours, and nobody else's.
            say: Told what keeps it from being used.
        """
        self._folder, self._say = folder, say
        self._parcel: Parcel | None = None
        self._news = Signal()
        self._written = ""
        self._told = False

    # -- at the start --------------------------------------------------------------------

    def read(self, bundle: PolicyBundle) -> Image | None:
        """The compiled form of these files, if it is kept; why it is not used is said."""
        if bundle.problems:
            return None
        try:
            _own_folder(self._folder)
            return self._read(bundle)
        except FileNotFoundError:
            return None  # the first start
        except (OSError, FolderError, ImageError) as error:
            self._tell(f"the kept compiled form is not used: {_reason(error)}; the policies are read instead")
            return None

    def _read(self, bundle: PolicyBundle) -> Image:
        descriptor = os.open(self._folder / _NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            _check_file(os.fstat(descriptor))
            copied = write_sealed(iter(lambda: file.read(_AT_ONCE), b""))  # from now on nobody changes it
        try:
            content = map_sealed(copied)
            if len(content) < _HEADER.size:
                raise ImageError("it is not whole")
            magic, made_of, start, length, digest = _HEADER.unpack(content[: _HEADER.size])
            if magic != _MAGIC:
                raise ImageError("it is not one of ours")
            if made_of != _made_of(bundle.digest):
                raise ImageError("it was made of other files, or by another version of this program")
            written = content[start : start + length]
            if sha256(written).digest() != digest:
                raise ImageError("it is damaged")
            manifest = read_manifest(written)
            image = ImageReader().read(manifest, {_FILE: content})
            if image.digest != bundle.digest:
                raise ImageError("it was made of other files")
            self._parcel = Parcel((write_sealed([written]), os.dup(copied)))
        finally:
            os.close(copied)
        self._written = bundle.digest
        return image

    def parcel(self) -> Parcel | None:
        """What was read, for workers; once."""
        parcel, self._parcel = self._parcel, None
        return parcel

    # -- while the service runs ----------------------------------------------------------

    def follow(self, publisher: Publisher, prepared: Callable[[Snapshot], None] = lambda _: None) -> None:
        """Keep each version from now on; where one was read, compile it first, for the edits to come.

        Args:
            publisher: What publishes versions.
            prepared: Called with what was read once it is compiled, while no edit is.
        """
        if (unused := self.parcel()) is not None:
            unused.close()

        def work() -> None:
            try:
                publisher.prime(clock(), prepared)
                self._keep(publisher)
            except Exception as error:  # noqa: BLE001 - a defect of ours must not be taken for silence
                self._tell(f"the compiled form is kept no more: {type(error).__name__}: {escape(str(error))}")

        self._news.set()
        Thread(target=work, name="kept", daemon=True).start()

    def note(self, event: Event) -> None:
        """Something was published."""
        if isinstance(event, Accepted):
            self._news.set()

    def _keep(self, publisher: Publisher) -> None:
        while True:
            self._news.wait()
            self._news.clear()
            while self._news.wait(_QUIET_SECONDS):
                self._news.clear()
            snapshot = publisher.current.snapshot
            if snapshot.digest == self._written:
                continue
            try:
                self._write(snapshot)
            except (OSError, FolderError, OverflowError) as error:
                self._tell(f"the compiled form is not kept: {_reason(error)}")

    def _write(self, snapshot: Snapshot) -> None:
        with locked_folder(self._folder):
            for left in self._folder.glob(".*.tmp"):  # of one that was ended while it wrote
                left.unlink()
            content = b"".join(_content(snapshot))
            replace_files([Output(path=self._folder / _NAME, data=content, mode=SECRET)])
        self._written, self._told = snapshot.digest, False

    def _tell(self, text: str) -> None:
        """Say what is wrong, once until it is well again."""
        if not self._told:
            self._told = True
            self._say(text)


def _content(snapshot: Snapshot) -> Iterator[bytes]:
    """A file with a version."""
    writer = ImageWriter()
    contents = writer.write(snapshot.index, snapshot.callers, snapshot.rules, snapshot.digest)
    places, at = [], _HEADER.size
    for number, part in writer.new.items():
        places.append(Place(number, _FILE, at, len(part), sha256(part).digest()))
        at += len(part)
    manifest = write_manifest(Manifest(files=(_FILE,), places=tuple(places), contents=contents))
    digest = sha256(manifest).digest()
    yield _HEADER.pack(_MAGIC, _made_of(snapshot.digest), at, len(manifest), digest)
    yield from writer.new.values()
    yield manifest


def _own_folder(folder: Path) -> None:
    """Make the folder, or see that it is ours alone."""
    if folder.is_symlink():
        raise FolderError(f"{escape(str(folder))} is a symbolic link")
    make_private_folder(folder)


def _check_file(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise FolderError("it is not a file")
    if status.st_uid != os.geteuid():
        raise FolderError("it belongs to another user")
    if status.st_mode & 0o077:
        raise FolderError("others may read or change it")
    if status.st_size > _MAX_BYTES:
        raise FolderError("it is larger than any that we write")


def _reason(error: Exception) -> str:
    return escape(str(error.strerror if isinstance(error, OSError) and error.strerror else error))
