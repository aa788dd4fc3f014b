"""What the supervisor hands to its workers: files in memory, without a name in any directory."""

import mmap
import os
from hashlib import sha256
from typing import Final, NamedTuple, TypeVar, final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pdp.adapters.tls import Credential, ServerTls
from pdp.config.model import Settings
from pdp.identity.crl import read_crl
from pdp.identity.quarantine.entries import Entry
from pdp.identity.quarantine.lists import Quarantine
from pdp.identity.tokens.handed import read_token_trust, write_token_trust
from pdp.identity.tokens.issuer import TokenTrust
from pdp.identity.trust import TrustStore

__all__ = ["Believed", "pack_settings", "pack_trust", "renew_trust", "unpack_settings", "unpack_trust"]

_T = TypeVar("_T")


@final
class _Tls(msgspec.Struct, frozen=True):
    chain: bytes
    key: bytes
    domains: dict[str, list[bytes]]
    dns: list[bytes] | None
    crls: dict[str, list[bytes]]


@final
class _Trusted(msgspec.Struct, frozen=True):
    tls: _Tls | None
    tokens: bytes
    quarantine: tuple[Entry, ...]


@final
class Believed(NamedTuple):
    """Whom those who answer believe, besides the roots of callers.

    Attributes:
        tokens: Whose tokens.
        quarantine: Who is believed no more.
    """

    tokens: TokenTrust
    quarantine: Quarantine


_settings: Final[msgspec.msgpack.Decoder[str]] = msgspec.msgpack.Decoder(str)
_trusted: Final[msgspec.msgpack.Decoder[_Trusted]] = msgspec.msgpack.Decoder(_Trusted)


def pack_settings(settings: Settings) -> int:
    """An open file that holds settings, however many; the caller's to close."""
    return _pack(settings.model_dump_json(exclude_defaults=True))  # a default need not be what may be set


def unpack_settings(file: int) -> Settings:
    """The settings that a file holds."""
    return Settings.model_validate_json(_unpack(file, _settings))


def pack_trust(tls: ServerTls | None, believed: Believed) -> int:
    """An open file that holds what others prove to us and we to them; the caller's to close.

    Args:
        tls: Our certificate and its key, and the roots of callers, if there are any.
        believed: Whom else they believe.
    """
    flat = None if tls is None else _flat(tls)
    return _pack(_Trusted(flat, write_token_trust(believed.tokens), believed.quarantine.entries))


def unpack_trust(file: int) -> tuple[ServerTls | None, Believed]:
    """Certificate, key and roots as a file holds them, if there are any; and whom else to believe."""
    found = _unpack(file, _trusted)
    tls = None if found.tls is None else ServerTls(*_whole(found.tls, TrustStore(domains={})))
    return tls, _believed(found)


def renew_trust(tls: ServerTls | None, file: int) -> Believed:
    """Replace what a file holds otherwise, roots first; whom else to believe is handed back."""
    found = _unpack(file, _trusted)
    if tls is not None and found.tls is not None:
        credential, trust = _whole(found.tls, tls.trust())
        if trust != tls.current.trust:
            tls.replace_trust(trust)
        if credential != tls.current.credential:
            tls.replace_credential(credential)
    return _believed(found)


def _believed(found: _Trusted) -> Believed:
    return Believed(read_token_trust(found.tokens), Quarantine(found.quarantine))


def _flat(tls: ServerTls) -> _Tls:
    current = tls.current  # once: another thread may replace it
    credential, trust = current.credential, current.trust
    domains = {name: _encoded(roots) for name, roots in trust.domains.items()}
    dns = None if trust.dns is None else _encoded(trust.dns)
    crls = {name: [each.der for each in lists] for name, lists in trust.crls.items()}
    return _Tls(credential.chain, credential.key, domains, dns, crls)


def _whole(flat: _Tls, before: TrustStore) -> tuple[Credential, TrustStore]:
    # A large list takes a while to read, and most parcels bring the same ones.
    held = {each.fingerprint: each for lists in before.crls.values() for each in lists}
    domains = {name: _decoded(roots) for name, roots in flat.domains.items()}
    dns = None if flat.dns is None else _decoded(flat.dns)
    crls = {
        name: tuple(held.get(sha256(each).hexdigest()) or read_crl(each) for each in lists)
        for name, lists in flat.crls.items()
    }
    return Credential(chain=flat.chain, key=flat.key), TrustStore(domains=domains, dns=dns, crls=crls)


def _pack(content: object) -> int:
    file = os.memfd_create("pdp", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(file), "wb") as writer:
            writer.write(msgspec.msgpack.encode(content))
    except BaseException:
        os.close(file)
        raise
    return file


def _unpack(file: int, decoder: msgspec.msgpack.Decoder[_T]) -> _T:
    with mmap.mmap(file, 0, prot=mmap.PROT_READ) as content:
        return decoder.decode(content)


def _encoded(roots: tuple[x509.Certificate, ...]) -> list[bytes]:
    return [root.public_bytes(Encoding.DER) for root in roots]


def _decoded(roots: list[bytes]) -> tuple[x509.Certificate, ...]:
    return tuple(map(x509.load_der_x509_certificate, roots))
