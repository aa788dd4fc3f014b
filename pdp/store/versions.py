"""The version that is served, and those before it: one reference, replaced whole.

Where versions come from is another's business: `pdp.store.publish` makes them of files, a worker is
given them by its supervisor (`pdp.workers`).
"""

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Final, final

from pdp.limits import MAX_REVISIONS_KEPT
from pdp.store.snapshot import Snapshot
from pdp.vocabulary import Millis

__all__ = ["Confirmed", "Published", "Versions", "content_of"]

_AGAIN: Final = "~"


@final
class Confirmed:
    """When the source last confirmed one version.

    It belongs to that version alone: whoever has taken a version finds its own instant here, and not
    that of the one that has replaced it meanwhile.

    Attributes:
        at: The instant; 0 where it never did.
    """

    __slots__ = ("at",)

    def __init__(self, at: Millis = 0) -> None:
        self.at = at


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A snapshot that is being served.

    Attributes:
        snapshot: The snapshot.
        number: Its place in the order of publication.
        confirmed: When its source last confirmed it.
    """

    snapshot: Snapshot
    number: int
    confirmed: Confirmed = field(default_factory=Confirmed, compare=False, repr=False)


class Versions:
    """What is served.

    Attributes:
        current: The version. One reference, replaced whole: reading it needs no lock.
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
        published.confirmed.at = now
        self.current = published

    @property
    def confirmed_at(self) -> Millis:
        """When the source last confirmed what is served."""
        return self.current.confirmed.at

    @confirmed_at.setter
    def confirmed_at(self, now: Millis) -> None:
        self.current.confirmed.at = now

    def has_seen(self, revision: str) -> bool:
        """Whether a revision is the current one or came before it."""
        return revision in self._seen

    def following(self, snapshot: Snapshot, confirmed_at: Millis) -> Published:
        """The version after the current one, confirmed at an instant.

        A revert is a new revision: content that was published before gets a name of its own.
        """
        name, times = snapshot.revision, 1
        while name in self._seen:
            times += 1
            name = f"{snapshot.revision}{_AGAIN}{times}"
        return Published(
            snapshot=replace(snapshot, revision=name),
            number=self.current.number + 1,
            confirmed=Confirmed(confirmed_at),
        )


def content_of(revision: str) -> str:
    """The part of a revision's name that its content makes."""
    return revision.partition(_AGAIN)[0]
