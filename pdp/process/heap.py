"""Memory that is free within this process, given back to the system.

Compiling a large set takes several times what the result does, and the allocator keeps what was freed for
the next time. A supervisor has no such use of it until the next edit, and workers need it.
"""

import ctypes
from typing import Final

__all__ = ["give_back"]

_trim: Final = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it; others give back by themselves


def give_back() -> None:
    """Give back what is free. Takes some milliseconds; no other thread waits for most of them."""
    if _trim is not None:
        _trim(0)
