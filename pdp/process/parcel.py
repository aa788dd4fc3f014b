"""A version as the supervisor hands it to its workers: one file in memory, read by all of them."""

import mmap
import os
from typing import final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pdp.identity.trust import TrustStore
from pdp.store.bundle import PolicyBundle, make_bundle

__all__ = ["pack", "unpack"]


@final
class _Parcel(msgspec.Struct, frozen=True):
    files: dict[str, bytes]
    domains: dict[str, list[bytes]]
    dns: list[bytes] | None


_decode = msgspec.msgpack.Decoder(_Parcel).decode


def pack(bundle: PolicyBundle, trust: TrustStore) -> int:
    """An open file that holds policies and roots; the caller's to close."""
    domains = {name: [_der(root) for root in roots] for name, roots in trust.domains.items()}
    dns = None if trust.dns is None else [_der(root) for root in trust.dns]
    content = msgspec.msgpack.encode(_Parcel(dict(bundle.files), domains, dns))
    file = os.memfd_create("pdp-version", os.MFD_CLOEXEC)
    with os.fdopen(os.dup(file), "wb") as writer:
        writer.write(content)
    return file


def unpack(file: int) -> tuple[PolicyBundle, TrustStore]:
    """The policies and roots that a file holds."""
    with mmap.mmap(file, 0, prot=mmap.PROT_READ) as content:
        parcel = _decode(content)
    domains = {
        name: tuple(map(x509.load_der_x509_certificate, roots)) for name, roots in parcel.domains.items()
    }
    dns = None if parcel.dns is None else tuple(map(x509.load_der_x509_certificate, parcel.dns))
    return make_bundle(parcel.files), TrustStore(domains=domains, dns=dns)


def _der(root: x509.Certificate) -> bytes:
    return root.public_bytes(Encoding.DER)
