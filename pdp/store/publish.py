"""Publication: bundles in, one current snapshot out, the last good one kept.

Readers take the current version, one reference, and never wait (`pdp.store.versions`). A bundle that
has errors changes nothing but what is said about it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock
from typing import TypeAlias, final

from pdp.image.reader import Image
from pdp.store.bundle import PolicyBundle
from pdp.store.changes import NOTHING, Changes, changes
from pdp.store.loader import Loader
from pdp.store.snapshot import Loaded, Snapshot
from pdp.store.versions import Published, Versions, content_of
from pdp.vocabulary import Millis

__all__ = ["Accepted", "ChangeOver", "Event", "Publisher", "Rejected", "at_once"]


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
#: Called with each new version and its bundle, before it is served; gives the image that it lies in, if any.
ChangeOver: TypeAlias = Callable[[Published, PolicyBundle | None], Image | None]


def at_once(_: Published, __: PolicyBundle | None) -> None:
    """Nobody has to change over but this process."""
    return


@final
class Publisher(Versions):
    """Makes versions of bundles, and replaces the current one whole."""

    def __init__(
        self,
        loader: Loader,
        first: Snapshot,
        *,
        on_event: Callable[[Event], None],
        now: Millis,
        change_over: ChangeOver = at_once,
        unprimed: PolicyBundle | None = None,
    ) -> None:
        """Serve a first snapshot.

        Args:
            loader: What made it, and makes those to come.
            first: The snapshot.
            on_event: Told of each bundle that was offered.
            now: When its source confirmed it.
            change_over: Called with each new version and its bundle, before it is served; returns once
                nobody who serves along with this process can answer with the version before. Without a
                bundle the policies are those of the version before.
            unprimed: The files of `first`, where it was read from an image and `loader` has seen none.
        """
        super().__init__(Published(snapshot=first, number=1), now=now)
        self._loader = loader
        self._on_event = on_event
        self._change_over = change_over
        self._lock = Lock()
        self._telling = Lock()  # two threads may publish; whoever is told is told by one at a time
        self._rejected = False
        self._unprimed = unprimed
        self._wanted = loader.circumstances
        self._unstated = False  # whether they changed since they were published, be it back again

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
            self._primed(now, lambda _: None)
            self._rejected = True  # until shown otherwise: not even a defect of ours confirms anything
            loaded = self._loader.load(bundle, now=now)
            before = self.current
            event: Event
            if loaded.snapshot is None:
                event = Rejected(loaded=loaded, serving=before.snapshot.revision)
            elif loaded.snapshot.revision == content_of(before.snapshot.revision):
                self._rejected = False  # what is served was saved again: the same version, confirmed
                self.confirmed_at = now
                event = Accepted(published=before, loaded=loaded, before=before)
            else:
                after = self.following(loaded.snapshot, now)
                image = self._change_over(after, bundle)
                # It is in force everywhere else: whatever happens now, it is what is served.
                self._rejected = False
                self.serve(after, now)
                after = self.current = self._rested(after, image)
                event = Accepted(published=after, loaded=loaded, before=before)
        return event

    def rest_on(self, image: Image) -> None:
        """Go on from the image of what is served, and hold nothing that lies in it."""
        with self._lock:
            self.current = self._rested(self.current, image)

    def _rested(self, published: Published, image: Image | None) -> Published:
        if image is None:
            return published
        return replace(published, snapshot=self._loader.rest_on(published.snapshot, image))

    def prime(self, now: Millis, prepared: Callable[[Snapshot], Image | None]) -> None:
        """Compile what is served already, if it was read from an image: no edit can go on from that.

        Edits wait for it, or do it themselves if they come first. What is answered stays the same.

        Args:
            now: The instant from which on invariants have to hold.
            prepared: Called with what was compiled, before any edit; gives the image that it lies in, if any.
        """
        event: Event | None = None
        try:
            with self._lock:
                event = self._primed(now, prepared)
            if event is not None:
                self._tell(event)
        finally:
            self._catch_up()

    def _primed(self, now: Millis, prepared: Callable[[Snapshot], Image | None]) -> Rejected | None:
        """The same with the lock held; what to tell if that cannot be compiled which is served."""
        bundle, self._unprimed = self._unprimed, None
        if bundle is None:
            return None
        loaded, served = self._loader.load(bundle, now=now), self.current
        if loaded.snapshot is None:
            self._rejected = True
            return Rejected(loaded=loaded, serving=served.snapshot.revision)
        image = prepared(loaded.snapshot)
        snapshot = replace(loaded.snapshot, revision=served.snapshot.revision)
        self.current = self._rested(replace(served, snapshot=snapshot), image)
        return None

    def restate(self, circumstances: str) -> None:
        """Publish what is served once more, under other circumstances: nothing is compiled.

        It confirms nothing: whether the source still holds this version is another question. It waits
        for nobody: while a bundle is compiled, whoever does that publishes this as well, after it.

        Args:
            circumstances: As `Loader` has them.
        """
        if circumstances != self._wanted:
            self._wanted, self._unstated = circumstances, True
        self._catch_up()

    def _catch_up(self) -> None:
        # INVARIANT: looked at after every release of the lock, so that nobody waits in vain.
        while self._unstated and self._lock.acquire(blocking=False):
            try:
                event = self._restated()
            finally:
                self._lock.release()
            self._tell(event)

    def _restated(self) -> Accepted:
        before, known = self.current, self._loader.circumstances
        self._unstated = False  # first: what changes meanwhile is looked at again
        # What came and went while a bundle was compiled was in force: answers of that time have to end.
        self._loader.circumstances = self._wanted
        snapshot = replace(before.snapshot, revision=self._loader.revision(before.snapshot.digest))
        after = self.following(snapshot, self.confirmed_at)
        try:
            self._change_over(after, None)
        except BaseException:
            self._loader.circumstances, self._unstated = known, True  # it is still to be published
            raise
        self.serve(after, self.confirmed_at)
        loaded = Loaded(snapshot=after.snapshot, diagnostics=(), sources={})
        return Accepted(published=after, loaded=loaded, before=before)

    def _tell(self, event: Event) -> None:
        with self._telling:
            self._on_event(event)

    def confirm(self, now: Millis) -> None:
        """The source was looked at and still holds the current version."""
        if not self._rejected:
            self.confirmed_at = now
