"""What lies in a policy directory, by names and stat signatures alone.

`scan` lists the files that make up a policy set, without opening one of them: cheap
enough to be repeated every second. Reading them is the business of `pdp.store.bundle`,
noticing changes that of `pdp.store.watch`. POSIX only.

INVARIANT: `Entry.real` never leaves the root: it is the path after all links were
resolved, relative to the resolved root, and has no link in it.

Names that begin with `.` are never looked at: `.git`, editors' swap files, and the
`..data` and `..2026_11_21_22_00_00.1` of a Kubernetes ConfigMap volume, whose files are
links such as `a.policy -> ..data/a.policy` and would otherwise be loaded three times.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias, final

from pdp import diagnostics, limits
from pdp.diagnostics import Diagnostic, escape
from pdp.store.problems import UNREADABLE, WHOLE_SET, problem, reason

__all__ = [
    "LOADED_SUFFIXES",
    "Entry",
    "Folder",
    "Signature",
    "Tree",
    "is_loaded",
    "scan",
]

#: Policies, tables, and what accompanies them. Everything else in the tree is left alone.
LOADED_SUFFIXES: Final = (".policy", ".csv", ".txt")


class Signature(NamedTuple):
    """What changes whenever a file is written, short of two writes in one tick of its clock.

    `ctime_ns` is what a writer cannot set back, so that keeping size and mtime hides nothing.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


class Entry(NamedTuple):
    """One file of the set: where it really lies, and its signature."""

    real: str
    signature: Signature


