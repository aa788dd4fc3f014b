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
from pdp.identity.quarantine.entries import Entry
from pdp.identity.quarantine.file import quarantine_in
from pdp.identity.quarantine.lists import (
    NOBODY,
    Quarantine,
    QuarantineError,
    read_quarantine,
    write_quarantine,
)
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
        self._changed: Callable[[], None] | None = None
        self._source: Callable[[], bytes] | None = None
        try:
            self._current = NOBODY if settings is None else self._first(settings)
        except (QuarantineError, OSError) as error:
            raise CannotStartError(f"who is quarantined cannot be told: {error}") from error
        self._handed_on = self._current

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
            return kept
        self._keep(found)
        return found

    def follow(self, changed: Callable[[], None]) -> ExitStack:
        """Keep it as its source has it, until what is returned is closed.

        Args:
            changed: Called once `current` is another one; has others go on with it.
        """
        self._changed = changed
        following = ExitStack()
        settings = self._settings
        if settings is None:
            return following
        if settings.file is not None:
            watcher = FileWatcher(
                name="quarantine-watch", paths=[settings.file], consider=self._consider, tell=self._tell
            )
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
        """Put what its file holds now in force; returns once it is, everywhere.

        Raises:
            QuarantineError: It cannot be read.
        """
        if self._settings is not None and self._settings.file is not None:
            with self._lock:
                self._settle(quarantine_in(self._settings.file))

    def _settle(self, found: Quarantine) -> None:
        """Put a list in force, here and with all others; with the lock held.

        INVARIANT: what could not be handed on is handed on by the next call.
        """
        before, self._current = self._handed_on, found
        if found.digest == before.digest:
            return
        if self._changed is not None:
            self._changed()
        self._handed_on = found
        self._metrics.renewed(_WHAT)
        for entry in _without(found, before):
            self._say(f"quarantined: {_about(entry)}")
        for entry in _without(before, found):
            self._say(f"no longer quarantined: {_about(entry)}")

    # -- a file --------------------------------------------------------------------------

    def _consider(self, contents: Contents) -> str | None:
        ((path, _),) = contents.items()
        with self._lock:  # read within it: of two, the slower must not bring back what the other has replaced
            try:
                self._settle(quarantine_in(path))
            except QuarantineError as error:
                return str(error)
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
        while not self._stop.wait(settings.poll_seconds):
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

    def _fetch(self) -> None:
        assert self._source is not None  # noqa: S101 -- `_first` has set it
        found = read_quarantine(self._source())
        with self._lock:
            if found.digest != self._handed_on.digest:
                self._settle(found)
                self._keep(found)

    def _keep(self, found: Quarantine) -> None:
        """For a start while the URL cannot be reached; what cannot be kept is in force all the same."""
        if self._settings is None:
            return
        path = _kept(self._settings)
        try:
            replace_files([Output(path=path, data=write_quarantine(found.entries), mode=_MODE)])
        except OSError as error:
            reason = f"{escape(str(path))}: cannot be written: {error.strerror}"
            self._say(f"warning: the quarantine is not kept for the next start: {reason}")


def _kept(settings: QuarantineSettings) -> Path:
    assert settings.kept is not None  # noqa: S101 -- it goes with `url`, as the settings have it
    return settings.kept


def _without(one: Quarantine, other: Quarantine) -> list[Entry]:
    """The entries of one that the other does not have."""
    return [entry for entry in one.entries if entry not in other.entries]


def _about(entry: Entry) -> str:
    kind, value = entry.target
    beside = entry.trust_domain or entry.issuer
    of = f" of {escape(beside)}" if beside else ""
    return (
        escape(f"{kind} {value}")
        + f"{of} until {entry.until}, by {escape(entry.who)}: {escape(entry.why)} ({entry.id})"
    )


def _sentence(url: SourceUrl, error: Exception) -> str:
    return str(error) if isinstance(error, FetchError) else f"{url.text}: {error}"
