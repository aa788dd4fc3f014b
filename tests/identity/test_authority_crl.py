"""What the development authority revokes is revoked, for good, whatever is rotated in between."""

import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pdp.identity import authority_crl as module
from pdp.identity.authority import (
    AuthorityError,
    InvalidRequestError,
    init,
    issue,
    rotate,
    rotate_intermediate,
)
from pdp.identity.authority_crl import CRL_TTL, publish, revoke
from pdp.identity.authority_folder import reported
from pdp.identity.caller import Caller
from pdp.identity.certificates import presented_chain
from pdp.identity.crl import RevocationList, crls_in
from pdp.identity.refusal import Refusal, UntrustedCertificateError
from pdp.identity.trust import DNS, load_trust
from pdp.identity.x509 import verify_caller
from pdp.limits import MAX_CRLS, MAX_PKI_CRL_DAYS
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


@pytest.mark.parametrize("gone", ["intermediate.pem", "intermediate-key.pem"])
def test_a_rotation_without_the_old_one_or_its_key_would_forget_and_is_refused(
    folder: Path, gone: str
) -> None:
    revoke(folder, "web", now=NOW)
    (folder / gone).unlink()
    before = {file: file.read_bytes() for file in folder.iterdir()}

    with pytest.raises(AuthorityError, match=r"without it crl.pem cannot be completed"):
        rotate_intermediate(folder, now=NOW)

    assert {file: file.read_bytes() for file in folder.iterdir()} == before


def test_whatever_a_library_refuses_to_sign_is_reported() -> None:
    with pytest.raises(AuthorityError, match="the date is too early"), reported():
        raise ValueError("the date is too early")


def lists_in(folder: Path) -> tuple[RevocationList, ...]:
    return crls_in((folder / "crl.pem").read_bytes(), folder / "crl.pem")


def test_an_intermediate_that_has_ended_is_replaced_and_its_lists_go_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    init(folder, trust_domain=DOMAIN, now=NOW, intermediate_ttl=2 * DAY)
    issue(folder, "web", spiffe_id=WEB, now=NOW)
    revoke(folder, "web", now=NOW)

    rotate_intermediate(folder, now=NOW + 2 * DAY + HOUR)
    rotate(folder, "web", now=NOW + 2 * DAY + HOUR)

    (found,) = lists_in(folder)
    assert found.revoked == frozenset()
    assert verify(folder, presented(folder, "web"), NOW + 2 * DAY + HOUR).id == WEB


def test_in_its_last_second_it_still_completes_its_list(tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    init(folder, trust_domain=DOMAIN, now=NOW, intermediate_ttl=2 * DAY)
    issue(folder, "web", spiffe_id=WEB, now=NOW, ttl=2 * DAY)
    web = presented(folder, "web")
    revoke(folder, "web", now=NOW)

    rotate_intermediate(folder, now=NOW + 2 * DAY)

    assert len(lists_in(folder)) == 2
    assert refusal(folder, web, NOW + 2 * DAY) is Refusal.REVOKED


def test_who_has_ended_signs_no_list_and_that_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    init(folder, trust_domain=DOMAIN, now=NOW, root_ttl=2 * DAY, intermediate_ttl=DAY)

    with pytest.raises(AuthorityError, match=r"pdp development root .* ended at 2027-03-03.* signs no list"):
        revoke(folder, "intermediate", now=NOW + 3 * DAY)


def test_lists_of_intermediates_that_are_long_over_are_dropped(folder: Path) -> None:
    web = presented(folder, "web")
    revoke(folder, "web", now=NOW)
    for number in range(1, 10):
        rotate_intermediate(folder, now=NOW + number * HOUR, ttl=DAY + number * HOUR)
    assert len(lists_in(folder)) == 10

    made = publish(folder, now=NOW + 2 * DAY)  # the second to the ninth have ended

    assert made.until == NOW + 2 * DAY + CRL_TTL
    assert len(lists_in(folder)) == 2
    assert refusal(folder, web, NOW + 2 * DAY) is Refusal.REVOKED


def test_no_list_is_written_that_could_not_be_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    revoke(folder, "web", now=NOW)
    for _ in range(1, MAX_CRLS):
        rotate_intermediate(folder, now=NOW)
    names = ("crl.pem", "intermediate.pem", "intermediate-key.pem")
    before = [(folder / name).read_bytes() for name in names]

    with pytest.raises(
        AuthorityError, match=r"65 revocation lists: at most 64 are read; it was left as it is"
    ):
        rotate_intermediate(folder, now=NOW)
    with monkeypatch.context() as patch:
        patch.setattr(module, "MAX_TRUST_FILE_BYTES", len(before[0]) - 100)  # thousands, as it is
        with pytest.raises(
            AuthorityError, match=r"larger than \d+ bytes, the limit for a trust file; it was"
        ):
            publish(folder, now=NOW)

    assert [(folder / name).read_bytes() for name in names] == before
    publish(folder, now=NOW)
    assert len(lists_in(folder)) == MAX_CRLS


@pytest.mark.parametrize("renamed", [1, 2])
def test_a_rotation_that_was_cut_off_is_cured_by_the_next_one(folder: Path, renamed: int) -> None:
    web, names = presented(folder, "web"), ("crl.pem", "intermediate-key.pem", "intermediate.pem")
    revoke(folder, "web", now=NOW)
    before = {name: (folder / name).read_bytes() for name in names}
    rotate_intermediate(folder, now=NOW + HOUR)
    for name in names[renamed:]:  # a crash before these
        (folder / name).write_bytes(before[name])

    rotate_intermediate(folder, now=NOW + 2 * HOUR)

    rotate(folder, "api", now=NOW + 2 * HOUR)
    assert refusal(folder, web, NOW + 2 * HOUR) is Refusal.REVOKED
    assert refusal(folder, web, NOW + 29 * DAY) is Refusal.REVOKED
    assert verify(folder, presented(folder, "api"), NOW + 2 * HOUR).id == WEB


@needs("openssl")
def test_openssl_reads_and_verifies_the_list(folder: Path) -> None:
    revoke(folder, "web", now=NOW)

    done = subprocess.run(
        ["openssl", "crl", "-in", "crl.pem", "-CAfile", "intermediate.pem", "-noout", "-text"], cwd=folder,
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert "verify OK" in done.stderr
    assert done.stdout.count("Serial Number:") == 1
