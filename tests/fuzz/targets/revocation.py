"""Revocation lists, properly signed whatever they hold, and what they do to a chain."""

from collections.abc import Hashable, Iterator
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from pdp.diagnostics import escape
from pdp.identity.crl import CrlError, RevocationList, read_crl
from pdp.identity.trust import TrustStore, trust_warnings
from pdp.identity.x509 import Refusal, UntrustedCertificateError, verify_caller
from tests.fuzz.der import Node, read_all
from tests.fuzz.engine import Target, wording
from tests.fuzz.targets.certificates import InStructure, signed, to_be_signed
from tests.identity.mint import DAY, DOMAIN, NOW, Party, authority, leaf
from tests.identity.revoking import crl_pem

__all__ = ["TARGETS"]

# Of keys that are the same in every run, as in `tests.fuzz.targets.certificates`.
_KEYS: Final = [ec.derive_private_key(number, ec.SECP256R1()) for number in (21, 22, 23)]
_ROOT: Final = authority("root", uris=[f"spiffe://{DOMAIN}"], key=_KEYS[0])
_MIDDLE: Final = authority("intermediate", _ROOT, uris=[f"spiffe://{DOMAIN}"], key=_KEYS[1])


def _leaf() -> Party:
    """One whose serial number is the same in every run as well."""
    made = leaf(_MIDDLE, key=_KEYS[2])
    der = signed(to_be_signed(made), _KEYS[1])
    return Party(certificate=x509.load_der_x509_certificate(der), key=made.key)


_LEAF: Final = _leaf()
_CRITICAL: Final = b"\x01\x01\xff"


def _list(data: bytes) -> Hashable:
    """A list, signed: whole, as a second reader finds it; and a chain that it lets pass, or not."""
    der = signed(data, _KEYS[1])
    try:
        found = read_crl(der)
    except CrlError as error:
        assert str(error) == escape(str(error))
        return wording(str(error))
    _require_whole(data, found)
    trust = TrustStore(domains={DOMAIN: (_ROOT.certificate,)}, crls={DOMAIN: (found,)})
    assert all(warning == escape(warning) for warning in trust_warnings(trust, NOW))
    try:
        caller = verify_caller(_LEAF.der, [_MIDDLE.der], trust, NOW)
    except UntrustedCertificateError as error:
        assert error.message == escape(error.message)
        assert error.code in {Refusal.REVOKED, Refusal.REVOCATION_UNKNOWN}
        return error.code, wording(error.message)
    if found.issuer == _MIDDLE.certificate.subject:
        assert _LEAF.certificate.serial_number not in _serials(data)
        assert found.begins <= NOW <= found.next_update
        assert caller.not_after <= found.next_update.timestamp() * 1000
    return "passes", found.issuer == _MIDDLE.certificate.subject


def _require_whole(tbs: bytes, found: RevocationList) -> None:
    """RFC 5280, sections 5.1.2 and 5.2, from the bytes."""
    times = [field for field in _fields(tbs) if field.tag in {0x17, 0x18}]
    assert [_instant(each) for each in times] == [found.this_update, found.next_update]
    assert set(found.revoked) == _serials(tbs)
    assert not any(_CRITICAL in rest.encode() for entry in _entries(tbs) for rest in entry[2:])
    for identifier, whole in _extensions(tbs):
        assert identifier not in {"551d1c", "551d1b"}  # a scope, a difference
        assert _CRITICAL not in whole or identifier in {"551d14", "551d23"}


def _fields(tbs: bytes) -> list[Node]:
    (tree,) = read_all(tbs)
    return tree.children or []


def _serials(tbs: bytes) -> set[int]:
    return {int.from_bytes(entry[0].content, signed=True) for entry in _entries(tbs)}


def _entries(tbs: bytes) -> list[list[Node]]:
    """Serial number, date, and extensions if there are any."""
    fields = _fields(tbs)
    last = max(number for number, field in enumerate(fields) if field.tag in {0x17, 0x18})
    entries = [field for field in fields[last + 1 :] if field.tag == 0x30]
    return [entry.children or [] for each in entries for entry in each.children or ()]


def _extensions(tbs: bytes) -> Iterator[tuple[str, bytes]]:
    for field in _fields(tbs):
        if field.tag == 0xA0:
            for extension in (field.children or [])[0].children or ():
                identifier, *rest = extension.children or []
                yield identifier.content.hex(), b"".join(each.encode() for each in rest[:-1])


def _instant(field: Node) -> datetime:
    text = field.content.decode("ascii")
    if field.tag == 0x17:  # RFC 5280, section 4.1.2.5.1: two digits of the year
        text = ("20" if text < "5" else "19") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _tbs(pem: bytes) -> bytes:
    return x509.load_pem_x509_crl(pem).tbs_certlist_bytes


def _seeds() -> Iterator[bytes]:
    """Right ones, and such as are wrong in one respect: they lend what is wrong with them."""
    reason = (x509.CRLReason(x509.ReasonFlags.key_compromise), False)
    scope = x509.IssuingDistributionPoint(
        full_name=None, relative_name=None, only_contains_user_certs=True, only_contains_ca_certs=False,
        only_some_reasons=None, indirect_crl=False, only_contains_attribute_certs=False,
    )  # fmt: skip
    issuer = x509.CertificateIssuer([x509.DirectoryName(_MIDDLE.certificate.subject)])
    given: tuple[tuple[tuple[Party, ...], dict[str, object]], ...] = (
        ((), {}),
        ((_LEAF,), {"extra": [(x509.CRLNumber(7), False)], "of_entries": [reason]}),
        ((_LEAF,), {"end": NOW - DAY / 48}),
        ((_LEAF,), {"extra": [(scope, True)]}),
        ((_LEAF,), {"extra": [(scope, False)]}),
        ((_LEAF,), {"extra": [(x509.DeltaCRLIndicator(1), True)]}),
        ((_LEAF,), {"of_entries": [(issuer, True)]}),
    )
    for revoked, what in given:
        yield _tbs(crl_pem(_MIDDLE, *revoked, **what))  # type: ignore[arg-type] -- handed on


_SEEDS: Final = tuple(_seeds())

TARGETS: Final = (
    Target(
        name="revocation-lists",
        seeds=_SEEDS,
        mutate=InStructure(_SEEDS),
        check=_list,
        examples=3000,
        weight=1,
    ),
)
