"""The files of a policy set, read whole and read consistently.

This module holds `PolicyBundle`, the one form in which sources hand policies on, and
reads it from a directory. What lies there is listed by `pdp.store.tree`; when to read
again is decided by `pdp.store.watch`; Git and archives make their bundles with
`make_bundle`. What the files say is none of its business: content is bytes, valid or not.

INVARIANT: a bundle read from disk without a problem holds files that were all there,
with that content, at one and the same time: the tree is listed before and after.
"""

import hashlib
import os
import stat
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, final

from pdp import diagnostics, limits
from pdp.diagnostics import Diagnostic
from pdp.store.contents import Content, Files
from pdp.store.problems import UNREADABLE, WHOLE_SET, problem, reason
from pdp.store.tree import Entry, Signature, Tree, scan

__all__ = ["BundleReader", "PolicyBundle", "make_bundle", "read_bundle", "unsettled"]

# A write can leave a signature as it was only within one tick of the file system's clock.
# Two seconds is the coarsest in use (FAT; NFS and older ones count whole seconds). Git has
# the same trouble with its index, and the same cure.
_OLD_ENOUGH_NS: Final = 2_000_000_000
_PAUSE_SECONDS: Final = 0.02
_OPEN: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyBundle:
    """A policy set as files.

    Attributes:
        files: Content by path relative to the root, with forward slashes, sorted. Only
            names with one of `pdp.store.tree.LOADED_SUFFIXES`.
        digest: SHA-256 over names, each preceded by its length, and the SHA-256 of contents, in
            hex. Equal exactly when `files` are equal.
        problems: Why the set is not whole: errors `PDP901` to `PDP909`, sorted. A bundle
            with a problem must not be served.
    """

    files: Files
    digest: str
    problems: tuple[Diagnostic, ...]


def make_bundle(files: Mapping[str, bytes], problems: Iterable[Diagnostic] = ()) -> PolicyBundle:
    """A bundle of these files, in the order and with the digest that bundles have."""
    return _bundle({name: Content(content) for name, content in files.items()}, problems)


def _bundle(contents: Mapping[str, Content], problems: Iterable[Diagnostic]) -> PolicyBundle:
    ordered = dict(sorted(contents.items()))
    digest = hashlib.sha256()
    for name, content in ordered.items():
        encoded = name.encode()
        digest.update(len(encoded).to_bytes(8))
        digest.update(encoded)
        digest.update(content.digest)
    return PolicyBundle(files=Files(ordered), digest=digest.hexdigest(), problems=diagnostics.sort(problems))


def unsettled() -> PolicyBundle:
    """What is reported of a tree that never held still: no files, and the problem."""
    message = "the policy files kept changing while they were read"
    return make_bundle(
        {}, [problem("PDP909", WHOLE_SET, message, "write new files elsewhere and rename them into place")]
    )


def read_bundle(root: Path) -> PolicyBundle:
    """Read a policy directory, or one single `.policy` file.

    Never raises for what is on disk; whatever is wrong there is among the problems.
    Blocks for about a second, at most, while the files are being written.
    """
    reader = BundleReader(root)
    for _ in range(limits.MAX_READ_TRIES):
        bundle = reader.read(scan(root))
        if bundle is not None:
            return bundle
        time.sleep(_PAUSE_SECONDS)
    return unsettled()


class _Known(NamedTuple):
    """A file as it was last read. `lasting` says that no later write can hide behind the signature."""

    signature: Signature
    content: Content
    lasting: bool


@final
class BundleReader:
    """Reads the same root again and again, and only what changed of it.

    Not for use by two threads at once. Keeps the content of the last bundle alive.

    Attributes:
        tree: What was last read, or None before that.
    """

    def __init__(self, root: Path, baseline: PolicyBundle | None = None) -> None:
        self._root = root
        self._known: dict[str, _Known] = {}
        self.tree: Tree | None = None
        self._last = baseline or make_bundle({})

    def is_current(self, tree: Tree) -> bool:
        """Whether reading this tree could show nothing that the last reading did not show."""
        return (
            tree == self.tree
            and len(self._known) == len(tree.entries)
            and all(k.lasting for k in self._known.values())
        )

    def distrust(self) -> None:
        """Let the next reading open every file, whatever the signatures say."""
        self._known = {}

    def read(self, tree: Tree) -> PolicyBundle | None:
        """The content of the tree that was just seen, or None if it is not the same any more.

        Content that did not change is the same object as in the bundle before, and a bundle
        that did not change the same bundle.
        """
        known: dict[str, _Known] = {}
        problems = list(tree.problems)
        for name, entry in tree.entries.items():
            try:
                found = self._read_file(tree.root, name, entry)
            except OSError as error:
                message = f"this file cannot be read: {reason(error)}"
                problems.append(problem("PDP902", name, message, UNREADABLE))
                continue
            if found is None:
                return None
            known[name] = found
        if scan(self._root) != tree:
            return None
        self._known, self.tree = known, tree
        self._last = self._bundle({name: k.content for name, k in known.items()}, diagnostics.sort(problems))
        return self._last

    def _bundle(self, files: dict[str, Content], problems: tuple[Diagnostic, ...]) -> PolicyBundle:
        before = self._last
        if files == before.files.contents and problems == before.problems:
            return before
        return _bundle(files, problems)

    def _read_file(self, root: str, name: str, entry: Entry) -> _Known | None:
        known = self._known.get(name)
        if known is not None and known.lasting and known.signature == entry.signature:
            return known
        now = time.time_ns()
        found = _content(root, entry)
        if found is None:
            return None
        content = Content(found)
        # One object for equal content: the bundle that is being served need not exist twice.
        before = self._last.files.contents.get(name)
        # mtime too, for file systems that keep no ctime; a file dated ahead is read at every look.
        touched = max(entry.signature.mtime_ns, entry.signature.ctime_ns)
        lasting = now - touched > _OLD_ENOUGH_NS
        return _Known(entry.signature, before if before == content else content, lasting)


def _content(root: str, entry: Entry) -> bytes | None:
    """The file's bytes, or None if it is not, or does not stay, the file that was seen."""
    descriptor = _open_beneath(root, entry.real)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 -- a descriptor, not a path
        if _signature(descriptor) != entry.signature:
            return None
        content = file.read(entry.signature.size + 1)
        return (
            content
            if len(content) == entry.signature.size and _signature(descriptor) == entry.signature
            else None
        )


def _signature(descriptor: int) -> Signature | None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        return None
    return Signature(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _open_beneath(root: str, relative: str) -> int:
    """Open a file by a path without links, following none.

    Component by component, because whoever writes to the tree could put a link to a secret
    file in the place of a directory after we looked. Never blocks on a pipe put there.
    """
    *folders, name = relative.split("/")
    here = os.open(root, _OPEN | os.O_DIRECTORY)
    try:
        for folder in folders:
            below = os.open(folder, _OPEN | os.O_DIRECTORY, dir_fd=here)
            os.close(here)
            here = below
        return os.open(name, _OPEN, dir_fd=here)
    finally:
        os.close(here)
