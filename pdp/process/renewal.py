"""Certificate, key, roots and revocation lists as their files change: watched, put in force, and told.

What is wrong keeps what was in force. Roots are put in force by `pdp.process.roots`, which has those of live
sources as well.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import final

from pdp.adapters.tls import ServerCredentialError, ServerTls
from pdp.config.model import Settings
from pdp.config.roots import trust_files
from pdp.config.unsafe import secret_problems
from pdp.diagnostics import escape
from pdp.identity.bundle import LiveBundles
from pdp.identity.expiry import endings
from pdp.process.expiring import Expiring
from pdp.process.parts import Say
from pdp.process.presented import Presented, usable
from pdp.process.roots import Roots
from pdp.service.metrics import Metrics
from pdp.store.file_watch import Contents, FileWatcher
from pdp.vocabulary import Millis

__all__ = ["follow_files"]


def follow_files(  # noqa: PLR0913 -- all by keyword but three
    settings: Settings,
    tls: ServerTls,
    live: LiveBundles,
    *,
    renewed: Callable[[], None],
    restate: Callable[[str], None],
    metrics: Metrics,
    clock: Callable[[], Millis],
    say: Say,
) -> ExitStack:
    """Keep `tls` as its files and live sources have it, until what is returned is closed.

    Args:
        settings: They name the files.
        tls: What is kept.
        live: The bundles of trust domains that no file is for.
        renewed: Called once it holds something else, before that is told; has others go on with it.
        restate: Told the digest of the trust that is in force, after each look at it.
        metrics: Where it is counted.
        clock: The wall clock.
        say: Told of what changes, and of what is wrong.
    """
    files = trust_files(settings)
    roots = Roots(
        tls, files, live,
        renewed=renewed, restate=restate, metrics=metrics, clock=clock, say=say,
    )  # fmt: skip
    watchers = [FileWatcher(name="trust-watch", paths=files.paths, consider=roots.consider, tell=roots.tell)]
    if settings.http.certificate is not None:
        presented = Presented(tls, renewed, metrics, say=say)
        ours = _Certificate(*settings.http.credentials, presented, metrics, clock, say)
        watchers.append(
            FileWatcher(
                name="certificate-watch",
                paths=[ours.certificate, ours.key],
                consider=ours.consider,
                tell=ours.tell,
            )
        )
    expiring = Expiring(lambda: endings(tls.current.credential.chain, tls.trust()), say=say)
    following = ExitStack()
    following.enter_context(expiring.follow(clock))
    following.callback(live.on_change(roots.delivered))
    for watcher in watchers:
        watcher.start()
        following.callback(watcher.stop)
    return following


@final
class _Certificate:
    """The files of our certificate and its key."""

    def __init__(
        self,
        certificate: Path,
        key: Path,
        presented: Presented,
        metrics: Metrics,
        clock: Callable[[], Millis],
        say: Say,
    ) -> None:
        self.certificate, self.key = certificate, key
        self._presented, self._metrics, self._clock, self._say = presented, metrics, clock, say

    def consider(self, contents: Contents) -> str | None:
        """Present what the files hold from now on, if nothing is wrong with it."""
        chain, key = contents[self.certificate], contents[self.key]
        for path, found in ((self.certificate, chain), (self.key, key)):
            if isinstance(found, str):
                return f"{escape(str(path))}: {found}"
        assert isinstance(chain, bytes)  # noqa: S101 -- looked at above, which the type checker does not follow
        assert isinstance(key, bytes)  # noqa: S101 -- the same
        if self._presented.has(chain, key):
            return None
        # As at the start (`pdp.config.unsafe`), and in the same words.
        problems = tuple(secret_problems(("http", "key"), self.key))
        for problem in problems:
            if problem.refused:
                return escape(f"`http.key`: {problem.message}: {problem.help}")
        try:
            self._presented.present(usable(chain, key, self._clock()))
        except ServerCredentialError as error:
            return f"{escape(str(self.certificate))} and {escape(str(self.key))}: {error}"
        for problem in problems:
            self._say(escape(f"warning: `http.key`: {problem.message}"))
        return None

    def tell(self, wrong: str | None) -> None:
        """Say what keeps the files from being in force, or that nothing does any more."""
        self._metrics.renewal_refused("certificate", refused=wrong is not None)
        if wrong is None:
            self._say("our certificate is as its files are again")
            return
        ends = self._presented.until
        self._say(f"our certificate is not renewed: {wrong}\nstill presenting the one that ends at {ends}")
