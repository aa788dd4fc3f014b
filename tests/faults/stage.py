"""A real service of several workers on which faults are tried, with everything about it that is looked at."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.e2e.grpc_calls import grpc_port
from tests.e2e.inspecting import metrics_of, revisions, workers_of
from tests.e2e.running import PARTNER, PEP, PROD, Pki, Service, make_policies, until
from tests.e2e.trusting import replace
from tests.faults.load import Load
from tests.faults.published import Expected, policy
from tests.identity.mint import Party, authority

__all__ = ["GRACE_SECONDS", "PATIENCE", "WORKERS", "Stage", "small_disk"]

WORKERS = 3
GRACE_SECONDS = 1.5
PATIENCE = 120.0  # four processes begin, each a second of a core that others may want as well
_LOG_BYTES = 1024 * 1024 * 1024  # never rotated here: each line is looked for


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path | None]:
    """A file system of that size, where one may be mounted."""
    folder.mkdir()
    size = f"size={megabytes}m"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "pdp-faults", str(folder)], capture_output=True, check=False
    )
    try:
        yield folder if mounted.returncode == 0 else None
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=True)


class Stage:
    """The service, its files, and the revisions that it has told of.

    `pep` and `second` are one caller under two roots of one trust domain; ours is the first.
    """

    def __init__(
        self,
        folder: Path,
        *,
        log: str = "",
        mode: str = "drop",
        settings: str = "",
        made: Callable[..., Service] = Service,
    ) -> None:
        folder.mkdir()
        self.folder = folder
        self.pki = Pki(folder)
        now, days = self.pki.now, timedelta(days=1)
        self.first = self.pki.root
        self.other = authority(
            "prod root two", uris=[f"spiffe://{PROD}"], start=now - days, end=now + 30 * days
        )
        self.pki.issue("second", self.other, uris=[PEP])
        self.roots = folder / "trusted.pem"
        one = self._trust_of(self.first, folder / "one.pem")
        self.believe(self.first, self.other)
        self.expected = Expected([self._trust(), one])
        self.policies = make_policies(folder / "policies", policy(0))
        self.log = Path(log) if log.startswith("/") else None
        self.config = folder / "pdp.toml"
        self.config.write_text(
            f'[decision_log]\nto = "{log or "none"}"\nmode = "{mode}"\nmax_bytes = {_LOG_BYTES}\n'
            f'[metrics]\nreaders = ["{PEP}"]\n[drain]\ngrace_seconds = {GRACE_SECONDS}\n{settings}'
        )
        self._made = made
        self.uncounted = 0  # lines of processes that were killed before they counted them
        self.service = self.start()
        self.ports = self.service.port, grpc_port(self.service)

    def start(self, port: int = 0) -> Service:
        """Begin a service over these files."""
        return self._made(
            self.pki, self.policies, "--workers", str(WORKERS), "--http", f"127.0.0.1:{port}",
            "--grpc", "127.0.0.1:0", "--health", "127.0.0.1:0", "--config", str(self.config),
            trust=[f"{domain}={file}" for domain, file in self._trust().items()], patience=PATIENCE,
        )  # fmt: skip

    def _trust(self) -> dict[str, Path]:
        return {PROD: self.roots, PARTNER: self.folder / "partner.pem"}

    def _trust_of(self, root: Party, file: Path) -> dict[str, Path]:
        file.write_bytes(root.pem)
        return {**self._trust(), PROD: file}

    def load(self, callers: Mapping[str, int] | None = None, **more: Any) -> Load:
        """Who asks it; not yet."""
        port, port_of_grpc = self.ports
        return Load(
            self.pki, self.expected, port, grpc_port=port_of_grpc,
            callers={"pep": 10, "second": 4} if callers is None else callers, **more,
        )  # fmt: skip

    # -- what can be done to it ----------------------------------------------------------

    def believe(self, *roots: Party) -> None:
        """Let the file of the roots hold these."""
        replace(self.roots, b"".join(root.pem for root in roots))

    def write(self, text: str) -> None:
        """Save another text of the policy set, whole."""
        part = self.policies / "new"
        part.write_text(text, encoding="utf-8")
        part.rename(self.policies / "main.policy")

    def publish(self, number: int) -> str:
        """Save a version, and wait until it is served; the revision's name."""
        before = len(self.order)
        self.write(policy(number))
        until(lambda: len(self.order) > before, PATIENCE)
        return self.order[before]

    # -- what is seen of it --------------------------------------------------------------

    @property
    def workers(self) -> list[int]:
        """Processes of the workers."""
        return workers_of(self.service)

    @property
    def order(self) -> list[str]:
        """Every revision that was served, in order."""
        return revisions(self.service)

    def memory(self) -> int:
        """Kilobytes that the workers hold, all together."""
        return sum(
            int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])  # type: ignore[index]
            for pid in self.workers
        )

    def metrics(self) -> dict[str, float]:
        """The page of metrics."""
        return metrics_of(self.service)

    def settled(self) -> tuple[int, int, int]:
        """Decided, logged and dropped, once nothing waits to be written."""
        until(lambda: self.metrics()["pdp_log_queue"] == 0, PATIENCE)
        found = self.metrics()
        return (
            int(found["pdp_log_decided_total"]),
            int(found['pdp_log_entries_total{outcome="logged"}']),
            int(found['pdp_log_entries_total{outcome="dropped"}']),
        )

    def lines(self) -> list[dict[str, Any]]:
        """The decision log: each line is whole, or this raises."""
        if self.log is None:
            return [json.loads(line) for line in tuple(self.service.lines) if line.startswith("{")]
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def wait_whole(self) -> None:
        """Wait until there are as many workers as there should be."""
        until(lambda: len(self.workers) == WORKERS, PATIENCE)

    def late(self, since: int) -> int:
        """How many workers were replaced since a mark because they came too late to a change.

        On a machine that is busy enough that happens, once in a while.
        """
        return sum(
            " did not " in line and "it is replaced" in line for line in tuple(self.service.lines)[since:]
        )

    def close(self) -> None:
        """End it, whatever state it is in."""
        for pid in self.workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.service.stop()
