"""What revocation lists do to a verified chain: revoked, unknown, or known until they end."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pdp.identity.caller import Caller
from pdp.identity.crl import RevocationList, read_crl
from pdp.identity.revocation import is_of
from pdp.identity.trust import DNS, TrustStore, trust_warnings
from pdp.identity.x509 import Refusal, UntrustedCertificateError, verify_caller
from pdp.limits import CRL_LEEWAY_SECONDS, MAX_CRL_SIGNATURES
from tests.identity.mint import DAY, DOMAIN, NOW, Party, authority, leaf, usage
from tests.identity.revoking import crl

PARTNER = "partner.example.net"
ROOT = authority("root", uris=[f"spiffe://{DOMAIN}"])
MIDDLE = authority("middle", ROOT, uris=[f"spiffe://{DOMAIN}"])
WEB = leaf(MIDDLE)
MOMENT = timedelta(microseconds=1)
LEEWAY = timedelta(seconds=CRL_LEEWAY_SECONDS)


def verify(
    *lists: RevocationList, party: Party = WEB, middle: Party = MIDDLE, after: timedelta = timedelta()
) -> Caller:
    trust = TrustStore(domains={DOMAIN: (ROOT.certificate,)}, crls={DOMAIN: lists})
    return verify_caller(party.der, [middle.der], trust, NOW + after)


def refused(*lists: RevocationList, **what: object) -> Refusal:
    with pytest.raises(UntrustedCertificateError) as caught:
        verify(*lists, **what)  # type: ignore[arg-type] -- handed on
    return caught.value.code


def test_a_revoked_leaf_is_refused_and_others_of_its_authority_are_not() -> None:
    lists = crl(MIDDLE, WEB)

    assert refused(lists) is Refusal.REVOKED
    assert verify(lists, party=leaf(MIDDLE)).id


def test_a_revoked_intermediate_takes_all_that_it_signed_with_it() -> None:
    assert refused(crl(ROOT, MIDDLE)) is Refusal.REVOKED
    assert refused(crl(ROOT, MIDDLE), crl(MIDDLE)) is Refusal.REVOKED


def test_a_serial_number_counts_for_the_authority_that_gave_it() -> None:
    assert verify(crl(ROOT, WEB), crl(MIDDLE, MIDDLE)).id


def test_what_is_known_ends_with_the_list_and_the_caller_with_it() -> None:
    end = NOW + timedelta(hours=2)
    found = verify(crl(MIDDLE, end=end), crl(ROOT, end=end + DAY))

    assert found.not_after == int(end.timestamp()) * 1000
    assert verify(crl(MIDDLE, end=NOW + 20 * DAY)).not_after == verify().not_after


def test_a_list_holds_from_its_first_to_its_last_instant() -> None:
    lists = crl(MIDDLE, start=NOW + LEEWAY, end=NOW + timedelta(hours=1))

    assert verify(lists).id  # the authority's clock is ahead
    assert verify(lists, after=timedelta(hours=1)).id
    assert refused(lists, after=-MOMENT) is Refusal.REVOCATION_UNKNOWN
    assert refused(lists, after=timedelta(hours=1) + MOMENT) is Refusal.REVOCATION_UNKNOWN


def test_an_authority_without_a_list_is_not_asked() -> None:
    assert verify(crl(authority("another"), end=NOW - MOMENT)).not_after == verify().not_after


def test_a_list_in_the_name_of_an_authority_by_another_key_leaves_it_unknown() -> None:
    forged = crl(MIDDLE, key=ec.generate_private_key(ec.SECP256R1()))

    assert refused(forged) is Refusal.REVOCATION_UNKNOWN
    assert verify(forged, crl(MIDDLE)).id  # its own is there as well
    assert refused(forged, crl(MIDDLE, WEB)) is Refusal.REVOKED


def test_an_authority_that_may_sign_no_lists_has_none() -> None:
    weak = authority("weak", ROOT, uris=[f"spiffe://{DOMAIN}"], key_usage=usage("key_cert_sign"))
    party = leaf(weak)

    assert refused(crl(weak), party=party, middle=weak) is Refusal.REVOCATION_UNKNOWN


def test_the_newest_list_that_has_begun_counts() -> None:
    older, newer = crl(MIDDLE, WEB, start=NOW - DAY), crl(MIDDLE)
    later = crl(MIDDLE, WEB, start=NOW + timedelta(hours=1))

    assert verify(older, newer).id  # no longer on hold
    # What is known now ends a millisecond before the next one begins.
    begins = round((NOW + timedelta(hours=1) - LEEWAY).timestamp() * 1000)
    assert verify(newer, later).not_after == begins - 1
    assert verify(newer, crl(MIDDLE, start=NOW + DAY), later).not_after == begins - 1
    assert verify(newer, crl(authority("middle"), start=NOW + LEEWAY + MOMENT)).not_after > begins
    assert refused(newer, later, after=timedelta(hours=1)) is Refusal.REVOKED
    assert refused(older, crl(MIDDLE, end=NOW - MOMENT)) is Refusal.REVOCATION_UNKNOWN


def test_of_two_lists_of_one_instant_both_count() -> None:
    longer = crl(MIDDLE, end=NOW + timedelta(hours=5))

    assert refused(crl(MIDDLE), crl(MIDDLE, WEB, end=NOW + 2 * DAY)) is Refusal.REVOKED
    assert verify(crl(MIDDLE, end=NOW + timedelta(hours=2)), longer).not_after == round(
        (NOW + timedelta(hours=2)).timestamp() * 1000
    )


def test_authorities_of_one_name_and_two_keys_have_two_lists() -> None:
    twin = authority("middle", ROOT, uris=[f"spiffe://{DOMAIN}"])
    lists = (crl(MIDDLE, WEB), crl(twin, start=NOW))

    assert refused(*lists) is Refusal.REVOKED
    assert verify(*lists, party=leaf(twin), middle=twin).id


def test_lists_of_another_trust_domain_are_of_no_consequence() -> None:
    trust = TrustStore(
        domains={DOMAIN: (ROOT.certificate,), PARTNER: ()}, crls={PARTNER: (crl(MIDDLE, WEB),)}
    )

    assert verify_caller(WEB.der, [MIDDLE.der], trust, NOW).id


def test_dns_identities_have_lists_of_their_own() -> None:
    dns = authority("dns")
    host = leaf(dns, uris=[], dns=["db.example.org"])
    trust = TrustStore(domains={}, dns=(dns.certificate,), crls={DNS: (crl(dns, host),)})

    with pytest.raises(UntrustedCertificateError) as caught:
        verify_caller(host.der, [], trust, NOW)

    assert caught.value.code is Refusal.REVOKED
    assert (
        verify_caller(leaf(dns, uris=[], dns=["db.example.org"]).der, [], trust, NOW).id
        == "dns:db.example.org"
    )


def test_lists_are_part_of_trust_and_its_absence_leaves_the_name_as_it_was() -> None:
    roots = {DOMAIN: (ROOT.certificate,)}
    plain, one, other = (
        TrustStore(domains=roots, crls={DOMAIN: lists} if lists else {})
        for lists in ((), (crl(MIDDLE),), (crl(MIDDLE, WEB),))
    )

    assert len({plain.epoch, one.epoch, other.epoch}) == 3
    assert TrustStore(domains=roots, crls={DOMAIN: ()}) == plain == TrustStore(domains=roots)


def test_what_is_doubtful_about_lists_is_told() -> None:
    lists = (
        crl(MIDDLE, end=NOW - MOMENT),
        crl(authority("later"), start=NOW + DAY, end=NOW + 2 * DAY),
        crl(ROOT, key=ec.generate_private_key(ec.SECP256R1())),
    )
    trust = TrustStore(domains={DOMAIN: (ROOT.certificate,)}, crls={DOMAIN: lists})

    ended, coming, foreign = trust_warnings(trust, NOW)

    assert "`CN=middle` of `prod.example.org` held until 2027-03-01T11:59:59Z" in ended
    assert "`CN=later` of `prod.example.org` holds from" in coming
    assert foreign.startswith(
        "the revocation list of `CN=root` is not signed by the root of that name: nothing"
    )


def test_a_list_is_its_authority_s_by_name_and_key() -> None:
    assert is_of(crl(MIDDLE), MIDDLE.certificate)
    assert not is_of(crl(ROOT, key=MIDDLE.key), MIDDLE.certificate)
    assert not is_of(crl(MIDDLE, key=ROOT.key), MIDDLE.certificate)


def test_what_is_remembered_of_its_authorities_lies_on_the_list_and_is_bounded() -> None:
    lists = crl(MIDDLE)
    assert is_of(lists, MIDDLE.certificate)
    assert list(lists.signed_by.values()) == [True]
    for _ in range(2 * MAX_CRL_SIGNATURES):
        assert not is_of(lists, authority("middle").certificate)
        assert not is_of(lists, authority("another").certificate)
        assert len(lists.signed_by) <= MAX_CRL_SIGNATURES

    assert is_of(lists, MIDDLE.certificate)
    assert read_crl(lists.der) == lists
    assert read_crl(lists.der).signed_by == {}
