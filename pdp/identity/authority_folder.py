"""The folder of the development authority: what lies where, and reading it back.

This module holds the layout and what can be wrong with it. What is made when is the
business of `pdp.identity.authority`; how certificates look that of
`pdp.identity.profiles`; how files are written that of `pdp.identity.private_files`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from pdp.diagnostics import escape
from pdp.identity.certificates import CertificateTextError, dns_names, fingerprint, read_pem, uris
from pdp.identity.private_files import PUBLIC, SECRET, FolderError, Output, read_secret
from pdp.identity.profiles import Signer

__all__ = [
    "INTERMEDIATE",
    "ROOT",
    "AuthorityError",
    "Credential",
    "InvalidRequestError",
    "credential",
    "outputs",
    "read_certificates",
    "read_signer",
    "reported",
]

ROOT: Final = "root"
INTERMEDIATE: Final = "intermediate"


class AuthorityError(Exception):
    """The authority could not do it; the message says what is in the way."""


class InvalidRequestError(AuthorityError):
    """What was asked for cannot be had from any authority, or not from this one."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A certificate and its key on disk.

    Attributes:
        name: The name of its files.
        uri: The SPIFFE ID of a leaf; `spiffe://` and the trust domain of an authority. Where identities are
            DNS names, `dns:` and the name of a leaf, and `dns:` alone of an authority.
        certificate: PEM; a leaf's is followed by the intermediate.
        key: PEM, PKCS #8, mode 0600.
        not_after: The last second at which it is valid.
        fingerprint: SHA-256 of the certificate's DER, hexadecimal.
    """

    name: str
    uri: str
    certificate: Path
    key: Path
    not_after: datetime
    fingerprint: str


@contextmanager
def reported() -> Iterator[None]:
    """Everything that goes wrong with the folder, as an `AuthorityError`."""
    try:
        yield
    except (FolderError, ValueError) as error:
        raise AuthorityError(str(error)) from error
    except OSError as error:
        where = escape(str(error.filename)) if error.filename else "the folder"
        what = error.strerror or "input or output failed"
        raise AuthorityError(f"{where}: {what.lower()}") from error


def credential(folder: Path, name: str, certificate: x509.Certificate) -> Credential:
    """The certificate, as it lies in the folder."""
    return Credential(
        name=name,
        uri=(*uris(certificate), *(f"dns:{name}" for name in dns_names(certificate)), "dns:")[0],
        certificate=_certificate_path(folder, name),
        key=_key_path(folder, name),
        not_after=certificate.not_valid_after_utc,
        fingerprint=fingerprint(certificate),
    )


def outputs(
    folder: Path, name: str, key: ec.EllipticCurvePrivateKey, chain: Sequence[x509.Certificate]
) -> list[Output]:
    """The two files of a credential."""
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)
    return [
        Output(path=_key_path(folder, name), data=secret, mode=SECRET),
        Output(path=_certificate_path(folder, name), data=public, mode=PUBLIC),
    ]


def read_certificates(folder: Path, name: str) -> tuple[x509.Certificate, ...]:
    """The certificates in a name's file, of which the first bears the name.

    Raises:
        AuthorityError: There is no such file, or it does not hold them.
        OSError: It cannot be read.
    """
    path = _certificate_path(folder, name)
    try:
        return read_pem(path.read_bytes())
    except FileNotFoundError as error:
        how = "pdp pki init" if name in {ROOT, INTERMEDIATE} else "pdp pki issue"
        raise AuthorityError(f"{escape(str(path))} does not exist: make it with `{how}`") from error
    except CertificateTextError as error:
        raise AuthorityError(f"{escape(str(path))}: {error}") from error


def read_signer(folder: Path, name: str) -> Signer:
    """The root or the intermediate, with its key.

    Raises:
        AuthorityError: One of its two files is missing or damaged, or they do not
            belong together.
        FolderError: Others may read the key.
        OSError: A file cannot be read.
    """
    certificate = read_certificates(folder, name)[0]
    path = _key_path(folder, name)
    try:
        key = load_pem_private_key(read_secret(path), password=None)
    except FileNotFoundError as error:
        raise AuthorityError(
            f"{escape(str(path))} does not exist: without it {name}.pem cannot sign"
        ) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise AuthorityError(f"{escape(str(path))} is not an unencrypted private key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise AuthorityError(f"{escape(str(path))} is not an elliptic-curve key")
    if key.public_key() != certificate.public_key():
        cure = ": run `pdp pki rotate intermediate`" if name == INTERMEDIATE else ""
        raise AuthorityError(f"{escape(str(path))} is not the key of {name}.pem{cure}")
    return Signer(certificate=certificate, key=key)


def _certificate_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.pem"


def _key_path(folder: Path, name: str) -> Path:
    return folder / f"{name}-key.pem"
