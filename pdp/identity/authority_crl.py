"""What the development authority has revoked: `crl.pem` in its folder, signed anew at each change.

This module holds that file. It is all that is remembered of revocations; what else is in the folder is the
business of `pdp.identity.authority`.

The file has a list of the intermediate, which signs leaves, and of each intermediate before it; and one of
the root, once it has revoked an intermediate. The intermediate's list holds for a few days and is made again
in time. The others hold until their authorities end: the key of a former intermediate is no more, and that of
the root may lie elsewhere. What has ended is dropped then.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pdp.diagnostics import escape
from pdp.identity.authority_folder import (
    INTERMEDIATE,
    ROOT,
    AuthorityError,
    InvalidRequestError,
    read_certificates,
    read_signer,
    reported,
)
from pdp.identity.authority_request import BACKDATED, CRL, check_name, check_ttl
from pdp.identity.certificates import serial_text, shown
from pdp.identity.crl import CrlError, RevocationList, crls_in
from pdp.identity.private_files import PUBLIC, Output, locked_folder, replace_files
from pdp.identity.profiles import Signer, Validity, revocation_list
from pdp.identity.revocation import is_of
from pdp.limits import MAX_PKI_CRL_DAYS, MAX_TRUST_FILE_BYTES

__all__ = ["CRL_TTL", "Revocation", "final_lists", "publish", "revoke"]

CRL_TTL: Final = timedelta(days=7)
_INSTEAD: Final = "it was left as it is: wait until a former intermediate ends, or make a new authority"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """The lists on disk.

    Attributes:
        lists: PEM, one list of each authority that has one.
        until: The last second at which all of them hold.
        serial: Of the certificate that was revoked, hexadecimal; empty where the lists were made again only.
    """

    lists: Path
    until: datetime
    serial: str = ""


def publish(folder: Path, *, now: datetime, ttl: timedelta = CRL_TTL) -> Revocation:
    """Make the intermediate's list again, or for the first time; nothing else is revoked.

    Raises:
        InvalidRequestError: The lifetime is not allowed.
        AuthorityError: The authority is missing or damaged, or its lists are.
    """
    check_ttl(ttl, MAX_PKI_CRL_DAYS)
    with reported(), locked_folder(folder):
        signer = read_signer(folder, INTERMEDIATE)
        return _write(folder, _with(_read(folder), signer, now, now + ttl), now)


def revoke(
    folder: Path, name: str, *, now: datetime, ttl: timedelta = CRL_TTL, issuer: bool = False
) -> Revocation:
    """Revoke the certificate that lies in the folder under a name, and make the lists again.

    Args:
        folder: The authority's folder.
        name: The name it was issued under; `intermediate` for the one that signs leaves.
        now: The instant of the revocation, with a time zone.
        ttl: How long the intermediate's list holds.
        issuer: Revoke the intermediate that signed it instead, and so all that it signed.

    Raises:
        InvalidRequestError: The name or the lifetime is not allowed.
        AuthorityError: There is no such certificate, whoever signed it is there no more, or the
            authority or its lists are missing or damaged.
    """
    check_ttl(ttl, MAX_PKI_CRL_DAYS)
    if name == ROOT:
        msg = "no list revokes a root: take it out of the files that trust it"
        raise InvalidRequestError(msg)
    if name != INTERMEDIATE:
        check_name(name)
    with reported(), locked_folder(folder):
        found = read_certificates(folder, name)
        above = issuer and name != INTERMEDIATE
        certificate = found[min(1, len(found) - 1)] if above else found[0]
        lists = _read(folder)
        if above or name == INTERMEDIATE:
            root = read_signer(folder, ROOT)
            _check_issued(certificate, root.certificate, "the root did not sign it")
            lists = _with(lists, root, now, root.certificate.not_valid_after_utc, certificate)
            lists = _with(lists, read_signer(folder, INTERMEDIATE), now, now + ttl)
        else:
            signer = read_signer(folder, INTERMEDIATE)
            cure = f"`pdp pki revoke {name} --issuer` revokes who did, and all that it signed"
            _check_issued(certificate, signer.certificate, f"intermediate.pem did not sign it; {cure}")
            lists = _with(lists, signer, now, now + ttl, certificate)
        return _write(folder, lists, now, serial_text(certificate.serial_number))


def final_lists(folder: Path, new: Signer, *, now: datetime) -> list[Output]:
    """The lists once another intermediate takes the place of the one in the folder; if there are any.

    The last list of the one before holds as long as that could have: its key signs no other.

    Raises:
        AuthorityError: The one before cannot sign any more.
    """
    lists = _read(folder)
    if not lists:
        return []
    with _needed():
        former = read_certificates(folder, INTERMEDIATE)[0]
    lists = _with_last(folder, lists, former, now)
    return [_output(folder, _with(lists, new, now, now + CRL_TTL), now)]


def _with_last(
    folder: Path, lists: tuple[RevocationList, ...], former: x509.Certificate, now: datetime
) -> tuple[RevocationList, ...]:
    """The lists with a last one of the intermediate that is replaced, or without any once it has ended."""
    ends = former.not_valid_after_utc
    if ends < now:
        return tuple(each for each in lists if each.issuer != former.subject)
    if any(each.next_update == ends and is_of(each, former) for each in lists):
        return lists  # it has made it: a rotation was cut off before the new certificate was there
    with _needed():
        signer = read_signer(folder, INTERMEDIATE)
    return _with(lists, signer, now, ends)


@contextmanager
def _needed() -> Iterator[None]:
    try:
        yield
    except AuthorityError as error:
        msg = f"{error}; without it crl.pem cannot be completed: remove that if all it revokes may hold again"
        raise AuthorityError(msg) from error


def _check_issued(certificate: x509.Certificate, issuer: x509.Certificate, otherwise: str) -> None:
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception as error:  # several, by what is wrong
        msg = f"the certificate cannot be revoked: {otherwise}"
        raise AuthorityError(msg) from error


def _read(folder: Path) -> tuple[RevocationList, ...]:
    path = folder / f"{CRL}.pem"
    try:
        return crls_in(path.read_bytes(), path)
    except FileNotFoundError:
        return ()
    except CrlError as error:
        raise AuthorityError(str(error)) from error


def _with(
    lists: Sequence[RevocationList],
    signer: Signer,
    now: datetime,
    until: datetime,
    revoked: x509.Certificate | None = None,
) -> tuple[RevocationList, ...]:
    """The lists with a new one of `signer`, which revokes what its last one did and one more."""
    theirs = [each for each in lists if each.issuer == signer.certificate.subject]
    for each in theirs:
        if not is_of(each, signer.certificate):
            raise AuthorityError(f"crl.pem holds a list in the name of `{each.shown}` that it did not sign")
    entries = {entry.serial_number: entry for each in theirs for entry in each.parsed}
    if revoked is not None and revoked.serial_number not in entries:
        builder = x509.RevokedCertificateBuilder().serial_number(revoked.serial_number)
        entries[revoked.serial_number] = builder.revocation_date(now).build()
    second = now.replace(microsecond=0)
    validity = Validity(start=second - BACKDATED, end=until.replace(microsecond=0))
    if validity.end <= validity.start:
        ended = f"`{shown(signer.certificate)}` ended at {until:%Y-%m-%dT%H:%M:%SZ}"
        raise AuthorityError(f"{ended} and signs no list any more: make a new authority")
    number = 1 + max((_number(each) for each in theirs), default=0)
    made = revocation_list(signer, entries.values(), number, validity)
    others = [each for each in lists if each not in theirs]
    return (*crls_in(made.public_bytes(Encoding.PEM), Path(f"{CRL}.pem")), *others)


def _number(crl: RevocationList) -> int:
    try:
        return crl.parsed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return 0


def _write(folder: Path, lists: Sequence[RevocationList], now: datetime, serial: str = "") -> Revocation:
    output = _output(folder, lists, now)
    replace_files([output])
    until = min(each.next_update for each in crls_in(output.data, output.path))
    return Revocation(lists=output.path, until=until, serial=serial)


def _output(folder: Path, lists: Sequence[RevocationList], now: datetime) -> Output:
    """The file, without what has ended: who signs has a newer list, and former ones ended with theirs.

    Raises:
        AuthorityError: Nobody would read it, the next command included.
    """
    data = b"".join(each.parsed.public_bytes(Encoding.PEM) for each in lists if each.next_update >= now)
    path = folder / f"{CRL}.pem"
    try:
        crls_in(data, path)
    except CrlError as error:
        raise AuthorityError(f"{error}; {_INSTEAD}") from error
    if len(data) > MAX_TRUST_FILE_BYTES:
        msg = f"{escape(str(path))}: larger than {MAX_TRUST_FILE_BYTES} bytes, the limit for a trust file"
        raise AuthorityError(f"{msg}; {_INSTEAD}")
    return Output(path=path, data=data, mode=PUBLIC)
