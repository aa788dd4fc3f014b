"""Roots are kept for each trust domain by itself."""

import ssl
from datetime import timedelta
from itertools import permutations
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pdp.identity.trust import DNS, TrustError, TrustStore, load_trust, trust_warnings
from pdp.limits import MAX_ROOTS_PER_TRUST_DOMAIN, MAX_TRUST_FILE_BYTES
from tests.identity.mint import DAY, DOMAIN, NOW, Party, authority, leaf, usage

PARTNER = "partner.example.net"


@pytest.fixture(scope="module")
def root() -> Party:
    return authority("prod root", uris=[f"spiffe://{DOMAIN}"])


@pytest.fixture(scope="module")
def partner() -> Party:
    return authority("partner root")


def test_each_trust_domain_has_the_roots_of_its_own_file(tmp_path: Path, root: Party, partner: Party) -> None:
    (tmp_path / "prod.pem").write_bytes(root.pem)
    (tmp_path / "partner.pem").write_bytes(partner.pem)

    trust = load_trust({DOMAIN: tmp_path / "prod.pem", PARTNER: tmp_path / "partner.pem"})

    assert dict(trust.domains) == {DOMAIN: (root.certificate,), PARTNER: (partner.certificate,)}
    assert trust.dns is None


MALFORMED_INSIDE = {
    "a version that does not exist": (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x0a"),
    "a point on no curve": (b"\x03\x42\x00\x04", b"\x03\x42\x00\x05"),
    "a name of a kind that is not supported": (b"\x86\x19spiffe", b"\xa3\x19spiffe"),
    "a date that does not exist": (b"270228120000Z", b"270230120000Z"),
    "no object identifier": (b"\x06\x03\x55\x1d\x13", b"\x06\x03\x80\x1d\x13"),
}


@pytest.mark.parametrize("case", MALFORMED_INSIDE)
def test_a_root_malformed_in_any_part_is_said_to_be_so_at_once(
    tmp_path: Path, root: Party, case: str
) -> None:
    """Parts are parsed as they are asked for: some of them long after the service has begun."""
    was, is_ = MALFORMED_INSIDE[case]
    assert was in root.der
    text = ssl.DER_cert_to_PEM_cert(root.der.replace(was, is_))
    (tmp_path / "roots.pem").write_text(text)

    with pytest.raises(TrustError, match="certificate 1 in it is malformed"):
        load_trust({DOMAIN: tmp_path / "roots.pem"})


def test_file_may_hold_several_roots_text_between_them_and_the_same_one_twice(
    tmp_path: Path, root: Party
) -> None:
    other = authority("next root")
    (tmp_path / "roots.pem").write_bytes(b"# current\n" + root.pem + b"\r\nnext\n" + other.pem + root.pem)

    trust = load_trust({DOMAIN: tmp_path / "roots.pem"})

    assert trust.domains[DOMAIN] == (root.certificate, other.certificate)


def test_roots_of_dns_identities_are_apart_and_off_unless_given(tmp_path: Path, partner: Party) -> None:
    (tmp_path / "dns.pem").write_bytes(partner.pem)

    trust = load_trust({}, dns=tmp_path / "dns.pem")

    assert trust.dns == (partner.certificate,)
    assert not trust.domains


def test_store_does_not_change_with_the_mapping_it_was_made_from(root: Party) -> None:
    given = {DOMAIN: (root.certificate,)}
    trust = TrustStore(domains=given)

    given[PARTNER] = (root.certificate,)

    assert set(trust.domains) == {DOMAIN}
    with pytest.raises(TypeError):
        trust.domains[PARTNER] = ()  # type: ignore[index]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "there is no certificate in it"),
        (b"hello", "there is no certificate in it"),
        (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "certificate 1 in it is malformed",
        ),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n", "has a beginning and no end"),
    ],
)
def test_file_without_a_readable_certificate_is_refused_by_name(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "roots.pem"
    path.write_bytes(content)

    with pytest.raises(TrustError, match=message) as caught:
        load_trust({DOMAIN: path})

    assert str(caught.value).startswith(f"{path}: ")


def test_file_whose_second_certificate_is_cut_short_is_refused_whole(tmp_path: Path, root: Party) -> None:
    (tmp_path / "roots.pem").write_bytes(root.pem + root.pem[: len(root.pem) // 2])

    with pytest.raises(TrustError, match="has a beginning and no end"):
        load_trust({DOMAIN: tmp_path / "roots.pem"})


def test_file_that_is_missing_or_is_a_folder_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match=r"absent\.pem: cannot be read: No such file"):
        load_trust({DOMAIN: tmp_path / "absent.pem"})
    with pytest.raises(TrustError, match="cannot be read: Is a directory"):
        load_trust({DOMAIN: tmp_path})


def test_file_with_a_private_key_is_refused(tmp_path: Path, root: Party) -> None:
    key = root.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "both.pem").write_bytes(root.pem + key)

    with pytest.raises(TrustError, match="there is a private key in it"):
        load_trust({DOMAIN: tmp_path / "both.pem"})


def test_file_is_read_up_to_its_bound_and_refused_one_byte_past_it(tmp_path: Path, root: Party) -> None:
    path = tmp_path / "roots.pem"
    path.write_bytes(root.pem + b"\n" * (MAX_TRUST_FILE_BYTES - len(root.pem)))
    assert load_trust({DOMAIN: path}).domains[DOMAIN] == (root.certificate,)

    path.write_bytes(root.pem + b"\n" * (MAX_TRUST_FILE_BYTES + 1 - len(root.pem)))
    with pytest.raises(TrustError, match=f"larger than {MAX_TRUST_FILE_BYTES} bytes"):
        load_trust({DOMAIN: path})


def test_trust_domain_has_at_most_its_bound_of_roots() -> None:
    roots = tuple(authority(f"root {n}").certificate for n in range(MAX_ROOTS_PER_TRUST_DOMAIN + 1))

    assert len(TrustStore(domains={DOMAIN: roots[1:]}).domains[DOMAIN]) == MAX_ROOTS_PER_TRUST_DOMAIN
    with pytest.raises(TrustError, match=f"at most {MAX_ROOTS_PER_TRUST_DOMAIN}"):
        TrustStore(domains={DOMAIN: roots})


NOT_ROOTS = {
    "a leaf": (lambda: leaf(None), "is not a CA certificate"),
    "no basic constraints": (lambda: authority("r", basic=None), "has no basic constraints"),
    "no key usage": (lambda: authority("r", key_usage=None), "has no key usage"),
    "may not sign certificates": (
        lambda: authority("r", key_usage=usage("crl_sign")),
        "key usage does not allow signing certificates",
    ),
    "another domain": (lambda: authority("r", uris=[f"spiffe://{PARTNER}"]), f"not `spiffe://{DOMAIN}`"),
    "a workload": (lambda: authority("r", uris=[f"spiffe://{DOMAIN}/ca"]), f"not `spiffe://{DOMAIN}`"),
    "a slash": (lambda: authority("r", uris=[f"spiffe://{DOMAIN}/"]), f"not `spiffe://{DOMAIN}`"),
    "one URI too many": (
        lambda: authority("r", uris=[f"spiffe://{DOMAIN}", f"spiffe://{PARTNER}"]),
        f"not `spiffe://{DOMAIN}`",
    ),
}


@pytest.mark.parametrize("case", NOT_ROOTS)
def test_certificate_that_may_not_sign_for_the_domain_is_no_root(tmp_path: Path, case: str) -> None:
    make, message = NOT_ROOTS[case]
    (tmp_path / "roots.pem").write_bytes(make().pem)

    with pytest.raises(TrustError, match=message) as caught:
        load_trust({DOMAIN: tmp_path / "roots.pem"})

    assert "roots.pem" in str(caught.value)


def test_authority_of_a_trust_domain_is_no_root_of_dns_identities(root: Party) -> None:
    with pytest.raises(TrustError, match="an authority for DNS identities has none"):
        TrustStore(domains={}, dns=(root.certificate,))


@pytest.mark.parametrize(
    "name", ["", "Prod.example.org", "prod.example.org/ns", "a b", "spiffe://x", "x" * 256, "a:1"]
)
def test_name_that_is_no_trust_domain_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(TrustError, match="is not a trust domain"):
        load_trust({name: tmp_path / "never-read.pem"})
    with pytest.raises(TrustError, match="is not a trust domain"):
        TrustStore(domains={name: ()})


def test_epoch_is_the_same_for_the_same_contents_in_any_order(root: Party, partner: Party) -> None:
    third = authority("third").certificate
    mine, theirs = (root.certificate, third), (partner.certificate,)

    epochs = {
        TrustStore(domains=dict(items)).epoch
        for first in permutations(mine)
        for items in permutations([(DOMAIN, first), (PARTNER, theirs)])
    }

    assert len(epochs) == 1
    assert 0 <= epochs.pop() < 2**53


def test_epoch_changes_with_every_change_of_the_contents(root: Party, partner: Party) -> None:
    a, b = root.certificate, partner.certificate
    stores = [
        TrustStore(domains={}),
        TrustStore(domains={}, dns=()),
        TrustStore(domains={}, dns=(b,)),
        TrustStore(domains={DOMAIN: ()}),
        TrustStore(domains={DOMAIN: (a,)}),
        TrustStore(domains={DOMAIN: (b,)}),
        TrustStore(domains={PARTNER: (b,)}),
        TrustStore(domains={DOMAIN: (a, b)}),
        TrustStore(domains={DOMAIN: (a,), PARTNER: (b,)}),
        TrustStore(domains={DOMAIN: (a,), PARTNER: ()}),
    ]

    assert len({store.epoch for store in stores}) == len(stores)
    assert len(set(stores)) == len(stores)


def test_expired_root_is_loaded_and_named_in_a_warning(tmp_path: Path, root: Party) -> None:
    old = authority("old root", start=NOW - 9 * DAY, end=NOW - DAY)
    coming = authority("new root", start=NOW + DAY, end=NOW + 9 * DAY)
    (tmp_path / "roots.pem").write_bytes(old.pem + root.pem + coming.pem)

    trust = load_trust({DOMAIN: tmp_path / "roots.pem"})

    assert len(trust.domains[DOMAIN]) == 3
    assert trust_warnings(trust, NOW) == (
        f"root `CN=old root` of `{DOMAIN}` expired at 2027-02-28T12:00:00Z",
        f"root `CN=new root` of `{DOMAIN}` is valid from 2027-03-02T12:00:00Z",
    )
    assert trust_warnings(trust, NOW - DAY)[:1] != trust_warnings(trust, NOW)[:1]  # inclusive end


def test_domain_without_roots_is_named_in_a_warning() -> None:
    trust = TrustStore(domains={DOMAIN: ()}, dns=())

    assert trust_warnings(trust, NOW) == (
        "no root is trusted for DNS identities: nothing verifies",
        f"no root is trusted for `{DOMAIN}`: nothing verifies",
    )


def test_roots_of_dns_identities_come_first_where_those_are_believed(root: Party, partner: Party) -> None:
    domains = {DOMAIN: (root.certificate,)}

    assert list(TrustStore(domains=domains).pools.items()) == [*domains.items()]
    assert list(TrustStore(domains=domains, dns=(partner.certificate,)).pools.items()) == [
        (DNS, (partner.certificate,)), *domains.items()
    ]  # fmt: skip
    assert TrustStore(domains={}, dns=()).pools == {DNS: ()}


def test_key_that_signs_for_two_domains_is_named_even_if_its_certificates_differ(partner: Party) -> None:
    renewed = authority("renewed", key=partner.key, end=NOW + timedelta(days=900))
    trust = TrustStore(domains={DOMAIN: (renewed.certificate,), PARTNER: (partner.certificate,)})

    assert trust_warnings(trust, NOW) == (f"one authority's key signs for `{PARTNER}` and `{DOMAIN}`",)


def test_sound_store_has_no_warnings(root: Party, partner: Party) -> None:
    trust = TrustStore(domains={DOMAIN: (root.certificate,), PARTNER: (partner.certificate,)})

    assert trust_warnings(trust, NOW) == ()


def test_hostile_subject_is_escaped_in_messages(tmp_path: Path) -> None:
    (tmp_path / "roots.pem").write_bytes(leaf(None, name="evil\x1b[2J\u202e").pem)

    with pytest.raises(TrustError) as caught:
        load_trust({DOMAIN: tmp_path / "roots.pem"})

    assert "\x1b" not in str(caught.value)
    assert "\u202e" not in str(caught.value)
    assert "evil" in str(caught.value)
