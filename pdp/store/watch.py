"""Noticing that a policy directory changed, soon and without fail.

This module decides *when* to look; what is there is read by `pdp.store.bundle`, and what
becomes of it is the business of whoever gets the bundle. It depends on nothing but the
poll: stat signatures at every tick, and the content of every file from time to time.
Events of the operating system only make it faster. They are never trusted to be
complete, or to say what changed: each one means "look again". Where to listen for them is
the business of `pdp.store.places`.
"""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, final

from pdp import limits
from pdp.store.bundle import BundleReader, PolicyBundle, read_bundle, unsettled
from pdp.store.places import Places, back, listen, lost, places_of
from pdp.store.tree import Tree, scan

__all__ = ["DirectoryWatcher"]

# How long to live by the poll alone before events are tried again.
_REARM_SECONDS: Final = 30.0
# The first time that is: a directory may just be about to be replaced.
_FIRST_PAUSE_SECONDS: Final = 0.05
# How long a file that held something has to be empty before that is taken for what somebody wants: who
# writes over a file empties it first, and a machine that is busy may come to the rest of it later.
_EMPTIED_SECONDS: Final = 0.3


def _nothing() -> None:
    """For whoever does not ask how old the tree is."""


@final
class DirectoryWatcher:
    """Calls back, from a thread of its own, whenever a policy directory holds something else.

    Args:
        root: A directory, or a single `.policy` file; may be a symbolic link, may be missing.
        on_change: Gets each new bundle, in order, never two at a time. Not called for the
            first one. A tree that cannot be read whole is a bundle with problems. What it
            raises goes to `on_error`, and the bundle counts as delivered.
        on_error: Gets whatever went wrong in watching or in `on_change`. The watcher goes on.
        on_confirmed: Called after each look that found the tree as it was last reported,
            whole, unless `on_change` raised over that report.
        baseline: The bundle that the caller has already; read at `start` if left out.
        poll_seconds: How long a change may stay unnoticed where no event tells of it.
        settle_seconds: How long the tree must hold still before it is read.
        content_seconds: How often every file is read, whatever its stat signature says.
    """

    def __init__(  # noqa: PLR0913 -- the times are set by configuration, and all by keyword
        self,
        root: Path,
        on_change: Callable[[PolicyBundle], None],
        *,
        on_error: Callable[[BaseException], None],
        on_confirmed: Callable[[], None] = _nothing,
        baseline: PolicyBundle | None = None,
        poll_seconds: float = 1.0,
        settle_seconds: float = 0.02,
        content_seconds: float = 30.0,
    ) -> None:
        self._root = root.absolute()
        self._on_change = on_change
        self._on_error = on_error
        self._on_confirmed = on_confirmed
        self._poll = poll_seconds
        self._settle = settle_seconds
        self._content = content_seconds
        self._reported = baseline
        self._reader = BundleReader(self._root, baseline)
        self._seen: Tree | None = None
        self._next_poll = self._next_content = self._rest_until = 0.0
        self._complaint = ""
        self._accepted = True
        self._lost = False
        self._pause = _FIRST_PAUSE_SECONDS
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="policy-watch", daemon=True)

    def start(self) -> None:
        """Begin. A change after this returns is reported.

        Raises:
            RuntimeError: It was started before.
        """
        if self._reported is None:
            self._reported = read_bundle(self._root)
            self._reader = BundleReader(self._root, self._reported)
        self._next_content = time.monotonic() + self._content
        self._thread.start()

    def stop(self) -> None:
        """End. No call-back begins after this returns; from within one, it only asks for the end."""
        self._stop.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except BaseException as error:  # noqa: BLE001 -- a watcher that ends leaves old policy in force for ever
                self._tell(error)
                self._stop.wait(self._poll)

    def _follow(self) -> None:
        """Look whenever there is cause to, for as long as the same places are to be watched."""
        if self._seen is None:
            self._seen = scan(self._root)
        places = places_of(self._root, self._seen)
        with closing(self._wake_ups(places)) as wake_ups:
            for _ in wake_ups:
                self._look()
                if places_of(self._root, self._seen) != places:
                    return

    def _wake_ups(self, places: Places) -> Generator[None, None, None]:
        """Yield each time that a look is due; end when asked to stop, or to try events again."""
        self._lost = False
        failure = yield from self._events(places)
        if self._stop.is_set() or self._lost:
            return
        # Perhaps a directory has only just gone. Look first, and complain if that explains nothing.
        yield
        self._complain(failure)
        pause, self._pause = self._pause, min(_REARM_SECONDS, 4 * self._pause)
        until = time.monotonic() + pause
        while time.monotonic() < until and not self._stop.wait(min(self._poll, pause)):
            yield

    def _events(self, places: Places) -> Generator[None, None, BaseException | None]:
        """Yield once armed, at events that matter, and at polls; return why there are no more events."""
        wanted = True  # what happened before the watch was armed has no event
        try:
            paths = places.paths()
            watched = frozenset(paths)
            unheard = places.unheard(watched)
            with closing(listen(paths)) as events:
                for changes in events:
                    if self._stop.is_set():
                        return None
                    self._complaint, self._pause = "", _FIRST_PAUSE_SECONDS
                    wanted = wanted or any(places.concern(path) for _, path in changes)
                    now = time.monotonic()
                    if (wanted and now >= self._rest_until) or now >= self._next_poll:
                        wanted = False
                        yield
                    if lost(changes, watched) or (unheard and back(unheard)):
                        self._lost = True
                        return None
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 -- a panic of the library below is not an `Exception`
            return error
        return None

    def _look(self) -> None:
        """Compare the tree with what was last read, and hand on what is new."""
        began = time.monotonic()
        tree = self._seen = scan(self._root)
        now = time.monotonic()
        # In a tree of any size, polls cost a tenth of a core at most, and events about files
        # that do not matter half of one.
        self._next_poll = now + max(self._poll, 9 * (now - began))
        self._rest_until = now + (now - began)
        if now >= self._next_content:
            self._reader.distrust()
            self._next_content = now + self._content
        if not self._reader.is_current(tree):
            bundle = self._read(tree)
            if bundle is None:
                return
            if not self._is_reported(bundle):
                self._report(bundle)
                return
        # What `on_change` stumbled over is not in force: the version before it must be seen to age.
        if self._accepted and self._reported is not None and not self._reported.problems:
            self._on_confirmed()

    def _read(self, tree: Tree) -> PolicyBundle | None:
        """Read the tree once it holds still, or say that it does not; None if asked to stop."""
        deadline = time.monotonic() + limits.MAX_UNSETTLED_SECONDS
        patience = time.monotonic() + _EMPTIED_SECONDS
        settled, waited = tree == self._reader.tree, False
        while True:
            bundle = self._reader.read(tree) if settled else None
            if (
                bundle is not None
                and (waited or self._is_reported(bundle))
                and (time.monotonic() >= patience or not self._emptied(bundle))
            ):
                return bundle
            if time.monotonic() >= deadline:
                return unsettled()
            if self._stop.wait(self._settle):
                return None
            before, waited = tree, True
            tree = self._seen = scan(self._root)
            settled = tree == before

    def _emptied(self, bundle: PolicyBundle) -> bool:
        """Whether some file is empty that was not when last reported."""
        before = {} if self._reported is None else self._reported.files.contents
        return any(
            not content.size and (known := before.get(path)) is not None and known.size
            for path, content in bundle.files.contents.items()
        )

    def _is_reported(self, bundle: PolicyBundle) -> bool:
        last = self._reported
        return last is not None and (bundle.digest, bundle.problems) == (last.digest, last.problems)

    def _report(self, bundle: PolicyBundle) -> None:
        self._reported, self._accepted = bundle, False
        try:
            self._on_change(bundle)
            self._accepted = True
        except BaseException as error:  # noqa: BLE001 -- even `SystemExit` would end this thread without a word
            self._tell(error)

    def _complain(self, failure: BaseException | None) -> None:
        """Tell why there are no events, but not again every time that they are tried."""
        if failure is not None and str(failure) != self._complaint:
            self._complaint = str(failure)
            self._tell(failure)

    def _tell(self, error: BaseException) -> None:
        with suppress(BaseException):
            self._on_error(error)
