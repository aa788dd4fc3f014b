"""What can be seen of a running service from outside: its processes, its metrics, what it has published."""

import re
from contextlib import suppress
from pathlib import Path

from tests.e2e.running import Service

__all__ = ["alive", "children_of", "files_of", "metrics_of", "revisions", "workers_of"]


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children_of(pid: int) -> list[int]:
    """Processes that a process began and that have not ended; none once it has ended itself."""
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def files_of(pid: int) -> list[str]:
    """What a process holds open; a file that it closes meanwhile is left out."""
    found = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(path.readlink()))
    return found


def workers_of(service: Service) -> list[int]:
    """Processes of the workers of a service that has several: they are forked from one that it began."""
    return [worker for server in children_of(service.process.pid) for worker in children_of(server)]


def metrics_of(service: Service) -> dict[str, float]:
    """The page of metrics, for the usual caller."""
    connection = service.connect()
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def revisions(service: Service) -> list[str]:
    """Every revision that was served, in order."""
    return [
        found.group(1)
        for line in tuple(service.lines)
        if (found := re.match(r"(?:serving )?revision ([0-9a-f]+(?:~\d+)?)", line))
    ]
