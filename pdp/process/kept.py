"""The compiled form of the version that is served, kept on disk: the next start maps it instead of compiling.

A file is believed only if it is ours alone, whole, and was made of the same policy files by the same program
under the same databases; else the policies are read, and that is said once. Then the syntax trees that are
kept beside it save the parsing of every file that is as it was. Both are written some seconds after a
version is in force, under other names, and renamed when they are whole.

INVARIANT: what is kept was in force: without errors, its invariants decided. It is an answer to nothing but
the very files that it was made of, since it is named by their digest, and those are read at every start.
"""

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from threading import Event as Signal
from threading import Thread
from typing import Final, final

from pdp.diagnostics import Source, escape
from pdp.identity.private_files import SECRET, FolderError, Output, locked_folder, replace_files
from pdp.image.layout import ImageError
from pdp.image.manifest import Contents, Manifest, Place, read_manifest, write_manifest
from pdp.image.reader import Image, ImageReader
from pdp.image.writer import ImageWriter
from pdp.lang.parsed import Parsed
from pdp.process import kept_trees
from pdp.process.images import Parcel
from pdp.process.kept_file import HEAD_BYTES, made_of, open_kept, own_folder, whole
from pdp.process.kept_trees import KeptTrees
from pdp.process.parts import Say, clock
from pdp.process.sealed import write_sealed
from pdp.store.bundle import PolicyBundle
from pdp.store.publish import Accepted, Event, Publisher
from pdp.store.snapshot import Snapshot

__all__ = ["Kept"]

_NAME: Final = "compiled.image"
_MAGIC: Final = b"pdpkept1"
_FILE: Final = 0  # the number of the one file
_FORM: Final = "the kept compiled form"
_TREES: Final = "the kept syntax trees"
_QUIET_SECONDS: Final = 3.0  # an edit is often followed by the next


@final
class Kept:
    """The folder with the compiled form, and with the trees that it was compiled from."""

    def __init__(self, folder: Path, say: Say) -> None:
        """Keep it in a folder, which is made if it is not there.

        Args:
            folder: The folder: ours, and nobody else's.
            say: Told what keeps it from being used.
        """
        self._folder, self._say = folder, say
        self._parcel: Parcel | None = None
        self._trees: KeptTrees | None = None
        self._forgotten = False
        self._recalled = 0
        self._news = Signal()
        self._written = ""
        self._told = set[str]()

    # -- at the start --------------------------------------------------------------------

    def read(self, bundle: PolicyBundle) -> Image | None:
        """The compiled form of these files, if it is kept; why it is not used is said."""
        if bundle.problems:
            return None
        try:
            own_folder(self._folder)
        except (OSError, FolderError) as error:
            self._forget()  # as little as the trees
            self._not_used(error)
            return None
        try:
            return self._read(bundle)
        except FileNotFoundError:
            return None  # the first start
        except (OSError, FolderError, ImageError) as error:
            self._not_used(error)
            return None

    def _not_used(self, error: Exception) -> None:
        self._tell(_FORM, f"is not used: {_reason(error)}; the policies are compiled instead")

    def _read(self, bundle: PolicyBundle) -> Image:
        with open_kept(self._folder / _NAME, _MAGIC, made_of(bundle.digest)) as content:
            image = ImageReader().read(read_manifest(content.manifest), {_FILE: content.mapped})
            if image.digest != bundle.digest:
                raise ImageError("it was made of other files")
            self._parcel = Parcel((write_sealed([content.manifest]), os.dup(content.file)))
        self._written = bundle.digest
        return image

    def recall(self, source: Source) -> Parsed | None:
        """What a policy file was parsed to before, if that is kept; why it is not used is said."""
        if self._forgotten:
            return None
        try:
            if self._trees is None:
                self._trees = KeptTrees(self._folder)
            found = self._trees.recall(source)
        except FileNotFoundError:
            self._forget()
            found = None
        except (OSError, FolderError, ImageError) as error:
            self._tell(_TREES, f"are not used: {_reason(error)}; the files are parsed instead")
            self._forget()
            found = None
        self._recalled += found is not None
        if found is None:
            self._written = ""  # to be kept anew, with this one
        return found

    def loaded(self, files: int) -> None:
        """All files were read: tell how many had to be parsed, if not all, and recall nothing more."""
        if self._recalled:
            self._say(
                f"{files - self._recalled} of {files} policy files were parsed, the others are as they were"
            )
        self._forget()

    def _forget(self) -> None:
        self._forgotten, self._trees = True, None

    def parcel(self) -> Parcel | None:
        """What was read, for workers; once."""
        parcel, self._parcel = self._parcel, None
        return parcel

    # -- while the service runs ----------------------------------------------------------

    def follow(
        self, publisher: Publisher, prepared: Callable[[Snapshot], Image | None] = lambda _: None
    ) -> None:
        """Keep each version from now on; where one was read, compile it first, for the edits to come.

        Args:
            publisher: What publishes versions.
            prepared: As `Publisher.prime` has it: called with what was read once it is compiled.
        """
        if (unused := self.parcel()) is not None:
            unused.close()

        def work() -> None:
            try:
                publisher.prime(clock(), prepared)
                self._forget()
                self._keep(publisher)
            except Exception as error:  # noqa: BLE001 - a defect of ours must not be taken for silence
                self._tell(_FORM, f"is written no more: {type(error).__name__}: {escape(str(error))}")

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
            if snapshot.digest == self._written or not snapshot.files:
                continue  # kept already, or read from what was kept and never compiled here
            try:
                self._write(snapshot)
            except (OSError, FolderError, OverflowError) as error:
                self._tell(_FORM, f"is not written: {_reason(error)}")

    def _write(self, snapshot: Snapshot) -> None:
        contents = {_NAME: _image(snapshot), kept_trees.FILE: kept_trees.trees(snapshot.files)}
        outputs = [
            Output(path=self._folder / name, data=data, mode=SECRET) for name, data in contents.items()
        ]
        with locked_folder(self._folder):
            for left in self._folder.glob(".*.tmp"):  # of one that was ended while it wrote
                left.unlink()
            replace_files(outputs)
        self._written = snapshot.digest
        self._told.clear()

    def _tell(self, what: str, text: str) -> None:
        """Say what is wrong with something, once until it is well again."""
        if what not in self._told:
            self._told.add(what)
            self._say(f"{what} {text}")


def _image(snapshot: Snapshot) -> bytes:
    """A file with a version."""
    contents, parts = _parts(snapshot)
    places, at = [], HEAD_BYTES
    for number, part in parts.items():
        places.append(Place(number, _FILE, at, len(part), sha256(part).digest()))
        at += len(part)
    manifest = write_manifest(Manifest(files=(_FILE,), places=tuple(places), contents=contents))
    return whole(_MAGIC, made_of(snapshot.digest), parts.values(), manifest)


def _parts(snapshot: Snapshot) -> tuple[Contents, dict[int, bytes]]:
    """The parts of a version: where it lies in an image already, those; else they are written now."""
    image = snapshot.image
    if image is not None:
        found = {
            place.part: image.files[place.file][place.start : place.start + place.length]
            for place in image.manifest.places
        }
        return image.manifest.contents, found
    writer = ImageWriter()
    contents = writer.write(snapshot.index, snapshot.callers, snapshot.rules, snapshot.digest)
    return contents, writer.new


def _reason(error: Exception) -> str:
    return escape(str(error.strerror if isinstance(error, OSError) and error.strerror else error))
