"""What the development authority revokes is revoked, for good, whatever is rotated in between."""

import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pdp.identity.authority import (
    AuthorityError,
    InvalidRequestError,
    init,
    issue,
    rotate,
    rotate_intermediate,
)
from pdp.identity.authority_crl import CRL_TTL, publish, revoke
from pdp.identity.caller import Caller
from pdp.identity.certificates import presented_chain
from pdp.identity.crl import crls_in
from pdp.identity.refusal import Refusal, UntrustedCertificateError
from pdp.identity.trust import DNS, load_trust
from pdp.identity.x509 import verify_caller
from pdp.limits import MAX_PKI_CRL_DAYS
from tests.identity.mint import DAY, DOMAIN, NOW, WEB, authority
from tests.identity.revoking import crl_pem
from tests.programs import needs

HOUR = timedelta(hours=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "pki"
    init(path, trust_domain=DOMAIN, now=NOW)
    for name in ("web", "api"):
        issue(path, name, spiffe_id=WEB, now=NOW, ttl=30 * DAY)
    return path


def presented(folder: Path, name: str) -> tuple[bytes, list[bytes]]:
    return presented_chain((folder / f"{name}.pem").read_bytes())


def verify(folder: Path, chain: tuple[bytes, list[bytes]], now: datetime) -> Caller:
    trust = load_trust({DOMAIN: folder / "root.pem"}, crls={DOMAIN: folder / "crl.pem"})
    return verify_caller(*chain, trust, now)


def refusal(folder: Path, chain: tuple[bytes, list[bytes]], now: datetime = NOW) -> Refusal:
    with pytest.raises(UntrustedCertificateError) as caught:
        verify(folder, chain, now)
    return caught.value.code


def test_a_revoked_leaf_is_refused_and_its_successor_is_not(folder: Path) -> None:
    before = presented(folder, "web")

    made = revoke(folder, "web", now=NOW)
    rotate(folder, "web", now=NOW)

    assert made.until == NOW + CRL_TTL
    assert made.lists == folder / "crl.pem"
    assert refusal(folder, before) is Refusal.REVOKED
    assert verify(folder, presented(folder, "web"), NOW).id == WEB
    assert verify(folder, presented(folder, "api"), NOW).id == WEB


def test_what_was_revoked_stays_so_when_more_is_or_the_list_is_made_again(folder: Path) -> None:
    web, api = presented(folder, "web"), presented(folder, "api")
    revoke(folder, "web", now=NOW)
    revoke(folder, "web", now=NOW + HOUR)  # once more: as it was
    revoke(folder, "api", now=NOW + 2 * HOUR)
    made = publish(folder, now=NOW + 6 * DAY, ttl=2 * DAY)

    assert made.until == NOW + 8 * DAY
    (lists,) = crls_in((folder / "crl.pem").read_bytes(), folder / "crl.pem")
    assert len(lists.revoked) == 2
    assert [entry.revocation_date_utc for entry in lists.parsed] == [NOW, NOW + 2 * HOUR]
    assert [refusal(folder, chain, NOW + 8 * DAY) for chain in (web, api)] == [Refusal.REVOKED] * 2
    assert refusal(folder, web, NOW + 8 * DAY + HOUR) is Refusal.REVOCATION_UNKNOWN


def test_each_list_has_a_higher_number(folder: Path) -> None:
    numbers = []
    for _ in range(3):
        publish(folder, now=NOW)
        (found,) = crls_in((folder / "crl.pem").read_bytes(), folder / "crl.pem")
        numbers.append(found.parsed.extensions[1].value.crl_number)

    assert numbers == [1, 2, 3]


def test_a_first_list_revokes_nothing(folder: Path) -> None:
    assert publish(folder, now=NOW).serial == ""
    assert (
        verify(folder, presented(folder, "web"), NOW).not_after == round((NOW + CRL_TTL).timestamp()) * 1000
    )


def test_what_was_revoked_stays_so_once_the_intermediate_is_another(folder: Path) -> None:
    web, api = presented(folder, "web"), presented(folder, "api")
    revoke(folder, "web", now=NOW)

    rotate_intermediate(folder, now=NOW + DAY)
    rotate_intermediate(folder, now=NOW + 2 * DAY)
    publish(folder, now=NOW + 20 * DAY)

    late = NOW + 21 * DAY
    assert refusal(folder, web, late) is Refusal.REVOKED
    assert verify(folder, api, late).id == WEB  # signed by the first one, and valid as before
    issue(folder, "new", spiffe_id=WEB, now=late)
    assert verify(folder, presented(folder, "new"), late).id == WEB
    assert len(crls_in((folder / "crl.pem").read_bytes(), folder / "crl.pem")) == 3


def test_without_lists_a_rotation_makes_none(folder: Path) -> None:
    rotate_intermediate(folder, now=NOW)

    assert not (folder / "crl.pem").exists()


def test_a_leaf_of_a_former_intermediate_is_revoked_with_that(folder: Path) -> None:
    web, api = presented(folder, "web"), presented(folder, "api")
    rotate_intermediate(folder, now=NOW)
    issue(folder, "new", spiffe_id=WEB, now=NOW)
    with pytest.raises(
        AuthorityError, match=r"intermediate.pem did not sign it; `pdp pki revoke web --issuer`"
    ):
        revoke(folder, "web", now=NOW)

    revoke(folder, "web", now=NOW, issuer=True)

    assert [refusal(folder, chain, NOW) for chain in (web, api)] == [Refusal.REVOKED] * 2
    assert verify(folder, presented(folder, "new"), NOW).id == WEB
    publish(folder, now=NOW + DAY)
    assert refusal(folder, web, NOW + DAY) is Refusal.REVOKED


def test_the_intermediate_itself_is_revoked_with_all_that_it_signed(folder: Path) -> None:
    web = presented(folder, "web")

    revoke(folder, "intermediate", now=NOW)
    rotate_intermediate(folder, now=NOW)
    rotate(folder, "web", now=NOW)

    assert refusal(folder, web) is Refusal.REVOKED
    assert verify(folder, presented(folder, "web"), NOW).id == WEB


def test_machines_are_revoked_as_well(tmp_path: Path) -> None:
    folder = tmp_path / "machines"
    init(folder, trust_domain=None, now=NOW)
    assert issue(folder, "db", spiffe_id=None, dns=["db.example.org"], now=NOW).uri == "dns:db.example.org"
    revoke(folder, "db", now=NOW)
    trust = load_trust({}, dns=folder / "root.pem", crls={DNS: folder / "crl.pem"})

    with pytest.raises(UntrustedCertificateError) as caught:
        verify_caller(*presented(folder, "db"), trust, NOW)

    assert caught.value.code is Refusal.REVOKED
    rotate(folder, "db", now=NOW)
    assert verify_caller(*presented(folder, "db"), trust, NOW).id == "dns:db.example.org"


def test_an_authority_signs_names_of_its_own_kind_alone(folder: Path, tmp_path: Path) -> None:
    init(tmp_path / "machines", trust_domain=None, now=NOW)

    with pytest.raises(InvalidRequestError, match="leave the SPIFFE ID out"):
        issue(tmp_path / "machines", "web", spiffe_id=WEB, now=NOW)
    with pytest.raises(InvalidRequestError, match="exactly one DNS name, and 2 are given"):
        issue(tmp_path / "machines", "db", spiffe_id=None, dns=["a.example.org", "b.example.org"], now=NOW)
    with pytest.raises(AuthorityError, match="would not verify"):
        issue(folder, "db", spiffe_id=None, dns=["db.example.org"], now=NOW)


@pytest.mark.parametrize(
    ("name", "ttl", "why"),
    [
        ("root", DAY, "no list revokes a root"),
        ("../web", DAY, "is not a name"),
        ("web", timedelta(0), "a lifetime here"),
        ("web", (MAX_PKI_CRL_DAYS + 1) * DAY, "a lifetime here"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(folder: Path, name: str, ttl: timedelta, why: str) -> None:
    with pytest.raises(InvalidRequestError, match=why):
        revoke(folder, name, now=NOW, ttl=ttl)
    assert not (folder / "crl.pem").exists()


def test_what_is_not_there_is_not_revoked(folder: Path) -> None:
    with pytest.raises(AuthorityError, match=r"nobody.pem does not exist"):
        revoke(folder, "nobody", now=NOW)
    (folder / "web.pem").write_bytes(authority("stranger").pem)
    with pytest.raises(AuthorityError, match=r"intermediate.pem did not sign it"):
        revoke(folder, "web", now=NOW)
    with pytest.raises(AuthorityError, match="the root did not sign it"):
        revoke(folder, "web", now=NOW, issuer=True)


def test_damaged_lists_are_not_written_over(folder: Path) -> None:
    """They are all that is remembered: to begin anew would let pass what was revoked."""
    revoke(folder, "web", now=NOW)
    good = (folder / "crl.pem").read_bytes()
    (found,) = crls_in(good, folder / "crl.pem")
    stranger = authority("x")
    for damaged, why in (
        (b"", "there is no revocation list in it"),
        (good[:-40], "has a beginning and no end"),
        (crl_pem(stranger, name=found.issuer), "that it did not sign"),
    ):
        (folder / "crl.pem").write_bytes(damaged)
        for change in (
            lambda: publish(folder, now=NOW),
            lambda: revoke(folder, "api", now=NOW),
            lambda: rotate_intermediate(folder, now=NOW),
        ):
            with pytest.raises(AuthorityError, match=why):
                change()
        assert (folder / "crl.pem").read_bytes() == damaged


def test_a_rotation_without_the_old_key_would_forget_and_is_refused(folder: Path) -> None:
    revoke(folder, "web", now=NOW)
    before = (folder / "intermediate.pem").read_bytes()
    (folder / "intermediate-key.pem").unlink()

    with pytest.raises(AuthorityError, match=r"without it crl.pem cannot be completed"):
        rotate_intermediate(folder, now=NOW)

    assert (folder / "intermediate.pem").read_bytes() == before


@needs("openssl")
def test_openssl_reads_and_verifies_the_list(folder: Path) -> None:
    revoke(folder, "web", now=NOW)

    done = subprocess.run(
        ["openssl", "crl", "-in", "crl.pem", "-CAfile", "intermediate.pem", "-noout", "-text"], cwd=folder,
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert "verify OK" in done.stderr
    assert done.stdout.count("Serial Number:") == 1
