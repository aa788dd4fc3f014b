"""What a trust store becomes when its files change: domain by domain, and never less by mistake."""

from pathlib import Path

import pytest

from pdp.identity.renewal import renewed, trust_changes
from pdp.identity.trust import TrustStore
from tests.identity.mint import authority, leaf

PROD, PARTNER = "prod.example.org", "partner.example.net"
ONE, TWO = (authority(name, uris=[f"spiffe://{PROD}"]) for name in ("one", "two"))
THEIRS = authority("theirs", uris=[f"spiffe://{PARTNER}"])
FILES = {PROD: Path("prod.pem"), PARTNER: Path("partner.pem")}
SERVING = TrustStore(domains={PROD: (ONE.certificate, TWO.certificate), PARTNER: (THEIRS.certificate,)})


def become(prod: bytes | str, partner: bytes | str = THEIRS.pem) -> tuple[TrustStore, tuple[str, ...]]:
    return renewed(SERVING, FILES, {FILES[PROD]: prod, FILES[PARTNER]: partner})


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

    store, _ = renewed(serving, {PROD: FILES[PROD]}, {FILES[PROD]: TWO.pem})

    assert store.dns == serving.dns
    assert trust_changes(serving, store) == (f"`{PROD}`: 1 root added, 1 root removed",)


def test_counts_are_told_in_words() -> None:
    empty = TrustStore(domains={PROD: ()})

    assert trust_changes(empty, SERVING) == (f"`{PARTNER}`: 1 root added", f"`{PROD}`: 2 roots added")
