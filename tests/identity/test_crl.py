"""Which revocation lists are read: complete ones of one authority, in which everything is understood."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pdp.identity.crl import CrlError, crls_in, read_crl
from pdp.limits import MAX_CRLS
from tests.fuzz.der import Node, read_all
from tests.identity.mint import DAY, NOW, authority, leaf
from tests.identity.revoking import crl, crl_pem

ROOT = authority("root")
WEB, OTHER = leaf(ROOT), leaf(ROOT)
FILE = Path("lists.pem")


def refusal(pem: bytes) -> str:
    with pytest.raises(CrlError) as caught:
        crls_in(pem, FILE)
    return str(caught.value)


def test_a_list_says_whose_it_is_what_it_revokes_and_until_when() -> None:
    (found,) = crls_in(crl_pem(ROOT, WEB), FILE)

    assert found.issuer == ROOT.certificate.subject
    assert found.revoked == {WEB.certificate.serial_number}
    assert (found.this_update, found.next_update) == (NOW - timedelta(hours=1), NOW + DAY)
    assert found.shown == "CN=root"
    assert read_crl(found.der) == found


def test_several_lists_in_one_file_each_once() -> None:
    one, two = crl_pem(ROOT, WEB), crl_pem(authority("another"), OTHER)

    assert [len(each.revoked) for each in crls_in(b"first\n" + one + two + one, FILE)] == [1, 1]


def partial(**what: object) -> x509.IssuingDistributionPoint:
    given = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**{**given, **what})  # type: ignore[arg-type] -- one for each


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
ENTRY = x509.CertificateIssuer([x509.DirectoryName(ROOT.certificate.subject)])
REFUSED = {
    "for users only": (
        {"extra": [(partial(only_contains_user_certs=True), True)]},
        "issuing distribution point",
    ),
    "for authorities only": (
        {"extra": [(partial(only_contains_ca_certs=True), True)]},
        "issuing distribution",
    ),
    "indirect": ({"extra": [(partial(indirect_crl=True), True)]}, "issuing distribution point"),
    "a part, and not even critical": (
        {"extra": [(partial(indirect_crl=True), False)]},
        "issuing distribution",
    ),
    "a difference": ({"extra": [(x509.DeltaCRLIndicator(1), True)]}, "delta indicator"),
    "a difference, not critical": ({"extra": [(x509.DeltaCRLIndicator(1), False)]}, "delta indicator"),
    "unknown and critical": ({"extra": [(UNKNOWN, True)]}, "critical extension 1.2.3.4"),
    "an entry of another authority": ({"of_entries": [(ENTRY, True)]}, "entry with a critical extension"),
    "a critical reason": (
        {"of_entries": [(x509.CRLReason(x509.ReasonFlags.key_compromise), True)]},
        "entry with a critical extension",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_complete_list_of_its_authority_is_refused(case: str) -> None:
    what, why = REFUSED[case]

    assert why in refusal(crl_pem(ROOT, WEB, **what))  # type: ignore[arg-type] -- as above
    assert refusal(crl_pem(ROOT, WEB, **what)).startswith("lists.pem: revocation list 1 in it ")  # type: ignore[arg-type]


def test_what_is_not_critical_is_of_no_consequence() -> None:
    extra = [(UNKNOWN, False), (x509.CRLNumber(7), False)]
    of_entries = [
        (x509.CRLReason(x509.ReasonFlags.remove_from_crl), False),
        (x509.InvalidityDate(NOW), False),
    ]

    assert crl(ROOT, WEB, extra=extra, of_entries=of_entries).revoked == {WEB.certificate.serial_number}


def rewritten(der: bytes, change: Callable[[list[Node]], None]) -> bytes:
    """A list whose members are changed, as the library writes none."""
    (tree,) = read_all(der)
    assert tree.children is not None
    members = tree.children[0].children
    assert members is not None
    change(members)
    return tree.encode()


def test_a_list_without_an_end_is_refused() -> None:
    def take_out(members: list[Node]) -> None:
        assert [members[number].tag for number in (3, 4)] == [0x17, 0x17]
        del members[4]

    with pytest.raises(CrlError, match="until when it holds"):
        read_crl(rewritten(crl(ROOT).der, take_out))


def test_a_list_that_ends_before_it_begins_is_refused() -> None:
    def swap(members: list[Node]) -> None:
        members[3], members[4] = members[4], members[3]

    with pytest.raises(CrlError, match="ends before it begins"):
        read_crl(rewritten(crl(ROOT).der, swap))


def test_a_weak_digest_is_refused() -> None:
    der = x509.load_pem_x509_crl(crl_pem(ROOT)).public_bytes(Encoding.DER)
    sha256, sha224 = bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a8648ce3d040301")
    assert der.count(sha256) == 2

    with pytest.raises(CrlError, match="too weak"):
        read_crl(der.replace(sha256, sha224))


@pytest.mark.parametrize(
    ("pem", "why"),
    [
        (b"", "there is no revocation list in it"),
        (ROOT.pem, "there is no revocation list in it"),
        (crl_pem(ROOT)[:-30], "has a beginning and no end"),
        (b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----", "is malformed"),
        (b"-----BEGIN X509 CRL-----\n!\n-----END X509 CRL-----", "is malformed"),
    ],
)
def test_what_is_no_list_is_refused(pem: bytes, why: str) -> None:
    assert why in refusal(pem)


def test_more_lists_than_are_read_are_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = crl_pem(ROOT, key=key, digest=hashes.SHA384())

    assert len(crls_in(pem * MAX_CRLS, FILE)) == 1
    assert f"at most {MAX_CRLS}" in refusal(pem * (MAX_CRLS + 1))
