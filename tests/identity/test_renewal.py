"""What a trust store becomes when its files change: domain by domain, and never less by mistake."""

from pathlib import Path

import pytest

from pdp.identity.renewal import renewed, trust_changes
from pdp.identity.trust import DNS, TrustFiles, TrustStore
from tests.identity.mint import DAY, NOW, authority, leaf
from tests.identity.revoking import crl, crl_pem

PROD, PARTNER = "prod.example.org", "partner.example.net"
ONE, TWO = (authority(name, uris=[f"spiffe://{PROD}"]) for name in ("one", "two"))
THEIRS = authority("theirs", uris=[f"spiffe://{PARTNER}"])
FILES = {PROD: Path("prod.pem"), PARTNER: Path("partner.pem")}
SERVING = TrustStore(domains={PROD: (ONE.certificate, TWO.certificate), PARTNER: (THEIRS.certificate,)})


def become(prod: bytes | str, partner: bytes | str = THEIRS.pem) -> tuple[TrustStore, tuple[str, ...]]:
    return renewed(SERVING, TrustFiles(FILES), {FILES[PROD]: prod, FILES[PARTNER]: partner}, NOW)


def test_the_same_files_are_the_same_store() -> None:
    store, wrong = become(TWO.pem + ONE.pem)  # in whatever order

    assert (store, wrong) == (SERVING, ())
    assert store.epoch == SERVING.epoch


def test_a_root_that_is_gone_from_its_file_is_gone() -> None:
    store, wrong = become(ONE.pem)

    assert store.domains[PROD] == (ONE.certificate,)
    assert wrong == ()
    assert trust_changes(SERVING, store) == (f"`{PROD}`: 1 root removed",)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "there is no certificate in it"),
        ("cannot be read: Permission denied", "cannot be read: Permission denied"),
        (THEIRS.pem, "cannot be a root"),
        (leaf(ONE).pem, "not a CA certificate"),
        (ONE.pem + ONE.pem[:100], "has a beginning and no end"),
        (ONE.pem + b"-----BEGIN EC PRIVATE KEY-----", "there is a private key in it"),
    ],
)
def test_a_bad_file_keeps_the_roots_of_its_own_domain_and_of_no_other(content: bytes | str, why: str) -> None:
    other = authority("new", uris=[f"spiffe://{PARTNER}"])

    store, (wrong,) = become(content, other.pem)

    assert why in wrong
    assert wrong.startswith("prod.pem: ")
    assert wrong.endswith(f"the roots of `{PROD}` stay as they were")
    assert store.domains[PROD] == SERVING.domains[PROD]
    assert store.domains[PARTNER] == (other.certificate,)
    assert trust_changes(SERVING, store) == (f"`{PARTNER}`: 1 root added, 1 root removed",)


def test_all_that_is_wrong_is_told() -> None:
    store, wrong = become(b"", "cannot be read: gone")

    assert store == SERVING
    assert len(wrong) == 2


def test_roots_of_dns_identities_stay() -> None:
    serving = TrustStore(domains={PROD: (ONE.certificate,)}, dns=(authority("dns").certificate,))

    store, _ = renewed(serving, TrustFiles({PROD: FILES[PROD]}), {FILES[PROD]: TWO.pem}, NOW)

    assert store.dns == serving.dns
    assert trust_changes(serving, store) == (f"`{PROD}`: 1 root added, 1 root removed",)


def test_counts_are_told_in_words() -> None:
    empty = TrustStore(domains={PROD: ()})

    assert trust_changes(empty, SERVING) == (f"`{PARTNER}`: 1 root added", f"`{PROD}`: 2 roots added")


# -- DNS identities --------------------------------------------------------------------------

HOSTS, NEXT = authority("hosts"), authority("next")
DNS_FILE = Path("ca.pem")
WITH_DNS = TrustStore(domains={PROD: (ONE.certificate,)}, dns=(HOSTS.certificate,))
DNS_FILES = TrustFiles({PROD: FILES[PROD]}, dns=DNS_FILE)


def test_roots_of_dns_identities_follow_their_file() -> None:
    store, wrong = renewed(WITH_DNS, DNS_FILES, {FILES[PROD]: ONE.pem, DNS_FILE: NEXT.pem}, NOW)

    assert (store.dns, wrong) == ((NEXT.certificate,), ())
    assert store.domains == WITH_DNS.domains
    assert trust_changes(WITH_DNS, store) == ("DNS identities: 1 root added, 1 root removed",)


