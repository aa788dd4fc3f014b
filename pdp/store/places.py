"""Where to listen for changes of a policy directory, and the listening itself.

This module finds the directories in which an event can matter, and is the one place that
meets `watchfiles`. What an event leads to is decided by `pdp.store.watch`.

Events miss a watched link that is re-pointed (git-sync), and a watched directory that is
replaced: one "deleted", then silence for ever. So every directory in which a name of the
root's path is looked up is watched besides the tree, and `Places` compare unequal as soon
as one of them is another inode than before, which is when to listen anew.
"""

import os
import stat
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import watchfiles

from pdp.store.tree import Folder, Tree

__all__ = ["Places", "back", "listen", "lost", "places_of"]

# How often the event queue is drained. Costs 0.7 % of a core; twice this is the least delay.
_STEP_MS: Final = 10
# A stream of events is cut here, so that a busy neighbour cannot put off the poll.
_BURST_MS: Final = 50
_MAX_LINKS: Final = 40  # as the kernel has it (path_resolution(7))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What to watch: the tree's directories, and the names that lead to its root."""

    folders: frozenset[Folder]
    inside: frozenset[str]
    names: frozenset[str]

    def concern(self, path: str) -> bool:
        """Whether an event on this path can alter the policy set."""
        return path in self.names or path in self.inside or os.path.dirname(path) in self.inside  # noqa: PTH120 -- text

    def paths(self) -> list[str]:
        """The directories to hand to the operating system; what we may not list is left to the poll."""
        return sorted({path for path, _, _ in self.folders if os.access(path, os.R_OK)})

    def unheard(self, paths: frozenset[str]) -> frozenset[str]:
        """The directories that are not among `paths`: not ours to list, or gone when those were asked for."""
        return frozenset(path for path, _, _ in self.folders) - paths


def places_of(root: Path, tree: Tree) -> Places:
    """The places for a root, an absolute path, and what was last seen there."""
    names = _names_looked_up(root)
    inside = frozenset(path for path, _, _ in tree.folders)
    return Places(folders=tree.folders | _parents(names), inside=inside, names=names)


def listen(paths: list[str]) -> Generator[set[tuple[watchfiles.Change, str]], None, None]:
    """Sets of events in these very directories, empty ones included: every step yields.

    Directory by directory rather than recursively: parents are watched too, and the whole
    of `/etc` or `/tmp` is not ours to follow; nor is `.git`.
    """
    return watchfiles.watch(
        *paths,
        watch_filter=None,  # a filter here would swallow the tick together with the events
        debounce=_BURST_MS,
        step=_STEP_MS,
        rust_timeout=_STEP_MS,
        yield_on_timeout=True,
        raise_interrupt=False,
        force_polling=False,
        recursive=False,
        ignore_permission_denied=False,  # it also keeps quiet about directories that are gone
    )


def lost(changes: set[tuple[watchfiles.Change, str]], paths: frozenset[str]) -> bool:
    """Whether a directory that is listened to is gone: whatever takes its place is not listened to.

    Not even if it has the same name and the same inode, as one that is made at once may have.
    """
    return any(change is watchfiles.Change.deleted and path in paths for change, path in changes)


def back(unheard: frozenset[str]) -> bool:
    """Whether a directory is there that nobody listens to.

    It may even have the inode of the one before it, so that `Places` compare equal.
    """
    return any(os.access(path, os.R_OK) for path in unheard)


def _names_looked_up(path: Path) -> frozenset[str]:
    """Every name, with its resolved directory, that opening `path` reads, up to the first that is missing.

    Replacing any of them, link or directory, can lead the path elsewhere.
    """
    names: set[str] = set()
    here, links = path.anchor, 0
    pending = list(reversed(path.parts[1:]))
    while pending and links <= _MAX_LINKS:
        part = pending.pop()
        if part == "..":
            here = os.path.dirname(here)  # noqa: PTH120 -- text, as the events are
            continue
        name = os.path.join(here, part)  # noqa: PTH118 -- the same
        names.add(name)
        try:
            target = Path(os.readlink(name))  # noqa: PTH115 -- the same
        except OSError:
            here = name  # no link; if it is missing, so is all that follows
            continue
        links += 1
        if target.is_absolute():
            here = target.anchor
        pending.extend(reversed(target.parts[1:] if target.is_absolute() else target.parts))
    return frozenset(names)


def _parents(names: frozenset[str]) -> frozenset[Folder]:
    """The directories that hold these names, as far as they exist."""
    found: set[Folder] = set()
    for path in {os.path.dirname(name) for name in names}:  # noqa: PTH120 -- text, as the events are
        with suppress(OSError):
            status = os.stat(path)  # noqa: PTH116 -- the same
            if stat.S_ISDIR(status.st_mode):
                found.add((path, status.st_dev, status.st_ino))
    return frozenset(found)
