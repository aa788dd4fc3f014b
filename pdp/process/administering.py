"""The admin listener put together: the list that it changes, its roots, and who may."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, final

from pdp.adapters.admin import AdminApp, AdminRights
from pdp.adapters.admin_listener import AdminListener
from pdp.adapters.tls import ServerTls
from pdp.config.model import IdentitySettings, Settings
from pdp.identity.expiry import Ending, endings
from pdp.identity.quarantine.entries import Entry
from pdp.identity.quarantine.file import NotConfirmedError, add_entry, lift_entry
from pdp.identity.quarantine.lists import Quarantine, QuarantineError
from pdp.identity.quarantine.workloads import WorkloadPattern
from pdp.identity.renewal import renewed
from pdp.identity.trust import TrustError, TrustFiles, load_trust
from pdp.process.cannot_start import CannotStartError
from pdp.process.expiring import Expiring
from pdp.process.parts import Say, clock
from pdp.process.quarantine import QuarantineList
from pdp.service.counts import ADMIN_HELD
from pdp.service.metrics import Metrics
from pdp.service.quarantined import named_in
from pdp.store.file_watch import Contents, FileWatcher
from pdp.store.versions import Versions

__all__ = ["follow_admins", "make_admin"]

_WHAT: Final = "admin_trust"


@final
class _Kept:
    """A list in a file that the service follows."""

    def __init__(self, file: Path, followed: QuarantineList, versions: Versions) -> None:
        self._file, self._followed, self._versions = file, followed, versions

    @property
    def current(self) -> Quarantine:
        return self._followed.current

    def add(self, entry: Entry) -> None:
        with self._in_force():
            add_entry(self._file, entry, clock())
        _require(done=entry in self.current.entries)

    def lift(self, entry_id: str) -> Entry:
        with self._in_force():
            entry = lift_entry(self._file, entry_id, clock())
        _require(done=entry not in self.current.entries)
        return entry

    @contextmanager
    def _in_force(self) -> Iterator[None]:
        """Put in force what is changed within; from then on the list is not as it was, whatever fails."""
        doubt: NotConfirmedError | None = None
        try:
            yield
        except NotConfirmedError as error:
            doubt = error  # it is written all the same
        try:
            self._followed.reread()
        except QuarantineError as error:
            raise NotConfirmedError(str(error)) from error
        if doubt is not None:
            raise doubt

    def hits(self, pattern: WorkloadPattern) -> int:
        return named_in(pattern, self._versions.current.snapshot.index.principals)


def _require(*, done: bool) -> None:
    if not done:
        raise NotConfirmedError("somebody else has changed it at the same moment: see who is quarantined")


def make_admin(
    settings: Settings,
    listener: socket.socket,
    tls: ServerTls,
    followed: QuarantineList,
    versions: Versions,
    say: Say,
) -> tuple[AdminListener, ServerTls]:
    """The listener, and the roots of those who administer.

    Raises:
        CannotStartError: Its roots cannot be read.
    """
    admin, listed = settings.admin, settings.quarantine
    if admin is None or listed is None or listed.file is None:
        raise CannotStartError("`admin` changes the list in `quarantine.file`, which is not set")
    try:
        files = _files(settings)
        ours = ServerTls(tls.current.credential, load_trust(files.domains, crls=files.crls))
    except TrustError as error:
        raise CannotStartError(str(error)) from error
    rights = AdminRights(quarantine=admin.may_quarantine, lift=admin.may_lift)
    app = AdminApp(_Kept(listed.file, followed, versions), rights, clock=clock, say=say)
    return AdminListener(listener, app, tls=ours, presented=tls, clock=clock, say=say), ours


def _files(settings: IdentitySettings) -> TrustFiles:
    """Their roots, and the revocation lists of their trust domains."""
    trust = settings.admin.trust if settings.admin is not None else {}
    return TrustFiles(trust, crls={name: file for name, file in settings.crls.items() if name in trust})


def follow_admins(settings: IdentitySettings, tls: ServerTls, metrics: Metrics, say: Say) -> ExitStack:
    """Keep the roots of those who administer as their files are, until what is returned is closed.

    What of it ends is told ahead of time, and measured.
    """
    files = _files(settings)

    def consider(contents: Contents) -> str | None:
        after, wrong = renewed(tls.trust(), files, contents, datetime.fromtimestamp(clock() / 1000, UTC))
        if after != tls.current.pooled:
            tls.replace_trust(after)
            metrics.renewed(_WHAT)
            _measure(tls, metrics)
            say("trust of those who administer changed")
        return "\n".join(wrong) or None

    def tell(wrong: str | None) -> None:
        metrics.renewal_refused(_WHAT, refused=wrong is not None)
        say(
            "trust of those who administer is "
            + ("as its files are again" if wrong is None else f"not as its files are: {wrong}")
        )

    _measure(tls, metrics)
    watcher = FileWatcher(name="admin-trust-watch", paths=files.paths, consider=consider, tell=tell)
    watcher.start()
    following = ExitStack()
    following.callback(watcher.stop)
    following.enter_context(Expiring(lambda: _held(tls), say=say).follow(clock))
    return following


def _held(tls: ServerTls) -> Iterator[Ending]:
    """What those who administer are verified by. Our certificate is that of the decision listener."""
    for each in endings(tls.current.credential.chain, tls.trust()):
        if each.name != "server":
            yield each._replace(what=f"for those who administer, {each.what}")


def _measure(tls: ServerTls, metrics: Metrics) -> None:
    for what in ADMIN_HELD:
        kind = what.partition(" ")[0]
        ends = (each.ends for each in _held(tls) if each.name.startswith(f"{kind} "))
        metrics.admin_ends(what, min(ends, default=None))
