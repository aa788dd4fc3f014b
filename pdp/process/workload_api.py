"""The SPIFFE Workload API as a live source: our certificate, roots and keys, as the agent has them.

One process asks the agent, for all that answer: by a stream for each of the three. This module says when;
what becomes of messages is in `pdp.process.deliveries`, how they come in `pdp.adapters.grpc.workload_api`.
While the agent is away, or wrong, what was in force stays, and that is told: certificates end by their own
dates, keys of tokens once nobody has confirmed them for too long.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final, final

from pdp.adapters.grpc.environment import settle
from pdp.adapters.tls import Credential, ServerTls
from pdp.config.model import Settings
from pdp.config.workload_api import WorkloadApiSettings
from pdp.diagnostics import escape
from pdp.identity.bundle import LiveBundles
from pdp.limits import AGENT_PATIENCE_SECONDS, AGENT_START_SECONDS, AGENT_TRY_SECONDS
from pdp.process.cannot_start import CannotStartError
from pdp.process.deliveries import Deliveries
from pdp.process.parts import Say, clock
from pdp.process.presented import Presented
from pdp.process.watch import Watch
from pdp.service.metrics import Metrics

__all__ = ["WorkloadApi", "asking"]

_WHAT: Final = "workload-api"
_LOOK_SECONDS: Final = 0.25
_OURS: Final = "our certificate"
_ROOTS: Final = "roots"
_KEYS: Final = "keys of tokens"


@contextmanager
def asking(settings: Settings, live: LiveBundles, say: Say) -> Iterator["WorkloadApi | None"]:
    """The agent that the settings name, asked until the end of the block; None where they name none.

    Raises:
        CannotStartError: It does not deliver our certificate, in all the time that it has for that.
    """
    if settings.workload_api is None:
        yield None
        return
    believed = settings.workload_api.trust_domains
    keyed = {
        name for name, given in settings.jwt_bundles.items() if name in believed and not given.names_keys
    }
    agent = WorkloadApi(settings.workload_api, keyed, live, say)
    try:
        agent.start()
        yield agent
    finally:
        agent.stop()


@final
class WorkloadApi:
    """Asks one agent."""

    def __init__(self, settings: WorkloadApiSettings, keyed: set[str], live: LiveBundles, say: Say) -> None:
        """Nothing is asked yet; `keyed`: whose JWT-SVIDs are believed by the agent's keys."""
        settle()  # before the library is imported, here or anywhere
        from pdp.adapters.grpc import workload_api as client  # noqa: PLC0415

        self._socket, self._say = settings.path, say
        self._deliveries = taken = Deliveries(
            live, settings.trust_domains, keyed, settings.spiffe_id, clock=clock, say=say
        )
        self._watches: dict[str, Watch[Any]] = {}
        if settings.certificate:
            self._watches[_OURS] = Watch("agent-svid", lambda: client.x509_svids(settings.path), taken.svids)
        if settings.trust_domains:
            self._watches[_ROOTS] = Watch(
                "agent-roots", lambda: client.x509_bundles(settings.path), taken.roots
            )
        if keyed:
            self._watches[_KEYS] = Watch("agent-keys", lambda: client.jwt_bundles(settings.path), taken.keys)
        self._told: dict[str, str] = {}
        self._stop = threading.Event()

    @property
    def credential(self) -> Credential | None:
        """Our certificate and its key as they came last; None where they come from elsewhere."""
        return self._deliveries.credential

    def start(self) -> None:
        """Ask, and wait a moment for the first answers; for our certificate longer: nobody is served without.

        Raises:
            CannotStartError: It did not come.
        """
        began = time.monotonic()
        for watch in self._watches.values():
            watch.start()
        for watch in self._watches.values():
            watch.tried.wait(max(0.0, began + AGENT_TRY_SECONDS - time.monotonic()))
        ours = self._watches.get(_OURS)
        if ours is not None and not ours.delivered.wait(
            max(0.0, began + AGENT_START_SECONDS - time.monotonic())
        ):
            msg = (
                f"the Workload API at {escape(str(self._socket))} has delivered no certificate for us"
                f" in {AGENT_START_SECONDS:g} seconds: {ours.problem}"
            )
            raise CannotStartError(msg)
        if ours is not None:  # an agent that came late: its other streams are begun again a moment later
            came = time.monotonic()
            for watch in self._watches.values():
                watch.delivered.wait(max(0.0, came + AGENT_TRY_SECONDS - time.monotonic()))

    def follow(self, tls: ServerTls | None, renewed: Callable[[], None], metrics: Metrics) -> ExitStack:
        """Present what comes, and tell what is wrong, until what is returned is closed.

        Args:
            tls: What presents our certificate.
            renewed: Has others go on with it once it is another.
            metrics: Where it is counted.
        """
        if tls is not None and _OURS in self._watches:
            self._deliveries.present(Presented(tls, renewed, metrics, say=self._say))
        thread = threading.Thread(target=self._keep, args=(metrics,), name="agent-look", daemon=True)
        thread.start()
        following = ExitStack()
        following.callback(self.stop)
        return following

    def stop(self) -> None:
        """End."""
        self._stop.set()
        for watch in self._watches.values():
            watch.stop()

    def _keep(self, metrics: Metrics) -> None:
        told = ""
        while True:
            try:
                self._look(metrics)
            except Exception as error:  # noqa: BLE001 -- one that ends tells nobody what is wrong
                defect = f"a defect of pdp: {type(error).__name__}: {error}"
                if defect != told:
                    self._say(defect)
                told = defect
            else:
                told = ""
            if self._stop.wait(_LOOK_SECONDS):
                return

    def _look(self, metrics: Metrics) -> None:
        for what, watch in self._watches.items():
            self._tell(what, watch, metrics)
        keys = self._watches.get(_KEYS)
        self._deliveries.confirm_keys(time.monotonic(), streaming=keys is not None and not keys.down_seconds)

    def _tell(self, what: str, watch: Watch[Any], metrics: Metrics) -> None:
        problem, told, down = watch.problem, self._told.get(what, ""), watch.down_seconds
        if problem and (problem == told or (told and down) or 0 < down < AGENT_PATIENCE_SECONDS):
            return  # an agent that is restarted is away for a moment, and each try tells another story
        if problem == told:
            return
        self._told[what] = problem
        metrics.renewal_refused(_WHAT, refused=any(self._told.values()))
        where = f"the Workload API at {escape(str(self._socket))}"
        if problem:
            kept = (
                "what it delivered before stays in force" if watch.delivered.is_set() else "there is none yet"
            )
            self._say(f"{where} does not deliver {what}: {problem}\n{kept}")
        else:
            self._say(f"{where} delivers {what} again")
