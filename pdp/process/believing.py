"""Whom a service believes, and whom no more: put together, and kept as its sources are.

Each source is followed by a module of its own: files of certificates and roots, an agent, bundles of others,
keys of tokens, the quarantine. This one says what they have in common: what is new is first in force with all
who answer, and then part of the revision's name.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, final

from pdp.adapters.tls import ServerTls
from pdp.config.model import Settings
from pdp.identity.bundle import LiveBundles
from pdp.identity.trust import TrustStore
from pdp.process.circumstances import Circumstances
from pdp.process.federation import Federation
from pdp.process.parcel import Believed
from pdp.process.parts import Say, clock
from pdp.process.quarantine import QuarantineList
from pdp.process.renewal import follow_files
from pdp.process.token_keys import TokenKeys
from pdp.process.workload_api import WorkloadApi
from pdp.service.metrics import Metrics

__all__ = ["Believing"]


@final
class Believing:
    """All of it, in the process that publishes. May be used by several threads.

    Attributes:
        keys: Whose tokens are believed.
        quarantine: Who is believed no more.
    """

    def __init__(
        self,
        settings: Settings,
        tls: ServerTls | None,
        trust: TrustStore,
        live: LiveBundles,
        agent: WorkloadApi | None,
        *,
        metrics: Metrics,
        say: Say,
    ) -> None:
        """Begin with what is at hand; nothing is fetched yet but a list at a URL.

        Args:
            settings: They name the sources.
            tls: Our certificate, and the roots of callers; None without TLS.
            trust: Those roots, as they were read at the start.
            live: Bundles of trust domains that have a live source.
            agent: Who delivers our certificate and bundles, if one does.
            metrics: Where it is counted.
            say: Told of what changes, and of what is wrong.

        Raises:
            CannotStartError: Who is quarantined cannot be read.
        """
        self._settings, self._tls, self._live, self._agent = settings, tls, live, agent
        self._metrics, self._say = metrics, say
        self.keys: Final = TokenKeys(settings, metrics, say, live)
        self.quarantine: Final = QuarantineList(settings.quarantine, metrics, say)
        self._federation = Federation(settings.federation, tls, trust, live, metrics=metrics, say=say)
        self._circumstances = Circumstances(
            trust.digest, self.keys.trust.digest, self.quarantine.current.digest
        )

    @property
    def circumstances(self) -> str:
        """As `pdp.store.loader.Loader` has them."""
        return self._circumstances.name

    @property
    def believed(self) -> Believed:
        """What those who answer are handed, besides certificates and roots."""
        return Believed(self.keys.trust, self.quarantine.current)

    def follow(self, *, hand_on: Callable[[], None], restate: Callable[[str], None]) -> ExitStack:
        """Keep it as its sources are, until what is returned is closed.

        Args:
            hand_on: Called once something is another one here; returns once it is with all who answer.
            restate: Told what names the revision from then on.
        """
        circumstances = self._circumstances

        def keys_changed() -> None:
            hand_on()
            circumstances.of_tokens(lambda: self.keys.trust.digest, restate)

        following = ExitStack()
        if self._tls is not None:
            renewal = follow_files(
                self._settings,
                self._tls,
                self._live,
                renewed=hand_on,
                restate=lambda digest: circumstances.of_roots(digest, restate),
                metrics=self._metrics,
                clock=clock,
                say=self._say,
            )
            following.enter_context(renewal)
        if self._agent is not None:
            following.enter_context(self._agent.follow(self._tls, hand_on, self._metrics))
        following.enter_context(self.keys.follow(keys_changed))
        following.enter_context(
            self.quarantine.follow(
                hand_on=hand_on,
                name=lambda: circumstances.of_quarantine(lambda: self.quarantine.current.digest, restate),
            )
        )
        following.enter_context(self._federation.follow())
        return following
