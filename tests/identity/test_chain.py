"""Circles among the certificates sent along, and which of the certificates a refusal names."""

from pdp.identity.chain import build_chain
from pdp.identity.refusal import Refusal, UntrustedCertificateError
from pdp.identity.trust import TrustStore
from pdp.identity.x509 import verify_caller
from tests.identity.mint import DOMAIN, NOW, WEB, Party, authority, leaf

ROOT = authority("root")
MIDDLE = authority("intermediate", ROOT)
TRUST = TrustStore(domains={DOMAIN: (ROOT.certificate,)}, dns=(ROOT.certificate,))


def refused(leaf_der: bytes, *extra: bytes) -> UntrustedCertificateError | None:
    try:
        verify_caller(leaf_der, extra, TRUST, NOW)
    except UntrustedCertificateError as error:
        return error
    return None


def verify(party: Party, *extra: Party) -> str:
    return verify_caller(party.der, [sent.der for sent in extra], TRUST, NOW).id


def test_a_root_issued_again_under_its_own_key_is_its_own_issuer_and_ends_the_search() -> None:
    again = authority("root", key=ROOT.key)

    assert verify(leaf(MIDDLE), MIDDLE, again) == WEB


def test_signers_of_ours_who_sign_each_other_in_a_circle_end_the_search() -> None:
    first = authority("first", ROOT)
    second = authority("second", first)
    first_again = authority("first", second, key=first.key)

    assert verify(leaf(second), first, second, first_again) == WEB


def test_a_root_that_is_sent_along_is_no_signer_below_itself() -> None:
    party = leaf(MIDDLE)

    chain = build_chain(
        party.certificate, [MIDDLE.certificate, ROOT.certificate], (ROOT.certificate,), DOMAIN, NOW
    )

    assert chain == [party.certificate, MIDDLE.certificate, ROOT.certificate]


def test_a_malformed_certificate_is_named_by_its_place() -> None:
    wrong_leaf, wrong_extra = refused(b"junk"), refused(leaf(ROOT).der, b"junk")

    assert wrong_leaf is not None
    assert wrong_extra is not None
    assert (wrong_leaf.code, str(wrong_leaf)) == (Refusal.MALFORMED, "the leaf certificate is malformed")
    assert (wrong_extra.code, str(wrong_extra)) == (
        Refusal.MALFORMED,
        "a certificate sent with the leaf is malformed",
    )


def test_a_chain_that_leads_nowhere_names_whose_roots_were_looked_at() -> None:
    stranger = authority("stranger")

    workload, machine = refused(leaf(stranger).der), refused(leaf(stranger, uris=(), dns=["vm.test"]).der)

    assert workload is not None
    assert machine is not None
    assert f"a root of the trust domain `{DOMAIN}`" in str(workload)
    assert "a root of DNS identities" in str(machine)
