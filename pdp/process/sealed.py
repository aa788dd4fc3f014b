"""Files in memory, without a name in any directory, that nobody can change once they are written."""

import fcntl
import mmap
import os
from collections.abc import Iterable
from typing import Final

from pdp.image.layout import ImageError

__all__ = ["map_sealed", "write_sealed"]

_SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_MOST_AT_ONCE: Final = 1 << 24


def write_sealed(contents: Iterable[bytes]) -> int:
    """An open file that holds these bytes one after the other; the caller's to close.

    Raises:
        OSError: There is no memory for it.
    """
    file = os.memfd_create("pdp", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with os.fdopen(os.dup(file), "wb", buffering=_MOST_AT_ONCE) as writer:
            writer.writelines(contents)
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(file)
        raise
    return file


def map_sealed(file: int) -> mmap.mmap:
    """The bytes of an open file that nobody can change. It may be closed then.

    The pages are those of the file: whoever maps it shares them.

    Raises:
        ImageError: It can be changed, or it is empty.
    """
    if fcntl.fcntl(file, fcntl.F_GET_SEALS) & _SEALS != _SEALS:
        raise ImageError("a file that was handed over can still be changed")
    if not os.fstat(file).st_size:
        raise ImageError("a file that was handed over is empty")
    # Private, though nothing is ever written: a shared mapping of a sealed file is refused by older kernels.
    return mmap.mmap(file, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
