"""What an agent delivers, put in force message by message, and what is wrong with each.

Every part stands by itself: a bundle that is bad keeps what its own trust domain had, and a certificate
that is bad the one that is presented. What a message leaves out is withdrawn (Workload API, section 4.1).
Only the trust domains that the settings name are believed, whatever else is delivered. When messages come
is in `pdp.process.workload_api`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from threading import Lock
from typing import Final, final

from pdp.adapters.tls import Credential, ServerCredentialError
from pdp.diagnostics import escape
from pdp.identity.bundle import LiveBundles, SpiffeBundle
from pdp.identity.tokens.jwks import KeySet
from pdp.identity.workload_api import (
    BadDeliveryError,
    DeliveredSvid,
    by_domain,
    read_keys,
    read_roots,
    read_svid,
)
from pdp.limits import MAX_KEYS_SECONDS, MAX_TOLD_DOMAINS
from pdp.process.parts import Say
from pdp.process.presented import Presented, usable
from pdp.vocabulary import Millis

__all__ = ["Deliveries"]

_STALE: Final = KeySet(keys=(), fault="nobody has confirmed them for too long")


@final
class Deliveries:
    """Takes what one agent delivers. May be used by several threads.

    Attributes:
        credential: The last good certificate and key of ours that came.
    """

    def __init__(
        self,
        live: LiveBundles,
        trust_domains: Iterable[str],
        keyed: Iterable[str],
        spiffe_id: str | None,
        *,
        clock: Callable[[], Millis],
        say: Say,
    ) -> None:
        """Nothing was delivered yet.

        Args:
            live: Where bundles go.
            trust_domains: Those that the agent is the source of.
            keyed: Those of them whose keys of JWT-SVIDs are believed as well.
            spiffe_id: Whose X.509-SVID is ours; None for the first.
            clock: The wall clock.
            say: Told of trust domains that nobody asked for.
        """
        self._live, self._spiffe_id, self._clock, self._say = live, spiffe_id, clock, say
        self._trust_domains, self._keyed = tuple(sorted(trust_domains)), tuple(sorted(keyed))
        self._ignored: set[str] = set()
        self._confirmed: dict[str, float] = {}
        self._refused: set[str] = set()
        self.credential: Credential | None = None
        self._presented: Presented | None = None
        self._handed_on = True
        self._bundles, self._ours = Lock(), Lock()

    # -- our certificate -----------------------------------------------------------------

    def svids(self, delivered: tuple[DeliveredSvid, ...]) -> str:
        """Present the one that is ours from now on; what is wrong with it, if something is."""
        try:
            svid = read_svid(delivered, self._spiffe_id)
            with self._ours:
                self.credential = usable(svid.chain, svid.key, self._clock())
                self._present()
        except (BadDeliveryError, ServerCredentialError) as error:
            return str(error)
        return ""

    def present(self, presented: Presented) -> None:
        """Have what comes from now on presented there, and what came last."""
        with self._ours:
            self._presented = presented
            self._present()

    def _present(self) -> None:
        if self._presented is not None and self.credential is not None:
            self._presented.present(self.credential)

    # -- bundles -------------------------------------------------------------------------

    def roots(self, bundles: Mapping[str, bytes]) -> str:
        """Believe these roots from now on; what is wrong with them, if something is."""
        given, unnamed = by_domain(bundles)
        self._tell_ignored({*given, *unnamed} - set(self._trust_domains))
        found, wrong = list[SpiffeBundle](), list[str]()
        for domain in self._trust_domains:
            try:
                found.append(read_roots(domain, given.get(domain, b"")))
            except BadDeliveryError as error:
                wrong.append(str(error))
        with self._bundles:
            now = self._live.now()
            self._put([replace(now[each.trust_domain], roots=each.roots) for each in found])
        return "; ".join(wrong)

    def keys(self, bundles: Mapping[str, bytes]) -> str:
        """Verify JWT-SVIDs by these keys from now on; what is wrong with them, if something is."""
        given, _ = by_domain(bundles)
        found, wrong = dict[str, KeySet](), list[str]()
        for domain in self._keyed:
            try:
                found[domain] = read_keys(domain, given[domain]) if domain in given else KeySet(keys=())
            except BadDeliveryError as error:
                wrong.append(str(error))
        with self._bundles:
            self._refused = set(self._keyed) - found.keys()
            for domain in found:
                self._confirmed.pop(domain, None)
            self._put_keys(found)
        return "; ".join(wrong)

    def confirm_keys(self, seconds: float, *, streaming: bool) -> None:
        """Note which keys still hold, and withdraw those of which that is unknown for too long.

        What could not be handed on before, of whatever was delivered, is handed on with that: the agent may
        be away, and say it no second time.

        Args:
            seconds: By a clock that is never set back.
            streaming: Whether the agent would have told of others.
        """
        with self._bundles:  # for all of it: keys that come meanwhile are newer
            for domain in self._keyed:
                if (streaming and domain not in self._refused) or domain not in self._confirmed:
                    self._confirmed[domain] = seconds
            stale = [name for name, at in self._confirmed.items() if seconds - at >= MAX_KEYS_SECONDS]
            if not self._handed_on or any(self._live.now()[name].keys != _STALE for name in stale):
                self._put_keys(dict.fromkeys(stale, _STALE))

    def _put_keys(self, found: Mapping[str, KeySet]) -> None:
        now = self._live.now()
        self._put([replace(now[domain], keys=keys) for domain, keys in found.items()])

    def _put(self, bundles: Iterable[SpiffeBundle]) -> None:
        self._handed_on = False  # until others have them: else it is tried again
        self._live.put(bundles)
        self._handed_on = True

    def _tell_ignored(self, domains: Iterable[str]) -> None:
        for domain in sorted(set(domains) - self._ignored)[: MAX_TOLD_DOMAINS - len(self._ignored)]:
            self._ignored.add(domain)
            self._say(
                f"the Workload API has a bundle of `{escape(domain)}`, which no setting asks for: ignored"
            )
