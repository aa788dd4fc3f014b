"""Whatever is sent, verification ends in a caller or in a refusal, never in anything else."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec
import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID
from hypothesis import given, settings
from hypothesis import strategies as st

from pdp.identity.caller import Caller
from pdp.identity.trust import TrustStore
from pdp.identity.x509 import Refusal, UntrustedCertificateError, verify_caller
from tests.identity.mint import DAY, DOMAIN, NOW, WEB, Party, authority, leaf

ROOT = authority("root", uris=[f"spiffe://{DOMAIN}"])
MIDDLE = authority("intermediate", ROOT, uris=[f"spiffe://{DOMAIN}"])
LEAF = leaf(MIDDLE, dns=["web.shop"])
TRUST = TrustStore(domains={DOMAIN: (ROOT.certificate,)})

READ_BY_US_OR_THE_LIBRARY = [
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.NAME_CONSTRAINTS,
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    ExtensionOID.CERTIFICATE_POLICIES,
    ExtensionOID.POLICY_CONSTRAINTS,
    ExtensionOID.CRL_DISTRIBUTION_POINTS,
]

many = settings(max_examples=300, deadline=None)
few = settings(max_examples=60, deadline=None)  # each example signs certificates


def outcome(leaf_der: bytes, extra: Sequence[bytes]) -> Caller | UntrustedCertificateError:
    try:
        return verify_caller(leaf_der, extra, TRUST, NOW)
    except UntrustedCertificateError as error:
        refusal = error
    assert isinstance(refusal.code, Refusal)
    assert refusal.message
    assert refusal.message.isprintable()
    return refusal


def test_the_chain_that_is_mutilated_below_is_sound() -> None:
    assert isinstance(outcome(LEAF.der, [MIDDLE.der]), Caller)


@many
@given(leaf_der=st.binary(max_size=400), extra=st.lists(st.binary(max_size=400), max_size=9))
def test_random_bytes_are_refused(leaf_der: bytes, extra: list[bytes]) -> None:
    assert isinstance(outcome(leaf_der, extra), UntrustedCertificateError)
    assert isinstance(outcome(LEAF.der, extra), UntrustedCertificateError)


@many
@given(st.data())
def test_truncated_certificates_are_refused(data: st.DataObject) -> None:
    for sound in (LEAF.der, MIDDLE.der):
        cut = sound[: data.draw(st.integers(0, len(sound) - 1))]
        chain = (cut, [MIDDLE.der]) if sound is LEAF.der else (LEAF.der, [cut])
        assert isinstance(outcome(*chain), UntrustedCertificateError)


def signed_part(sound: Party) -> int:
    """Where the signature begins: all bytes before it are signed or repeat signed ones."""
    return sound.der.index(sound.certificate.signature) - 1


@pytest.mark.parametrize("which", ["leaf", "intermediate"])
def test_every_flipped_bit_is_refused_or_lies_in_the_signature_and_changes_no_identity(which: str) -> None:
    """All bits, one at a time. A signature has several valid encodings, its subject has one."""
    original, sound = outcome(LEAF.der, [MIDDLE.der]), LEAF if which == "leaf" else MIDDLE
    assert isinstance(original, Caller)

    for bit in range(len(sound.der) * 8):
        flipped = bytearray(sound.der)
        flipped[bit // 8] ^= 1 << bit % 8
        chain = (bytes(flipped), [MIDDLE.der]) if sound is LEAF else (LEAF.der, [bytes(flipped)])
        got = outcome(*chain)
        if isinstance(got, Caller):
            assert bit // 8 >= signed_part(sound), bit
            assert msgspec.structs.replace(got, fingerprint=original.fingerprint) == original


@many
@given(
    where=st.integers(0, len(LEAF.der)),
    removed=st.integers(0, 8),
    inserted=st.binary(max_size=8),
)
def test_spliced_certificates_are_refused_unless_the_signed_part_is_untouched(
    where: int, removed: int, inserted: bytes
) -> None:
    spliced = LEAF.der[:where] + inserted + LEAF.der[where + removed :]

    accepted = isinstance(outcome(spliced, [MIDDLE.der]), Caller)

    signed = signed_part(LEAF)
    assert accepted <= (spliced[:signed] == LEAF.der[:signed])
    assert accepted >= (spliced == LEAF.der)


@few
@given(
    oid=st.sampled_from(READ_BY_US_OR_THE_LIBRARY),
    value=st.binary(max_size=24) | st.binary(max_size=20).map(lambda b: b"\x30" + bytes([len(b)]) + b),
    critical=st.booleans(),
    on_the_signer=st.booleans(),
)
def test_properly_signed_nonsense_in_an_extension_never_escapes(
    oid: x509.ObjectIdentifier, value: bytes, *, critical: bool, on_the_signer: bool
) -> None:
    """An authority signs what it is given; so hostile contents arrive under a good signature."""
    nonsense = (x509.UnrecognizedExtension(oid, value), critical)
    signer = authority("m", ROOT, extra=[nonsense]) if on_the_signer else MIDDLE
    web = leaf(signer, extra=[] if on_the_signer else [nonsense])

    got = outcome(web.der, [signer.der])

    assert isinstance(got, UntrustedCertificateError) or got.id == WEB


NAME = st.text(st.characters(max_codepoint=126), max_size=60)


@few
@given(
    uris=st.lists(
        st.just(WEB) | st.just(f"spiffe://{DOMAIN}/x") | NAME.map(lambda t: f"spiffe://{t}") | NAME,
        max_size=3,
    ),
    dns=st.lists(st.just("web.shop") | NAME, max_size=2),
    hours=st.integers(-48, 48),
)
def test_properly_signed_names_make_a_caller_exactly_when_there_is_one_of_ours(
    uris: list[str], dns: list[str], hours: int
) -> None:
    end = NOW + timedelta(hours=hours)
    web = leaf(MIDDLE, uris=uris, dns=dns, start=NOW - 3 * DAY, end=end)

    got = outcome(web.der, [MIDDLE.der])

    if isinstance(got, Caller):
        assert uris == [got.id]
        assert got.id.startswith(f"spiffe://{DOMAIN}/")
        assert end >= NOW
    elif uris in ([WEB], [f"spiffe://{DOMAIN}/x"]) and not dns and end >= NOW:
        raise AssertionError(got.message)


@few
@given(st.permutations(range(6)), st.integers(0, 6))
def test_order_and_company_of_the_intermediates_do_not_matter(order: list[int], kept: int) -> None:
    upper = authority("upper", ROOT)
    lower = authority("lower", upper)
    company = [upper, lower, ROOT, MIDDLE, LEAF, authority("upper")]
    sent = [company[i] for i in order][:kept]

    got = outcome(leaf(lower).der, [party.der for party in sent])

    assert isinstance(got, Caller) is (upper in sent and lower in sent)
