"""A file that one run of the service leaves to the next: ours alone, whole, by this program, or not read.

What is in it is the business of `pdp.process.kept` and `pdp.process.kept_trees`.
"""

import os
import platform
import stat
import struct
import sys
import unicodedata
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from mmap import mmap
from pathlib import Path
from typing import Final, final

from pdp.diagnostics import escape
from pdp.identity.private_files import FolderError, make_private_folder
from pdp.image.layout import ImageError
from pdp.process.sealed import map_sealed, write_sealed

__all__ = ["HEAD_BYTES", "Content", "made_of", "open_kept", "own_folder", "whole"]

#: Magic, what it was made of, where the manifest lies and its digest; the parts follow, then the manifest.
_HEADER: Final = struct.Struct("=8s32sQQ32s")
HEAD_BYTES: Final = _HEADER.size
_MAX_BYTES: Final = 8 << 30  # nothing that we write is larger
_AT_ONCE: Final = 1 << 24
_LIBRARIES: Final = ("lark", "msgspec", "tzdata")


@final
@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds.

    Attributes:
        file: A copy in memory that nobody can change; closed by `open_kept`.
        manifest: What its writer says of the parts; as it was written.
        mapped: All of it, the head included.
    """

    file: int
    manifest: bytes
    mapped: mmap


@cache
def code_digest() -> str:
    """A digest of the program and of everything else but policy files that what is kept depends on."""
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


def made_of(digest: str) -> bytes:
    """What names a kept form: what this is the digest of, and all that `code_digest` names."""
    return sha256(f"{digest}\n{code_digest()}".encode()).digest()


def whole(magic: bytes, names: bytes, parts: Collection[bytes], manifest: bytes) -> bytes:
    """The bytes of a file.

    Args:
        magic: Which kind of file it is; eight bytes.
        names: As `made_of` has it.
        parts: They begin at `HEAD_BYTES` and follow each other.
        manifest: Says where the parts are, and which bytes.
    """
    start = HEAD_BYTES + sum(map(len, parts))
    head = _HEADER.pack(magic, names, start, len(manifest), sha256(manifest).digest())
    return b"".join((head, *parts, manifest))


@contextmanager
def open_kept(path: Path, magic: bytes, names: bytes) -> Iterator[Content]:
    """A file that `whole` has made. Its manifest is as it was written; the reader compares the parts.

    Raises:
        FileNotFoundError: There is none.
        OSError: It cannot be read.
        FolderError: Somebody else could have written it.
        ImageError: It is damaged, of another kind, or made of something else.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        _check_file(os.fstat(descriptor))
        copied = write_sealed(iter(lambda: file.read(_AT_ONCE), b""))  # from now on nobody changes it
    try:
        content = map_sealed(copied)
        yield Content(copied, _manifest(content, magic, names), content)
    finally:
        os.close(copied)


def _manifest(content: mmap, magic: bytes, names: bytes) -> bytes:
    if len(content) < HEAD_BYTES:
        raise ImageError("it is not whole")
    found, others, start, length, digest = _HEADER.unpack(content[:HEAD_BYTES])
    if found != magic:
        raise ImageError("it is not one of ours")
    if others != names:
        raise ImageError("it was made of other files, or by another version of this program")
    manifest = content[start : start + length]
    if sha256(manifest).digest() != digest:
        raise ImageError("it is damaged")
    return manifest


def own_folder(folder: Path) -> None:
    """Make the folder, or see that it is ours alone.

    Raises:
        FolderError: It is not.
        OSError: It cannot be made.
    """
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