def test_a_root_of_a_trust_domain_is_none_of_dns_identities() -> None:
    store, (wrong,) = renewed(WITH_DNS, DNS_FILES, {FILES[PROD]: ONE.pem, DNS_FILE: TWO.pem}, NOW)

    assert store == WITH_DNS
    assert "an authority for DNS identities has none" in wrong
    assert wrong.endswith("the roots of DNS identities stay as they were")


# -- revocation lists ------------------------------------------------------------------------

LISTS, DNS_LISTS = Path("lists.pem"), Path("dns-lists.pem")
WEB, API = leaf(ONE), leaf(ONE)
REVOKING = TrustStore(
    domains={PROD: (ONE.certificate,)},
    dns=(HOSTS.certificate,),
    crls={PROD: (crl(ONE, WEB),), DNS: (crl(HOSTS),)},
)


def lists_become(
    content: bytes | str, of_dns: bytes | str = b"", serving: TrustStore = REVOKING
) -> tuple[TrustStore, tuple[str, ...]]:
    files = TrustFiles({PROD: FILES[PROD]}, dns=DNS_FILE, crls={PROD: LISTS, DNS: DNS_LISTS})
    contents = {
        FILES[PROD]: ONE.pem, DNS_FILE: HOSTS.pem, LISTS: content, DNS_LISTS: of_dns or crl_pem(HOSTS),
    }  # fmt: skip
    return renewed(serving, files, contents, NOW)


def test_new_lists_are_in_force_and_what_they_do_is_told() -> None:
    store, wrong = lists_become(crl_pem(ONE, API), crl_pem(HOSTS, API, WEB))

    assert wrong == ()
    assert store != REVOKING
    assert trust_changes(REVOKING, store) == (
        "DNS identities: new revocation lists: 2 certificates revoked",
        f"`{PROD}`: new revocation lists: 1 certificate revoked, 1 certificate revoked no more",
    )


def test_a_list_that_is_made_again_or_is_there_no_more_is_told() -> None:
    again, _ = lists_become(crl_pem(ONE, WEB, start=NOW))
    gone, _ = lists_become(crl_pem(authority("another"), WEB))

    assert f"`{PROD}`: new revocation lists: nothing else is revoked" in trust_changes(REVOKING, again)
    assert f"`{PROD}`: there is no revocation list of `CN=one` any more" in trust_changes(REVOKING, gone)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "there is no revocation list in it"),
        ("cannot be read: No such file or directory", "cannot be read"),
        (crl_pem(ONE)[:-10], "has a beginning and no end"),
        (crl_pem(ONE, key=TWO.key), "is not signed by the root of that name"),
        (crl_pem(ONE, API, start=NOW - DAY), "`CN=one` is older than the one in force"),
    ],
)
def test_a_bad_file_keeps_the_lists_of_its_own_domain_and_of_no_other(content: bytes | str, why: str) -> None:
    store, (wrong,) = lists_become(content, crl_pem(HOSTS, API))

    assert why in wrong
    assert wrong.startswith("lists.pem: ")
    assert wrong.endswith(f"the revocation lists of `{PROD}` stay as they were")
    assert store.crls[PROD] == REVOKING.crls[PROD]
    assert store.crls[DNS] != REVOKING.crls[DNS]


def test_a_list_that_is_made_in_a_hurry_is_taken_while_a_later_one_waits() -> None:
    later = crl(ONE, WEB, start=NOW + DAY, end=NOW + 2 * DAY)
    held = (crl(ONE, WEB, start=NOW - DAY), later)
    serving = TrustStore(domains=REVOKING.domains, dns=REVOKING.dns, crls={**REVOKING.crls, PROD: held})

    store, wrong = lists_become(crl_pem(ONE, WEB, API, start=NOW), serving=serving)

    assert wrong == ()
    assert [each.revoked for each in store.crls[PROD]] == [crl(ONE, WEB, API).revoked]


def test_one_that_is_older_than_what_has_begun_is_refused_whatever_waits() -> None:
    waiting = crl_pem(ONE, WEB, start=NOW + DAY, end=NOW + 2 * DAY)

    _store, (wrong,) = lists_become(crl_pem(ONE, API, start=NOW - DAY) + waiting)

    assert "`CN=one` is older than the one in force" in wrong


def test_lists_are_held_against_the_roots_that_come_with_them() -> None:
    files = TrustFiles({PROD: FILES[PROD]}, crls={PROD: LISTS})
    successor = authority("one", uris=[f"spiffe://{PROD}"])  # its name, and another key

    store, wrong = renewed(
        REVOKING, files, {FILES[PROD]: successor.pem, LISTS: crl_pem(successor, start=NOW)}, NOW
    )

    assert wrong == ()
    assert store.domains[PROD] == (successor.certificate,)
