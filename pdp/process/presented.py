"""The certificate that we present: another one is put in force, and told, wherever it came from."""

from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock
from typing import Final, final

from pdp.adapters.tls import Credential, ServerCredentialError, ServerTls
from pdp.identity.expiry import end
from pdp.process.parts import Say
from pdp.service.metrics import Metrics
from pdp.vocabulary import Millis

__all__ = ["Presented", "shown_instant", "usable"]

_WHAT: Final = "certificate"


def usable(chain: bytes, key: bytes, now: Millis) -> Credential:
    """A certificate chain and its key, PEM, to be presented.

    Raises:
        ServerCredentialError: They cannot be used or do not belong together, or the certificate has expired.
    """
    found = Credential(chain=chain, key=key)
    if end(chain) < now:
        raise ServerCredentialError(f"it expired at {shown_instant(end(chain))}")
    return found


def shown_instant(instant: Millis) -> str:
    """An instant as it is told."""
    return f"{datetime.fromtimestamp(instant / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


@final
class Presented:
    """What `tls` presents. May be used by several threads."""

    def __init__(
        self,
        tls: ServerTls,
        renewed: Callable[[], None],
        metrics: Metrics,
        *,
        say: Say,
    ) -> None:
        """Go on from what is in force; `renewed` has others go on with what `tls` holds."""
        self._tls, self._renewed = tls, renewed
        self._metrics, self._say = metrics, say
        self._handed_on = True
        self._lock = Lock()

    @property
    def until(self) -> str:
        """When what is presented ends, as it is told."""
        return shown_instant(end(self._tls.current.credential.chain))

    def has(self, chain: bytes, key: bytes) -> bool:
        """Whether this is presented already, by all."""
        serving = self._tls.current.credential
        return (chain, key) == (serving.chain, serving.key) and self._handed_on

    def present(self, new: Credential) -> None:
        """Present this from the next handshake on; whether it is `usable` is known to whoever has it.

        Raises:
            Exception: Whatever keeps others from going on with it; the next call tries again.
        """
        with self._lock:
            if self.has(new.chain, new.key):
                return
            self._handed_on = False  # until others have it: else it is tried again
            self._tls.replace_credential(new)
            self._renewed()
            self._handed_on = True
        self._metrics.renewed(_WHAT)
        self._say(f"our certificate was renewed: it ends at {self.until}")
