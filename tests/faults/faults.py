"""All faults, each with the stage that it needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.floods import FLOOD, IN_FLIGHT
from tests.faults.load import Load
from tests.faults.logs import BLOCKING, DROPPING, UNREAD, SlowlyRead
from tests.faults.processes import ENDING, LIVING
from tests.faults.stage import Stage, small_disk
from tests.faults.trial import Fault
from tests.faults.versions import FOLLOWED

__all__ = ["ALL", "ALONE", "TOGETHER", "load_for", "stage"]

_DISK_MEGABYTES = 256

#: Those that one service lives through, one after the other.
TOGETHER: tuple[Fault, ...] = (*FOLLOWED, *LIVING, DROPPING, FLOOD)
#: Those that need a service of their own.
ALONE: tuple[Fault, ...] = (BLOCKING, UNREAD, *ENDING)
ALL = (*TOGETHER, *ALONE)


@contextmanager
def stage(folder: Path, fault: Fault | None = None) -> Iterator[Stage]:
    """A service for a fault, or for all that one lives through."""
    folder.mkdir()
    with small_disk(folder / "disk", _DISK_MEGABYTES) as disk:
        log = str((disk or folder) / "decisions.log")
        limits = f"[limits]\nin_flight = {IN_FLIGHT}\n" if fault is None else ""
        if fault is UNREAD:
            made = Stage(folder / "stage", log="stdout", made=SlowlyRead)
        else:
            made = Stage(
                folder / "stage", log=log, mode="block" if fault is BLOCKING else "drop", settings=limits
            )
        try:
            yield made
        finally:
            made.close()


def load_for(fault: Fault, on: Stage) -> Load:
    """Who asks meanwhile, on connections that last; where the service ends, some on new ones as well."""
    return on.load(once={"second"} if fault in ENDING else ())
