"""The roots of callers, and what was revoked, as files and live sources have them while the service runs.

This module puts together what each has for its own trust domains, and puts that in force: here, with all
others, and then in the revision. When files are looked at is in `pdp.process.renewal`; live sources deliver
through `pdp.identity.bundle`. What is wrong keeps what was in force, each trust domain by itself.

A root that is removed is believed no more before anything else happens; that a new revision says so comes
after it.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from threading import Lock
from typing import Final, final

from pdp.adapters.tls import ServerTls
from pdp.identity.bundle import LiveBundles, with_live
from pdp.identity.renewal import renewed as files_renewed
from pdp.identity.renewal import trust_changes
from pdp.identity.trust import TrustFiles, TrustStore, trust_warnings
from pdp.identity.twins import without_twins
from pdp.process.parts import Say
from pdp.service.metrics import Metrics
from pdp.store.file_watch import Contents
from pdp.vocabulary import Millis

__all__ = ["Roots", "new_warnings"]

_WHAT: Final = "trust"


def new_warnings(before: TrustStore, after: TrustStore, now: Millis) -> tuple[str, ...]:
    """What is doubtful about a trust store, and was not about the one before."""
    instant = datetime.fromtimestamp(now / 1000, UTC)
    known = set(trust_warnings(before, instant))
    return tuple(warning for warning in trust_warnings(after, instant) if warning not in known)


@final
class Roots:
    """What `tls` verifies callers to. May be used by several threads."""

    def __init__(  # noqa: PLR0913 -- all by keyword but three
        self,
        tls: ServerTls,
        files: TrustFiles,
        live: LiveBundles,
        *,
        renewed: Callable[[], None],
        restate: Callable[[str], None],
        metrics: Metrics,
        clock: Callable[[], Millis],
        say: Say,
    ) -> None:
        """Go on from what is in force; the arguments are those of `pdp.process.renewal.follow_files`."""
        self._tls, self._files, self._live = tls, files, live
        self._renewed, self._restate = renewed, restate
        self._metrics, self._clock, self._say = metrics, clock, say
        self._handed_on = now = tls.trust()  # what all others have
        self._of_files = replace(now, domains={name: now.domains[name] for name in files.domains})
        self._twins: tuple[str, ...] = ()
        self._lock = Lock()

    def consider(self, contents: Contents) -> str | None:
        """Put what the files hold in force, as far as nothing is wrong with it."""
        with self._lock:
            now = datetime.fromtimestamp(self._clock() / 1000, UTC)
            self._of_files, wrong = files_renewed(self._of_files, self._files, contents, now)
            self._settle()
        return "\n".join(wrong) or None

    def delivered(self) -> None:
        """Put what live sources have delivered in force."""
        with self._lock:
            self._settle()

    def tell(self, wrong: str | None) -> None:
        """Say what keeps the files from being in force, or that nothing does any more."""
        self._metrics.renewal_refused(_WHAT, refused=wrong is not None)
        self._say(
            "trust is as its files are again" if wrong is None else f"trust is not as its files are: {wrong}"
        )

    def _settle(self) -> None:
        ours = self._tls.current.credential.chain
        after, told = without_twins(with_live(self._of_files, self._live), self._handed_on, ours)
        for phrase in told:
            if phrase not in self._twins:
                self._say(f"warning: {phrase}")
        self._twins = told
        try:
            if after != self._tls.current.pooled or after != self._handed_on:
                self._replace(after)
        finally:
            self._restate(after.digest)

    def _replace(self, after: TrustStore) -> None:
        try:
            self._tls.replace_trust(after)
        finally:
            self._renewed()
        before, self._handed_on = self._handed_on, after  # not before: else it is not tried again
        self._metrics.renewed(_WHAT)
        for phrase in trust_changes(before, after):
            self._say(f"trust changed: {phrase}")
        for warning in new_warnings(before, after, self._clock()):
            self._say(f"warning: {warning}")
