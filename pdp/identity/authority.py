"""A small certificate authority on files, for development and small sites.

This module holds what it does: `init`, `issue`, `rotate`. The layout of its folder is
in `pdp.identity.authority_folder`, how certificates look in `pdp.identity.profiles`.

A leaf's file holds the leaf and the intermediate, as servers send them; `root.pem` is
what the other side trusts. The root signs intermediates only, so its key can be kept
offline between rotations of the intermediate. Nothing is overwritten but by `rotate`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pdp.diagnostics import escape
from pdp.identity.authority_crl import final_lists
from pdp.identity.authority_folder import (
    INTERMEDIATE,
    ROOT,
    AuthorityError,
    Credential,
    InvalidRequestError,
    credential,
    outputs,
    read_certificates,
    read_signer,
    reported,
)
from pdp.identity.authority_request import BACKDATED, alternative_names, check_name, check_ttl
from pdp.identity.certificates import all_names, uris
from pdp.identity.private_files import (
    FileConflictError,
    Output,
    create_files,
    locked_folder,
    make_private_folder,
    replace_files,
)
from pdp.identity.profiles import (
    Signer,
    Validity,
    intermediate_certificate,
    leaf_certificate,
    new_key,
    root_certificate,
)
from pdp.identity.refusal import UntrustedCertificateError
from pdp.identity.trust import TrustError, TrustStore, check_trust_domain
from pdp.identity.x509 import verify_caller
from pdp.limits import MAX_PKI_AUTHORITY_DAYS, MAX_PKI_LEAF_DAYS

__all__ = [
    "INTERMEDIATE",
    "INTERMEDIATE_TTL",
    "LEAF_TTL",
    "ROOT",
    "ROOT_TTL",
    "AuthorityError",
    "Credential",
    "InvalidRequestError",
    "init",
    "issue",
    "rotate",
    "rotate_intermediate",
]

ROOT_TTL: Final = timedelta(days=1825)
INTERMEDIATE_TTL: Final = timedelta(days=90)
LEAF_TTL: Final = timedelta(hours=24)


def init(
    folder: Path,
    *,
    trust_domain: str | None,
    now: datetime,
    root_ttl: timedelta = ROOT_TTL,
    intermediate_ttl: timedelta = INTERMEDIATE_TTL,
) -> tuple[Credential, Credential]:
    """Make an authority: a root and an intermediate, in that order.

    Without a trust domain it is one for DNS identities.

    Raises:
        InvalidRequestError: The trust domain or a lifetime is not allowed.
        AuthorityError: The folder is not fit, or holds an authority already.
    """
    try:
        if trust_domain is not None:
            check_trust_domain(trust_domain)
    except TrustError as error:
        raise InvalidRequestError(str(error)) from error
    check_ttl(root_ttl, MAX_PKI_AUTHORITY_DAYS)
    check_ttl(intermediate_ttl, MAX_PKI_AUTHORITY_DAYS)
    if intermediate_ttl > root_ttl:
        raise InvalidRequestError("the intermediate would outlive the root")
    key, lower_key = new_key(), new_key()
    root = Signer(certificate=root_certificate(key, trust_domain, _validity(now, root_ttl)), key=key)
    validity = _validity(now, intermediate_ttl)
    lower = intermediate_certificate(lower_key.public_key(), trust_domain, validity, root)
    files = [
        *outputs(folder, ROOT, key, [root.certificate]),
        *outputs(folder, INTERMEDIATE, lower_key, [lower]),
    ]
    with reported():
        make_private_folder(folder)
        with locked_folder(folder):
            _create(files, "choose another folder, or renew with `pdp pki rotate intermediate`")
    return credential(folder, ROOT, root.certificate), credential(folder, INTERMEDIATE, lower)


def issue(
    folder: Path,
    name: str,
    *,
    spiffe_id: str | None,
    dns: Sequence[str] = (),
    ips: Sequence[str] = (),
    now: datetime,
    ttl: timedelta = LEAF_TTL,
) -> Credential:
    """Make a leaf with one SPIFFE ID and any number of DNS names and IP addresses.

    From an authority for DNS identities, one with exactly one DNS name and no SPIFFE ID.

    Raises:
        InvalidRequestError: A name, address, SPIFFE ID or lifetime is not allowed.
        AuthorityError: There is a certificate of that name already, or the authority is
            missing, damaged, or ends before the leaf would.
    """
    check_name(name)
    check_ttl(ttl, MAX_PKI_LEAF_DAYS)
    names = alternative_names(spiffe_id, dns, ips)
    with reported(), locked_folder(folder):
        key = new_key()
        chain = _leaf_chain(folder, name, key.public_key(), names, _validity(now, ttl))
        _create(
            outputs(folder, name, key, chain),
            f"choose another name, or renew it with `pdp pki rotate {name}`",
        )
    return credential(folder, name, chain[0])


def rotate(folder: Path, name: str, *, now: datetime, ttl: timedelta | None = None) -> Credential:
    """Replace a leaf and its key by new ones with the same names.

    Each file is replaced by one rename, so a reader never finds one missing or cut
    short. Between the two renames a reader can pair the new key with the old
    certificate: TLS libraries report that, and reading again cures it. A crash in
    between is cured by the same command run again.

    Args:
        folder: The authority's folder.
        name: The name it was issued under.
        now: The instant of the rotation, with a time zone.
        ttl: The new lifetime; None keeps the old one.

    Raises:
        InvalidRequestError: The name or the lifetime is not allowed.
        AuthorityError: There is no such certificate, or the authority is missing,
            damaged, or ends before the leaf would.
    """
    check_name(name)
    with reported(), locked_folder(folder):
        old = read_certificates(folder, name)[0]
        before = old.not_valid_after_utc - old.not_valid_before_utc - BACKDATED
        lifetime = before if ttl is None else ttl
        check_ttl(lifetime, MAX_PKI_LEAF_DAYS)
        key = new_key()
        chain = _leaf_chain(folder, name, key.public_key(), all_names(old), _validity(now, lifetime))
        replace_files(outputs(folder, name, key, chain))
    return credential(folder, name, chain[0])


def rotate_intermediate(folder: Path, *, now: datetime, ttl: timedelta = INTERMEDIATE_TTL) -> Credential:
    """Replace the intermediate and its key. Leaves that the old one signed stay valid, or revoked.

    Raises:
        InvalidRequestError: The lifetime is not allowed.
        AuthorityError: The root or its key is missing or damaged, or ends earlier; or there are
            revocation lists, which the old one cannot complete.
    """
    check_ttl(ttl, MAX_PKI_AUTHORITY_DAYS)
    with reported(), locked_folder(folder):
        domain, _trust = _read_trust(folder)
        root, validity, key = read_signer(folder, ROOT), _validity(now, ttl), new_key()
        _check_outlived(root.certificate, ROOT, validity)
        certificate = intermediate_certificate(key.public_key(), domain, validity, root)
        lists = final_lists(folder, Signer(certificate=certificate, key=key), now=now)
        # The lists first: no leaf of the new one is ever met without its list.
        replace_files([*lists, *outputs(folder, INTERMEDIATE, key, [certificate])])
    return credential(folder, INTERMEDIATE, certificate)


def _create(files: list[Output], instead: str) -> None:
    try:
        create_files(files)
    except FileConflictError as error:
        raise AuthorityError(f"{error} and was left as it is: {instead}") from error


def _leaf_chain(
    folder: Path,
    name: str,
    key: ec.EllipticCurvePublicKey,
    names: Sequence[x509.GeneralName],
    validity: Validity,
) -> list[x509.Certificate]:
    """A new leaf and the intermediate that signed it."""
    domain, trust = _read_trust(folder)
    issuer = read_signer(folder, INTERMEDIATE)
    found = [n.value for n in names if isinstance(n, x509.UniformResourceIdentifier)]
    if domain is None and found:
        raise InvalidRequestError("this authority is for DNS identities: leave the SPIFFE ID out")
    for uri in found:
        if not uri.startswith(f"spiffe://{domain}/"):
            raise InvalidRequestError(f"`{escape(uri)}` is not in `{domain}`, this authority's trust domain")
    _check_outlived(issuer.certificate, INTERMEDIATE, validity)
    chain = [leaf_certificate(key, name, names, validity, issuer), issuer.certificate]
    # Never hand out what we would refuse ourselves: this also finds files in the folder
    # that do not belong together, whatever happened to them.
    leaf_der, issuer_der = (certificate.public_bytes(Encoding.DER) for certificate in chain)
    try:
        verify_caller(leaf_der, [issuer_der], trust, validity.start + BACKDATED)
    except UntrustedCertificateError as error:
        msg = f"the new certificate would not verify against {ROOT}.pem: {error.message}"
        raise AuthorityError(msg) from error
    return chain


def _read_trust(folder: Path) -> tuple[str | None, TrustStore]:
    """The authority's trust domain, None for DNS identities, and the trust that its users have."""
    root = read_certificates(folder, ROOT)[0]
    domain = (*uris(root), "")[0].removeprefix("spiffe://") or None
    try:
        if domain is None:
            return None, TrustStore(domains={}, dns=(root,))
        return domain, TrustStore(domains={domain: (root,)})
    except TrustError as error:
        raise AuthorityError(f"{ROOT}.pem was not made by `pdp pki init`: {error}") from error


def _validity(now: datetime, ttl: timedelta) -> Validity:
    second = now.replace(microsecond=0)  # certificates know whole seconds
    return Validity(start=second - BACKDATED, end=second + ttl)


def _check_outlived(issuer: x509.Certificate, name: str, validity: Validity) -> None:
    """Refuse a certificate that would end after its issuer, and so before it says."""
    if validity.end <= issuer.not_valid_after_utc:
        return
    ends = f"{issuer.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
    cure = "run `pdp pki rotate intermediate`" if name == INTERMEDIATE else "make a new authority"
    raise AuthorityError(
        f"{name}.pem ends at {ends}, before the new certificate would: {cure}, or ask for less"
    )
