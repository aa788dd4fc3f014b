"""Publication: bundles in, one current snapshot out, the last good one kept.

Readers take `Publisher.current`, one reference, and never wait. A bundle that has errors
changes nothing but what is said about it.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock
from typing import Final, TypeAlias, final

from pdp.limits import MAX_REVISIONS_KEPT
from pdp.store.bundle import PolicyBundle
from pdp.store.changes import NOTHING, Changes, changes
from pdp.store.snapshot import Loaded, Loader, Snapshot
from pdp.vocabulary import Millis

__all__ = ["Accepted", "Event", "Published", "Publisher", "Rejected"]


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


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A new version is served.

    Attributes:
        published: The version.
        loaded: What it was made from, warnings included.
        before: The version before; the same one where what is served was saved again.
    """

    published: Published
    loaded: Loaded
    before: Published

    @property
    def changed(self) -> bool:
        """Whether it is another version than before."""
        return self.published is not self.before

    @property
    def changes(self) -> Changes:
        """What changed from the version before; found out now, for whoever wants to tell it."""
        return changes(self.before.snapshot, self.published.snapshot) if self.changed else NOTHING


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A version has errors; the last good one is still served.

    Attributes:
        loaded: What is wrong with it.
        serving: Revision of the version that is served.
    """

    loaded: Loaded
    serving: str


Event: TypeAlias = Accepted | Rejected


@final
class Publisher:
    """Holds the current version and replaces it whole."""

    def __init__(
        self, loader: Loader, first: Snapshot, *, on_event: Callable[[Event], None], now: Millis
    ) -> None:
        self._loader = loader
        self._on_event = on_event
        self._lock = Lock()
        self._telling = Lock()  # two threads may publish; whoever is told is told by one at a time
        self._seen: OrderedDict[str, int] = OrderedDict({first.revision: 1})
        self._rejected = False
        self._wanted = loader.circumstances
        #: What is served. One reference, replaced whole: reading it needs no lock.
        self.current = Published(snapshot=first, number=1)
        #: When the source last confirmed the current version.
        self.confirmed_at: Millis = now

    def offer(self, bundle: PolicyBundle, now: Millis) -> Event:
        """Compile a bundle and serve it, or say why not."""
        try:
            event = self._offered(bundle, now)
            self._tell(event)
        finally:
            self._catch_up()
        return event

    def _offered(self, bundle: PolicyBundle, now: Millis) -> Event:
        with self._lock:
            self._rejected = True  # until shown otherwise: not even a defect of ours confirms anything
            loaded = self._loader.load(bundle, now=now)
            before = self.current
            event: Event
            if loaded.snapshot is None:
                event = Rejected(loaded=loaded, serving=before.snapshot.revision)
            elif loaded.snapshot.revision == _content(before.snapshot.revision):
                self._rejected = False  # what is served was saved again: the same version, confirmed
                self.confirmed_at = now
                event = Accepted(published=before, loaded=loaded, before=before)
            else:
                self._rejected = False
                after = Published(snapshot=self._named(loaded.snapshot), number=before.number + 1)
                self._remember(after.snapshot.revision, after.number)
                self.current = after
                self.confirmed_at = now
                event = Accepted(published=after, loaded=loaded, before=before)
        return event

    def restate(self, circumstances: str) -> None:
        """Publish what is served once more, under other circumstances: nothing is compiled.

        It confirms nothing: whether the source still holds this version is another question. It waits
        for nobody: while a bundle is compiled, whoever does that publishes this as well, after it.

        Args:
            circumstances: As `Loader` has them.
        """
        self._wanted = circumstances
        self._catch_up()

    def _catch_up(self) -> None:
        # INVARIANT: looked at after every release of the lock, so that nobody waits in vain.
        while self._wanted != self._loader.circumstances and self._lock.acquire(blocking=False):
            try:
                event = self._restated()
            finally:
                self._lock.release()
            self._tell(event)

    def _restated(self) -> Accepted:
        self._loader.circumstances = self._wanted  # once: it may change meanwhile, and is looked at again
        before = self.current
        snapshot = replace(before.snapshot, revision=self._loader.revision(before.snapshot.digest))
        after = Published(snapshot=self._named(snapshot), number=before.number + 1)
        self._remember(after.snapshot.revision, after.number)
        self.current = after
        loaded = Loaded(snapshot=after.snapshot, diagnostics=(), sources={})
        return Accepted(published=after, loaded=loaded, before=before)

    def _tell(self, event: Event) -> None:
        with self._telling:
            self._on_event(event)

    def confirm(self, now: Millis) -> None:
        """The source was looked at and still holds the current version."""
        if not self._rejected:
            self.confirmed_at = now

    def has_seen(self, revision: str) -> bool:
        """Whether a revision is the current one or came before it."""
        return revision in self._seen

    def _named(self, snapshot: Snapshot) -> Snapshot:
        """A revert is a new revision: content that was published before gets a name of its own."""
        name, times = snapshot.revision, 1
        while name in self._seen:
            times += 1
            name = f"{snapshot.revision}{_AGAIN}{times}"
        return replace(snapshot, revision=name)

    def _remember(self, revision: str, number: int) -> None:
        self._seen.pop(revision, None)
        self._seen[revision] = number
        while len(self._seen) > MAX_REVISIONS_KEPT:
            self._seen.popitem(last=False)


def _content(revision: str) -> str:
    """The part of a revision's name that its content makes."""
    return revision.partition(_AGAIN)[0]


_AGAIN: Final = "~"
