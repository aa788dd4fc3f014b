"""A bundle that is followed: when its endpoint is asked, what is taken, and what stays when nothing is.

An endpoint on a real socket tells real bundles; only the seconds are the test's.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pdp.identity.federation.document import BundleDocument, read_bundle_document
from pdp.identity.federation.endpoint import Endpoint, SpiffeEndpoint, WebEndpoint
from pdp.identity.federation.followed import FollowedBundle
from pdp.identity.fetch import parse_source_url
from pdp.identity.trust import TrustStore
from pdp.limits import (
    BUNDLE_DUE_SECONDS,
    FIRST_BUNDLE_SECONDS,
    MAX_BUNDLE_DUE_SECONDS,
    MAX_KEYS_SECONDS,
    MIN_BUNDLE_DUE_SECONDS,
)
from tests.identity.federating import (
    ENDPOINT,
    PARTNER,
    document,
    endpoint,
    key_entry,
    now,
    root,
    root_entry,
    server_of,
    write_pair,
)
from tests.identity.publishing import Publisher, publishing, send
from tests.identity.tokens import ec_key

ROOT, NEXT = root(), root("next root")
KEY = key_entry(ec_key(), "a")


class Partner:
    """An endpoint, a bundle that is followed there, and the seconds."""

    def __init__(self, publisher: Publisher, folder: Path, *, bootstrap: bytes | None = None) -> None:
        self.publisher, self.folder, self.seconds = publisher, folder, 0.0
        known = None if bootstrap is None else read_bundle_document(bootstrap, PARTNER)
        self.followed = FollowedBundle(PARTNER, self._source(), lambda: self.seconds, bootstrap=known)

    def _source(self) -> Endpoint:
        return WebEndpoint(parse_source_url(self.publisher.url), self.publisher.context(), seconds=30)

    @property
    def roots(self) -> tuple[Any, ...]:
        return had(self.followed)

    @property
    def looks(self) -> int:
        return len(self.publisher.asked)

    def publish(self, *entries: Any, **more: Any) -> None:
        self.publisher.document = document(*entries, **more)

    def after(self, seconds: float) -> FollowedBundle:
        self.seconds += seconds
        self.followed.look()
        return self.followed


class SpiffePartner(Partner):
    """The same, with an endpoint that serves its own trust domain by `https_spiffe`."""

    def _source(self) -> Endpoint:
        url = parse_source_url(f"https://127.0.0.1:{self.publisher.port}/bundle")
        return SpiffeEndpoint(url, ENDPOINT, clock=now, trust=lambda: TrustStore(domains={}), seconds=30)


@pytest.fixture
def partner(tmp_path: Path) -> Iterator[Partner]:
    with publishing(tmp_path) as publisher:
        made = Partner(publisher, tmp_path)
        made.publish(root_entry(ROOT), KEY, sequence=5)
        yield made


@pytest.fixture
def spiffe(tmp_path: Path) -> Iterator[SpiffePartner]:
    with endpoint(tmp_path, server_of(ROOT)) as publisher:
        made = SpiffePartner(publisher, tmp_path, bootstrap=document(root_entry(ROOT), sequence=3))
        made.publish(root_entry(ROOT), KEY, sequence=5)
        yield made


def roots(*parties: Any) -> tuple[Any, ...]:
    return tuple(each.certificate for each in parties)


def had(found: FollowedBundle) -> tuple[Any, ...]:
    bundle = found.in_force()
    return () if bundle is None else bundle.roots


def keys(found: FollowedBundle) -> list[str | None]:
    return [key.key_id for key in found.in_force().keys.keys]


def broken(handler: Any) -> None:
    send(handler, b"", 503)


# -- when the endpoint is asked --------------------------------------------------------


def test_nothing_is_fetched_until_somebody_asks(partner: Partner) -> None:
    found = partner.followed

    assert (found.trust_domain, found.in_force(), partner.looks) == (PARTNER, None, 0)
    assert found.problem == "its bundle has not been fetched yet"

    found.look()
    assert (had(found), found.problem, found.doubts) == (roots(ROOT), "", ())
    assert keys(found) == ["a"]


@pytest.mark.parametrize(
    ("hint", "seconds"),
    [
        (None, BUNDLE_DUE_SECONDS),
        (0, BUNDLE_DUE_SECONDS),
        (1, MIN_BUNDLE_DUE_SECONDS),
        (7, 7),
        (3600, MAX_BUNDLE_DUE_SECONDS),
        (3601, MAX_BUNDLE_DUE_SECONDS),
        (2**63 - 1, MAX_BUNDLE_DUE_SECONDS),
    ],
)
def test_it_is_asked_again_as_the_bundle_says(partner: Partner, hint: int | None, seconds: float) -> None:
    partner.publish(root_entry(ROOT), hint=hint)
    partner.after(0)

    partner.after(seconds - 0.01)
    assert partner.looks == 1
    partner.after(0.02)
    assert partner.looks == 2


@pytest.mark.parametrize(
    ("hint", "seconds"), [(None, FIRST_BUNDLE_SECONDS), (2, 2), (60, FIRST_BUNDLE_SECONDS)]
)
def test_until_there_is_one_it_is_asked_sooner(tmp_path: Path, hint: int | None, seconds: float) -> None:
    with publishing(tmp_path) as publisher:
        publisher.answer = broken
        waiting = Partner(publisher, tmp_path, bootstrap=document(root_entry(ROOT), hint=hint))
        waiting.after(0)

        waiting.after(seconds - 0.01)
        assert waiting.looks == 1
        waiting.after(0.02)
        assert waiting.looks == 2


def test_after_a_failure_it_is_asked_at_the_next_interval(partner: Partner) -> None:
    partner.publish(root_entry(ROOT), hint=60)
    partner.after(0)
    partner.publisher.answer = broken

    assert "503" in partner.after(60).problem
    partner.after(59.9)
    assert partner.looks == 2
    partner.publisher.answer = partner.publisher.publish
    assert partner.after(0.2).problem == ""
    assert partner.looks == 3


# -- what is taken ---------------------------------------------------------------------


def test_roots_and_keys_are_those_of_the_endpoint(partner: Partner) -> None:
    partner.after(0)
    partner.publish(root_entry(ROOT), root_entry(NEXT), sequence=6)
    assert had(partner.after(BUNDLE_DUE_SECONDS)) == roots(ROOT, NEXT)
    assert keys(partner.followed) == []

    partner.publish(root_entry(NEXT), sequence=7)
    assert had(partner.after(BUNDLE_DUE_SECONDS)) == roots(NEXT)


def test_an_empty_bundle_revokes_all(partner: Partner) -> None:
    partner.after(0)
    partner.publish(sequence=6)

    found = partner.after(BUNDLE_DUE_SECONDS)

    assert (had(found), keys(found), found.in_force().keys.fault, found.problem) == ((), [], "", "")
    assert found.doubts == ("its bundle is empty: all that it vouched for is revoked",)


def test_an_older_bundle_is_not_taken(partner: Partner) -> None:
    """Nor an older one that revokes all: who could send it could send the one before it."""
    partner.after(0)

    for entries in ([root_entry(NEXT)], []):
        partner.publish(*entries, sequence=4)
        found = partner.after(BUNDLE_DUE_SECONDS)
        assert had(found) == roots(ROOT)
        assert found.problem == "the bundle goes back: its sequence is 4, after 5"

    partner.publish(root_entry(NEXT), sequence=5)
    assert had(partner.after(BUNDLE_DUE_SECONDS)) == roots(NEXT)


def test_the_same_sequence_with_another_content_is_taken_and_told(partner: Partner) -> None:
    """What it leaves out may have been revoked."""
    partner.after(0)
    partner.publish(root_entry(NEXT), sequence=5)

    found = partner.after(BUNDLE_DUE_SECONDS)

    assert (had(found), found.problem) == (roots(NEXT), "")
    assert found.doubts == ("its bundle changed, and its sequence did not: 5",)
    assert partner.after(BUNDLE_DUE_SECONDS).doubts == ()


def test_without_a_sequence_the_last_one_told_is_the_newest(partner: Partner) -> None:
    partner.after(0)
    partner.publish(root_entry(NEXT))
    found = partner.after(BUNDLE_DUE_SECONDS)
    assert (had(found), found.problem) == (roots(NEXT), "")
    assert found.doubts == ("its bundle has no sequence any more",)

    partner.publish(root_entry(ROOT), sequence=4)
    assert "goes back" in partner.after(BUNDLE_DUE_SECONDS).problem
    assert partner.roots == roots(NEXT)


def test_a_bundle_that_never_had_a_sequence_needs_none(partner: Partner) -> None:
    partner.publish(root_entry(ROOT))
    partner.after(0)
    partner.publish(root_entry(NEXT))

    found = partner.after(BUNDLE_DUE_SECONDS)

    assert (had(found), found.doubts) == (roots(NEXT), ())


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"keys": [{"kty": "oct", "k": "AA"}]}', b"<html>"])
def test_what_is_no_bundle_changes_nothing(partner: Partner, data: bytes) -> None:
    partner.after(0)
    partner.publisher.document = data

    found = partner.after(BUNDLE_DUE_SECONDS)

    assert had(found) == roots(ROOT)
    assert found.problem


def test_what_is_not_used_of_a_bundle_is_told(partner: Partner) -> None:
    partner.publish(root_entry(ROOT), {"kty": "new", "use": "x509-svid"})

    assert partner.after(0).doubts == (
        "key 2 of its bundle is not used: its `kty` is `new`: of certificates RSA and EC are used",
    )


def test_keys_that_nobody_confirms_are_believed_no_more_and_roots_are(partner: Partner) -> None:
    """A root says itself when it ends."""
    partner.after(0)
    partner.publisher.answer = broken

    assert keys(partner.after(MAX_KEYS_SECONDS - 1)) == ["a"]
    found = partner.after(1)

    assert (keys(found), had(found)) == ([], roots(ROOT))
    assert found.in_force().keys.fault == "nobody has confirmed the bundle for too long"
    assert found.problem.endswith(
        "503; nobody has confirmed the bundle for too long: "
        "keys of tokens are believed no more, and roots until they end"
    )
    partner.publisher.answer = partner.publisher.publish
    assert keys(partner.after(BUNDLE_DUE_SECONDS)) == ["a"]


# -- an endpoint that serves its own trust domain --------------------------------------


def test_the_bootstrap_bundle_proves_the_endpoint_and_nobody_else(spiffe: SpiffePartner) -> None:
    assert spiffe.followed.in_force() is None

    assert had(spiffe.after(0)) == roots(ROOT)


def test_a_bundle_older_than_the_bootstrap_is_not_taken(spiffe: SpiffePartner) -> None:
    spiffe.publish(root_entry(ROOT), sequence=2)

    assert spiffe.after(0).problem == "the bundle goes back: its sequence is 2, after 3"
    assert spiffe.roots == ()


def test_the_endpoint_renews_its_roots_and_its_certificate(spiffe: SpiffePartner, tmp_path: Path) -> None:
    spiffe.publish(root_entry(ROOT), root_entry(NEXT), sequence=6)
    spiffe.after(0)
    spiffe.publisher.present(write_pair(tmp_path / "next.pem", server_of(NEXT)))
    spiffe.publish(root_entry(NEXT), sequence=7)
    assert (had(spiffe.after(BUNDLE_DUE_SECONDS)), spiffe.followed.problem) == (roots(NEXT), "")

    # The root that it began with, and its bootstrap bundle still holds, proves nothing any more.
    spiffe.publisher.present(write_pair(tmp_path / "old.pem", server_of(ROOT)))
    spiffe.publish(root_entry(ROOT), sequence=8)
    assert "not who it should be" in spiffe.after(BUNDLE_DUE_SECONDS).problem
    assert spiffe.roots == roots(NEXT)


def test_a_certificate_of_a_root_that_was_not_told_is_refused(spiffe: SpiffePartner, tmp_path: Path) -> None:
    spiffe.after(0)
    spiffe.publisher.present(write_pair(tmp_path / "next.pem", server_of(NEXT)))
    spiffe.publish(root_entry(NEXT), sequence=6)

    assert "not who it should be" in spiffe.after(BUNDLE_DUE_SECONDS).problem
    assert (spiffe.roots, spiffe.looks) == (roots(ROOT), 1)


def test_who_has_revoked_all_can_tell_nothing_more(spiffe: SpiffePartner) -> None:
    spiffe.publish(sequence=6)
    spiffe.after(0)
    spiffe.publish(root_entry(ROOT), sequence=7)

    assert "not who it should be" in spiffe.after(BUNDLE_DUE_SECONDS).problem
    assert spiffe.roots == ()


def test_a_bootstrap_bundle_of_somebody_else_is_refused() -> None:
    theirs: BundleDocument = read_bundle_document(document(), "other.example")
    with pytest.raises(ValueError, match="another trust domain"):
        FollowedBundle(PARTNER, lambda _: b"", time.monotonic, bootstrap=theirs)
