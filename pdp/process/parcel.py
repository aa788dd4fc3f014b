"""What the supervisor hands to its workers: files in memory, without a name in any directory."""

import mmap
import os
from typing import Final, TypeVar, final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pdp.adapters.tls import Credential, ServerTls
from pdp.config.model import Settings
from pdp.identity.trust import TrustStore

__all__ = ["pack_settings", "pack_tls", "renew_tls", "unpack_settings", "unpack_tls"]

_T = TypeVar("_T")


@final
class _Tls(msgspec.Struct, frozen=True):
    chain: bytes
    key: bytes
    domains: dict[str, list[bytes]]
    dns: list[bytes] | None


_settings: Final[msgspec.msgpack.Decoder[str]] = msgspec.msgpack.Decoder(str)
_tls: Final[msgspec.msgpack.Decoder[_Tls | None]] = msgspec.msgpack.Decoder(_Tls | None)


def pack_settings(settings: Settings) -> int:
    """An open file that holds settings, however many; the caller's to close."""
    return _pack(settings.model_dump_json(exclude_defaults=True))  # a default need not be what may be set


def unpack_settings(file: int) -> Settings:
    """The settings that a file holds."""
    return Settings.model_validate_json(_unpack(file, _settings))


def pack_tls(tls: ServerTls | None) -> int:
    """An open file that holds our certificate, its key, and the roots of callers; the caller's to close."""
    if tls is None:
        return _pack(None)
    current = tls.current  # once: another thread may replace it
    credential, trust = current.credential, current.trust
    domains = {name: _encoded(roots) for name, roots in trust.domains.items()}
    dns = None if trust.dns is None else _encoded(trust.dns)
    return _pack(_Tls(credential.chain, credential.key, domains, dns))


def unpack_tls(file: int) -> ServerTls | None:
    """Certificate, key and roots as a file holds them, if there are any."""
    found = _read_tls(file)
    return None if found is None else ServerTls(*found)


def renew_tls(tls: ServerTls, file: int) -> None:
    """Replace what a file holds otherwise, roots first."""
    found = _read_tls(file)
    if found is None:
        return
    credential, trust = found
    if trust != tls.current.trust:
        tls.replace_trust(trust)
    if credential != tls.current.credential:
        tls.replace_credential(credential)


def _read_tls(file: int) -> tuple[Credential, TrustStore] | None:
    found = _unpack(file, _tls)
    if found is None:
        return None
    domains = {name: _decoded(roots) for name, roots in found.domains.items()}
    dns = None if found.dns is None else _decoded(found.dns)
    return Credential(chain=found.chain, key=found.key), TrustStore(domains=domains, dns=dns)


def _pack(content: object) -> int:
    file = os.memfd_create("pdp", os.MFD_CLOEXEC)
    with os.fdopen(os.dup(file), "wb") as writer:
        writer.write(msgspec.msgpack.encode(content))
    return file


def _unpack(file: int, decoder: msgspec.msgpack.Decoder[_T]) -> _T:
    with mmap.mmap(file, 0, prot=mmap.PROT_READ) as content:
        return decoder.decode(content)


def _encoded(roots: tuple[x509.Certificate, ...]) -> list[bytes]:
    return [root.public_bytes(Encoding.DER) for root in roots]


def _decoded(roots: list[bytes]) -> tuple[x509.Certificate, ...]:
    return tuple(map(x509.load_der_x509_certificate, roots))
