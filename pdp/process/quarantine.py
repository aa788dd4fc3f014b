"""Who is believed no more, kept as a list has it while the service runs: a file, or an object at a URL.

One process does this for all that answer. A list that cannot be read keeps the one before, and that is told.
At the start there is none before: a service that cannot read its list does not start, lest a restart lift
what was quarantined. A list from a URL is kept in a file for that.
"""

import ssl
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final, final

from pdp.config.quarantine import QuarantineSettings
from pdp.diagnostics import escape
from pdp.identity.fetch import FetchError, SourceUrl, fetch, parse_source_url
from pdp.identity.private_files import Output, replace_files
from pdp.identity.quarantine.file import quarantine_in
from pdp.identity.quarantine.lists import (
    NOBODY,
    Quarantine,
    QuarantineError,
    read_quarantine,
    write_quarantine,
)
from pdp.identity.quarantine.told import added, lifted
from pdp.process.cannot_start import CannotStartError
from pdp.process.parts import Say
from pdp.service.metrics import Metrics
from pdp.store.file_watch import Contents, FileWatcher

__all__ = ["QuarantineList"]

_WHAT: Final = "quarantine"
_MODE: Final = 0o600


@final
class QuarantineList:
    """The list in force. May be used by several threads."""

    def __init__(self, settings: QuarantineSettings | None, metrics: Metrics, say: Say) -> None:
        """Read the list for the first time.

        Raises:
            CannotStartError: It cannot be read.
        """
        self._settings, self._metrics, self._say = settings, metrics, say
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._hand_on: Callable[[], None] | None = None
        self._name: Callable[[], None] | None = None
        self._watcher: FileWatcher | None = None
        self._unnamed = False
        self._kept_digest: str | None = None  # of what lies in `kept`, as far as that is known
        self._keeping_failed = False
        self._source: Callable[[], bytes] | None = None
        self._fetching = threading.Lock()
        self._fetched: bytes | None = None  # what was fetched last, if nothing of it waits to be done
        try:
            self._current = NOBODY if settings is None else self._first(settings)
        except (QuarantineError, OSError) as error:
            raise CannotStartError(f"who is quarantined cannot be told: {error}") from error
        self._told = self._current
        #: What all others have; None while that is not known.
        self._handed_on: Quarantine | None = self._current

    @property
    def current(self) -> Quarantine:
        """Who is believed no more. One reference: reading it needs no lock."""
        return self._current

    def _first(self, settings: QuarantineSettings) -> Quarantine:
        if settings.file is not None:
            return quarantine_in(settings.file)
        url = parse_source_url(str(settings.url))
        context = ssl.create_default_context(
            cafile=None if settings.ca_file is None else str(settings.ca_file)
        )
        self._source = lambda: fetch(url, context)
        try:
            found = read_quarantine(self._source())
        except (FetchError, QuarantineError) as error:
            kept = quarantine_in(_kept(settings))
            self._say(f"warning: the quarantine is as it was kept: {_sentence(url, error)}")
            self._kept_digest = kept.digest
            return kept
        self._tell_of_lifted(settings, found)
        self._keep(found)
        return found

    def _tell_of_lifted(self, settings: QuarantineSettings, found: Quarantine) -> None:
        """Say what is believed again since the service ran last."""
        try:
            before = quarantine_in(_kept(settings))
        except QuarantineError:
            return  # there is none yet, or none that can be read
        for told in lifted(before, found):
            self._say(told)

    def follow(self, *, hand_on: Callable[[], None], name: Callable[[], None]) -> ExitStack:
        """Keep it as its source has it, until what is returned is closed.

        Args:
            hand_on: Called once `current` is another one; returns once it is in force with all others.
            name: Called then, to have the revision say so; that may wait for a version under way.
        """
        self._hand_on, self._name = hand_on, name
        following = ExitStack()
        settings = self._settings
        if settings is None:
            return following
        if settings.file is not None:
            watcher = FileWatcher(
                name="quarantine-watch", paths=[settings.file], consider=self._consider, tell=self._tell
            )
            self._watcher = watcher
            watcher.start()
            following.callback(watcher.stop)
        else:
            polling = threading.Thread(
                target=self._poll, args=(settings,), name="quarantine-fetch", daemon=True
            )
            polling.start()
        following.callback(self._stop.set)
        return following

    def reread(self) -> None:
        """Put what its source holds now in force; returns once it is, everywhere.

        Raises:
            QuarantineError: It cannot be read.
        """
        if self._settings is None:
            return
        if self._settings.file is None:
            try:
                self._fetch()
            except FetchError as error:
                raise QuarantineError(str(error)) from error
            return
        with self._lock:
            self._settle(quarantine_in(self._settings.file))
        if self._watcher is not None:
            self._watcher.again()  # it has not seen what lies between
        self._have_named()

    def _settle(self, found: Quarantine) -> None:
        """Put a list in force, here and with all others; with the lock held.

        INVARIANT: what could not be handed on is handed on by the next call, whatever the list is then.
        """
        self._current = found
        if self._handed_on is not None and found.digest == self._handed_on.digest:
            return
        self._handed_on = None
        if self._hand_on is not None:
            self._hand_on()
        self._handed_on, self._unnamed = found, True
        before, self._told = self._told, found
        self._metrics.renewed(_WHAT)
        for told in (*added(before, found), *lifted(before, found)):
            self._say(told)

    def _have_named(self) -> None:
        """Have the revision name what is in force; without the lock: the next list need not wait for it."""
        if self._unnamed and self._name is not None:
            self._unnamed = False
            try:
                self._name()
            except BaseException:
                self._unnamed = True  # by the next look
                raise

    # -- a file --------------------------------------------------------------------------

    def _consider(self, contents: Contents) -> str | None:
        ((path, _),) = contents.items()
        with self._lock:  # read within it: of two, the slower must not bring back what the other has replaced
            try:
                self._settle(quarantine_in(path))
            except QuarantineError as error:
                return str(error)
        self._have_named()
        return None

    def _tell(self, wrong: str | None) -> None:
        self._metrics.renewal_refused(_WHAT, refused=wrong is not None)
        self._say(
            "the quarantine is as its source is again"
            if wrong is None
            else f"the quarantine stays as it was: {wrong}"
        )

    # -- a URL ---------------------------------------------------------------------------

    def _poll(self, settings: QuarantineSettings) -> None:
        """Fetch the list again and again; say once what keeps it from being read."""
        url, told = parse_source_url(str(settings.url)), ""
        while True:  # with a look at once: it is some time since the start
            problem = ""
            try:
                self._fetch()
            except (FetchError, QuarantineError) as error:
                problem = _sentence(url, error)
            except Exception as error:  # noqa: BLE001 -- one that ends would follow nothing any more
                problem = f"a defect of pdp: {type(error).__name__}: {escape(str(error))}"
            if self._stop.is_set():
                return
            if bool(problem) != bool(told):
                self._tell(problem or None)
                told = problem
            if self._stop.wait(settings.poll_seconds):
                return

    def _fetch(self) -> None:
        assert self._source is not None  # noqa: S101 -- `_first` has set it
        with self._fetching:  # of two, the slower must not bring back what the other has replaced
            data = self._source()
            if data == self._fetched:
                return  # a long list costs some milliseconds to read, several times a second
            self._fetched = None
            found = read_quarantine(data)
            with self._lock:
                self._settle(found)
            if found.digest != self._kept_digest:
                self._keep(found)
            self._have_named()
            if found.digest == self._kept_digest and not self._unnamed:
                self._fetched = data

    def _keep(self, found: Quarantine) -> None:
        """For a start while the URL cannot be reached; what cannot be kept is in force all the same."""
        if self._settings is None:
            return
        path = _kept(self._settings)
        try:
            replace_files([Output(path=path, data=write_quarantine(found.entries), mode=_MODE)])
        except OSError as error:
            reason = f"{escape(str(path))}: cannot be written: {error.strerror}"
            if self._kept_digest is not None or not self._keeping_failed:
                self._say(f"warning: the quarantine is not kept for the next start: {reason}")
            self._keeping_failed, self._kept_digest = True, None
        else:
            self._keeping_failed, self._kept_digest = False, found.digest


def _kept(settings: QuarantineSettings) -> Path:
    assert settings.kept is not None  # noqa: S101 -- it goes with `url`, as the settings have it
    return settings.kept


def _sentence(url: SourceUrl, error: Exception) -> str:
    return str(error) if isinstance(error, FetchError) else f"{url.text}: {error}"
