"""The clock by which answers age: it goes on while the machine sleeps, and nobody sets it."""

import time
from collections.abc import Callable
from functools import partial
from typing import Final

__all__ = ["now"]

#: Seconds since some instant. `time.monotonic` stands still on Linux while the machine is suspended, and
#: an answer that was kept before would be used after hours.
now: Final[Callable[[], float]] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)
