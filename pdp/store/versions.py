"""The version that is served, and those before it: one reference, replaced whole.

Where versions come from is another's business: `pdp.store.publish` makes them of files, a worker is
given them by its supervisor (`pdp.workers`).
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final, final

from pdp.limits import MAX_REVISIONS_KEPT
from pdp.store.snapshot import Snapshot
from pdp.vocabulary import Millis

__all__ = ["Published", "Versions", "content_of"]

_AGAIN: Final = "~"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A snapshot that is being served.

    Attributes:
        snapshot: The snapshot.
        number: Its place in the order of publication.
    """

    snapshot: Snapshot
    number: int


class Versions:
    """What is served.

    Attributes:
        current: The version. One reference, replaced whole: reading it needs no lock.
        confirmed_at: When the source last confirmed it.
    """

    def __init__(self, first: Published, *, now: Millis) -> None:
        """Serve a first version, confirmed at an instant."""
        self._seen: OrderedDict[str, int] = OrderedDict()
        self.serve(first, now)

    def serve(self, published: Published, now: Millis) -> None:
        """Serve a version from now on; its source confirmed it at this instant."""
        revision = published.snapshot.revision
        self._seen.pop(revision, None)
        self._seen[revision] = published.number
        while len(self._seen) > MAX_REVISIONS_KEPT:
            self._seen.popitem(last=False)
        self.current = published
        self.confirmed_at = now

    def has_seen(self, revision: str) -> bool:
        """Whether a revision is the current one or came before it."""
        return revision in self._seen

    def following(self, snapshot: Snapshot) -> Published:
        """The version after the current one.

        A revert is a new revision: content that was published before gets a name of its own.
        """
        name, times = snapshot.revision, 1
        while name in self._seen:
            times += 1
            name = f"{snapshot.revision}{_AGAIN}{times}"
        return Published(snapshot=replace(snapshot, revision=name), number=self.current.number + 1)


def content_of(revision: str) -> str:
    """The part of a revision's name that its content makes."""
    return revision.partition(_AGAIN)[0]
