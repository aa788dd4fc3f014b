"""A proxy at the edge: the real program with its sample configuration, the real PDP, and an upstream."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.e2e.proxies.client import HOST, Answer, get, send
from tests.e2e.proxies.samples import Places, Sample
from tests.e2e.proxies.upstream import Arrival, Upstream
from tests.e2e.running import DEADLINE, PROD, Pki, Service, until

__all__ = ["OTHER", "WEB", "Edge", "free_ports", "issue_for"]

WEB = f"spiffe://{PROD}/ns/checkout/sa/web"
OTHER = f"spiffe://{PROD}/ns/checkout-not/sa/web"


def free_ports(count: int) -> list[int]:
    """Ports that are free, below those that the kernel gives to connections, which it might do any moment."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(20000, 32000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found += [port] if port not in found else []
    return found


def issue_for(pki: Pki) -> None:
    """Certificates of those who take part, and of two who would like to, but for the proxy's own."""
    pki.issue("pdp-server", uris=[f"spiffe://{PROD}/ns/pdp/sa/pdp"], dns=["pdp.example.com", "localhost"])
    pki.issue("elsewhere", uris=[f"spiffe://{PROD}/ns/pdp/sa/other"], dns=["elsewhere.example.com"])
    pki.issue("impostor", pki.stranger_root, uris=[f"spiffe://{PROD}/ns/pdp/sa/pdp"], dns=["pdp.example.com"])
    pki.issue("web", uris=[WEB])
    pki.issue("other", uris=[OTHER])
    pki.issue("stranger", pki.stranger_root, uris=[WEB])


class Edge:
    """Everything between a client and an upstream."""

    def __init__(
        self, sample: Sample, pki: Pki, folder: Path, more: str = "", planted: Mapping[str, str] | None = None
    ) -> None:
        self.sample, self.pki, self.folder = sample, pki, folder
        self.upstream = Upstream()
        listen, http, grpc = free_ports(3)
        self.places = Places(folder, listen, http, grpc, self.upstream.port)
        self._held = ExitStack()
        with ExitStack() as held:
            held.callback(self.upstream.close)
            self._lay_out(more)
            sample.write(self.places, planted)
            self.pdp = self._serve()
            held.callback(self.stop_pdp)
            log = held.enter_context((folder / "proxy.log").open("wb"))
            self._proxy = subprocess.Popen(
                sample.command(self.places), stdout=log, stderr=log, cwd=folder, env=_environment(folder)
            )
            held.callback(self._end_proxy)
            until(self._is_ready)
            self._held = held.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """End all of it; a proxy that had ended by itself is an error."""
        ended, log = self._proxy.poll(), self.log
        self._held.close()
        assert kind is not None or ended is None, log

    def _end_proxy(self) -> None:
        self._proxy.terminate()
        try:
            self._proxy.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self._proxy.kill()
            self._proxy.wait()

    def _lay_out(self, more: str) -> None:
        """The files that the configurations name, and the settings of the PDP."""
        name, pki = f"edge-{self.sample.name}", self.pki.folder
        # One for both sides: Envoy tells the PDP by which of its names a client has known it.
        self.pki.issue(name, uris=[self.sample.identity], dns=["payments.example.com", "folding.example.com"])
        for there in ("server", "pdp"):
            for part in ("", "-key"):
                (self.folder / f"{there}{part}.pem").write_bytes((pki / f"{name}{part}.pem").read_bytes())
            both = (self.folder / f"{there}.pem").read_bytes() + (
                self.folder / f"{there}-key.pem"
            ).read_bytes()
            (self.folder / f"{there}-both.pem").write_bytes(both)
        for there in ("clients", "pdp-roots"):
            (self.folder / f"{there}.pem").write_bytes((pki / "prod.pem").read_bytes())
        policies = self.folder / "policies"
        policies.mkdir()
        (policies / "edge.policy").write_text(self.sample.text("edge.policy"), encoding="utf-8")
        if more:  # a service beside that of the sample, for the same caller
            entry = "caller" + self.sample.text("edge.policy").partition("\ncaller")[2]
            text = more + entry.replace("fronts payments", "fronts folding")
            (policies / "more.policy").write_text(text, encoding="utf-8")
        (self.folder / "quarantine.json").write_text('{"entries": []}', encoding="utf-8")
        settings = (
            f'[policies]\npath = "{policies}"\n[decision_log]\nto = "{self.folder}/decisions.log"\n'
            f'[grpc]\nlisten = "127.0.0.1:{self.places.grpc}"\n'
            f'[http]\nlisten = "127.0.0.1:{self.places.http}"\n'
            f'certificate = "{pki}/pdp-server.pem"\nkey = "{pki}/pdp-server-key.pem"\n'
            f'[trust]\n"{PROD}" = "{pki}/prod.pem"\n[quarantine]\nfile = "{self.folder}/quarantine.json"\n'
        )
        (self.folder / "pdp.toml").write_text(settings + self.sample.profile, encoding="utf-8")

    def _serve(self) -> Service:
        command = [sys.executable, "-m", "pdp.cli.main", "serve", "--config", str(self.folder / "pdp.toml")]
        return Service(self.pki, self.folder / "policies", command=command)

    def _is_ready(self) -> bool:
        """Some take connections before they know what to do with them."""
        assert self._proxy.poll() is None, self.log
        with suppress(OSError):
            return self.get()[0].status == 200
        return False

    @property
    def log(self) -> str:
        return (self.folder / "proxy.log").read_text(encoding="utf-8", errors="replace")[
            -8000:
        ] + self.pdp.log

    # -- asking ------------------------------------------------------------------------

    def send(self, data: bytes, **how: Any) -> tuple[Answer, list[Arrival]]:
        """What a client is answered, and what arrived behind meanwhile."""
        self.upstream.take()
        answer = send(self.pki, self.places.listen, data, **how)
        return answer, self.upstream.take()

    def get(self, *what: Any, client: str | None = "web", **more: Any) -> tuple[Answer, list[Arrival]]:
        return self.send(get(*what, **more), client=client, name=more.get("host", HOST))

    def allowed(self, *what: Any, **more: Any) -> Arrival:
        """What arrived of a request that has to be let through."""
        answer, arrived = self.get(*what, **more)
        assert answer.status == 200, (answer, self.log)
        (one,) = arrived
        return one

    def refused(self, *what: Any, **more: Any) -> Answer:
        """The answer to a request of which nothing may arrive."""
        answer, arrived = self.get(*what, **more)
        assert answer.status != 200, answer
        assert arrived == []
        return answer

    def asked(self) -> dict[str, dict[str, Any]]:
        """What the PDP was asked about so far, by the ids of its decisions."""
        lines = (self.folder / "decisions.log").read_text(encoding="utf-8").split("\n")
        return {entry["decision_id"]: entry for entry in map(json.loads, filter(None, lines))}

    # -- what becomes of the PDP -------------------------------------------------------

    def stop_pdp(self) -> None:
        self.pdp.stop()

    def start_pdp(self) -> None:
        """Again, at the same addresses."""
        self.pdp = self._serve()

    @contextmanager
    def frozen_pdp(self) -> Iterator[None]:
        """Its sockets are there, and nothing comes of them."""
        os.kill(self.pdp.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pdp.process.pid, signal.SIGCONT)

    def until_allowed(self, seconds: float = DEADLINE) -> float:
        return until(lambda: self.get()[0].status == 200, seconds)


def _environment(folder: Path) -> dict[str, str]:
    """Ours, with what programs keep for themselves below the folder."""
    return {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
