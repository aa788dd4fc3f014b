"""Policies as the supervisor hands them to its workers: one file in memory, read by all of them."""

import mmap
import os
from typing import Final

import msgspec

from pdp.store.bundle import PolicyBundle, make_bundle

__all__ = ["pack", "unpack"]

_decode: Final = msgspec.msgpack.Decoder(dict[str, bytes]).decode


def pack(bundle: PolicyBundle) -> int:
    """An open file that holds the policies; the caller's to close."""
    file = os.memfd_create("pdp-version", os.MFD_CLOEXEC)
    with os.fdopen(os.dup(file), "wb") as writer:
        writer.write(msgspec.msgpack.encode(dict(bundle.files)))
    return file


def unpack(file: int) -> PolicyBundle:
    """The policies that a file holds."""
    with mmap.mmap(file, 0, prot=mmap.PROT_READ) as content:
        return make_bundle(_decode(content))