#: Absolute path, device and inode of a directory whose entries make up the tree.
Folder: TypeAlias = tuple[str, int, int]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One look at a policy directory. Two equal looks saw the same files.

    Attributes:
        root: The resolved directory, or "" if there is none.
        entries: By path relative to the root, with forward slashes, sorted.
        folders: Every directory in which a change can alter the set.
        problems: What keeps the set from being loaded whole, sorted.
    """

    root: str
    entries: Mapping[str, Entry]
    folders: frozenset[Folder]
    problems: tuple[Diagnostic, ...]


def is_loaded(name: str) -> bool:
    """Whether a file of this name belongs to a policy set; `name` has no directory."""
    return name.endswith(LOADED_SUFFIXES) and not name.startswith(".")


def scan(root: Path) -> Tree:
    """List a policy directory, or a single `.policy` file, whose neighbours are then left alone.

    Never raises for what is on disk: a root that is missing or of the wrong kind is a
    problem of the tree. The root itself may be a symbolic link to anywhere.
    """
    try:
        real = os.path.realpath(root, strict=True)
        status = os.stat(real)  # noqa: PTH116 -- text paths throughout: a look at 10 000 files makes no Path objects
    except (OSError, ValueError) as error:
        return _no_tree(f"the policy directory `{root}` cannot be opened: {reason(error)}")
    if stat.S_ISDIR(status.st_mode):
        return _Walk(real).tree()
    if stat.S_ISREG(status.st_mode) and root.name.endswith(".policy"):
        walk = _Walk(str(Path(real).parent))
        walk.add_file(root.name, Path(real).name, status)
        return walk.tree(descend=False)
    return _no_tree(f"`{root}` is neither a directory nor a file whose name ends in `.policy`")


def _no_tree(message: str) -> Tree:
    found = problem("PDP901", WHOLE_SET, message, "name a directory of `.policy` files, or one such file")
    return Tree(root="", entries={}, folders=frozenset(), problems=(found,))


class _SetTooLargeError(Exception):
    """The tree as a whole is past a bound; the message says which."""


class _Walk:
    """The state of one look: what was found, and which directories are still to be listed."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._inside = root.rstrip("/") + "/"
        self._entries: dict[str, Entry] = {}
        self._folders: set[Folder] = set()
        self._problems: list[Diagnostic] = []
        self._seen = 0
        self._bytes = 0
        # Prefix of the names, real path, and the real paths of the directories it was reached through.
        self._pending: list[tuple[str, str, tuple[str, ...]]] = []

    def tree(self, *, descend: bool = True) -> Tree:
        try:
            self._add_folder(WHOLE_SET, "")
            if descend:
                self._pending.append(("", "", ("",)))
            while self._pending:
                self._list(*self._pending.pop())
        except _SetTooLargeError as error:
            # A part of a set is never worth loading, and this one may not fit into memory.
            self._entries = {}
            help_ = "name the directory that holds the policies, and move what is none out of it"
            self._problems = [problem("PDP908", WHOLE_SET, str(error), help_)]
        return Tree(
            root=self._root,
            entries=dict(sorted(self._entries.items())),
            folders=frozenset(self._folders),
            problems=diagnostics.sort(self._problems),
        )

    def add_file(self, name: str, real: str, status: os.stat_result) -> None:
        """Take one file with a loaded suffix into the set, or say why not."""
        if not stat.S_ISREG(status.st_mode):
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
            message = f"this is {kind}, and its name is that of a policy file"
            self._problem("PDP903", name, message, "rename it, or move it out of the policy directory")
        elif not self._is_good_name(name):
            return
        elif status.st_size > limits.MAX_FILE_BYTES:
            message = f"this file has more than {limits.MAX_FILE_BYTES} bytes"
            self._problem("PDP907", name, message, "split it into several files")
        else:
            self._bytes += status.st_size
            signature = Signature(
                status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
            )
            self._entries[name] = Entry(real, signature)
            if len(self._entries) > limits.MAX_FILES:
                raise _SetTooLargeError(f"the policy set has more than {limits.MAX_FILES} files")
            if self._bytes > limits.MAX_SET_BYTES:
                raise _SetTooLargeError(f"the policy set has more than {limits.MAX_SET_BYTES} bytes")

    def _list(self, prefix: str, real: str, through: tuple[str, ...]) -> None:
        try:
            with os.scandir(self._inside + real) as found:
                for entry in found:
                    self._count()
                    if not entry.name.startswith("."):
                        self._visit(
                            entry,
                            prefix + entry.name,
                            f"{real}/{entry.name}" if real else entry.name,
                            through,
                        )
        except OSError as error:
            message = f"this directory cannot be listed: {reason(error)}"
            self._problem("PDP902", prefix or WHOLE_SET, message, UNREADABLE)

    def _count(self) -> None:
        self._seen += 1
        if self._seen > limits.MAX_TREE_ENTRIES:
            raise _SetTooLargeError(
                f"there are more than {limits.MAX_TREE_ENTRIES} names below the policy directory"
            )

    def _visit(self, entry: os.DirEntry[str], name: str, real: str, through: tuple[str, ...]) -> None:
        try:
            if entry.is_symlink():
                self._visit_link(entry, name, real, through)
            elif entry.name.endswith(LOADED_SUFFIXES):
                self.add_file(name, real, entry.stat(follow_symlinks=False))
            elif entry.is_dir(follow_symlinks=False):
                self._descend(name, real, through)
            elif entry.name.lower().endswith(".policy"):
                message = "the ending of a policy file is written in lower case: `.policy`"
                self._problem("PDP906", name, message, "rename it")
        except OSError as error:
            self._problem("PDP902", name, f"this file cannot be read: {reason(error)}", UNREADABLE)

    def _visit_link(self, entry: os.DirEntry[str], name: str, real: str, through: tuple[str, ...]) -> None:
        try:
            target = os.path.realpath(self._inside + real, strict=True)
            status = os.lstat(target)
        except OSError as error:
            message = f"this symbolic link leads nowhere: {reason(error)}"
            self._problem("PDP905", name, message, "remove it, or let it lead to a file of the policy set")
            return
        folder = stat.S_ISDIR(status.st_mode)
        loaded = entry.name.endswith(LOADED_SUFFIXES)
        if not folder and not loaded:
            return
        if target != self._root and not target.startswith(self._inside):
            self._problem(
                "PDP904",
                name,
                "this symbolic link leaves the policy directory",
                "copy what it leads to, or move it here",
            )
        elif loaded:
            below = target[len(self._inside) :]
            self._add_folder(name, below.rpartition("/")[0])
            self.add_file(name, below, status)
        else:
            self._descend(name, target[len(self._inside) :], through)

    def _descend(self, name: str, real: str, through: tuple[str, ...]) -> None:
        if real in through:
            message = "this symbolic link leads back to a directory that it lies in"
            self._problem("PDP905", name, message, "remove it: what it leads to is loaded already")
        elif self._is_good_name(name):
            self._add_folder(name, real)
            self._pending.append((name + "/", real, (*through, real)))

    def _add_folder(self, name: str, real: str) -> None:
        path = self._inside + real if real else self._root
        try:
            status = os.stat(path)  # noqa: PTH116 -- as in `scan`
        except OSError as error:
            self._problem("PDP902", name, f"this directory cannot be read: {reason(error)}", UNREADABLE)
        else:
            self._folders.add((path, status.st_dev, status.st_ino))

    def _is_good_name(self, name: str) -> bool:
        # Python stands bytes that are not UTF-8 for by lone surrogates, which `escape` rewrites too.
        if escape(name) == name and "\\" not in name:
            return True
        message = "the name has a backslash, bytes that are not UTF-8, or characters that cannot be seen"
        self._problem("PDP906", name, message, "rename it")
        return False

    def _problem(self, code: str, name: str, message: str, help_text: str = "") -> None:
        self._problems.append(problem(code, name.removesuffix("/"), message, help_text))
