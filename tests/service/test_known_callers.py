"""Callers by their chains: what is remembered of one, and what becomes of it when that has ended."""

from datetime import timedelta

import pytest

from pdp.identity.crl import RevocationList
from pdp.identity.refusal import Refusal, UntrustedCertificateError
from pdp.identity.trust import TrustStore
from pdp.limits import CRL_LEEWAY_SECONDS
from pdp.service.known_callers import KnownCallers
from tests.identity.mint import DAY, DOMAIN, NOW, authority, leaf
from tests.identity.revoking import crl

ROOT = authority("root", uris=[f"spiffe://{DOMAIN}"])
WEB, API = leaf(ROOT, end=NOW + 2 * DAY), leaf(ROOT, end=NOW + timedelta(hours=2))
HOUR = timedelta(hours=1)


class World:
    """Callers as they are known under some lists, and a clock that is set."""

    def __init__(self, *lists: RevocationList) -> None:
        self.trust = TrustStore(domains={DOMAIN: (ROOT.certificate,)}, crls={DOMAIN: lists})
        self.now = round(NOW.timestamp() * 1000)
        self.looks = 0
        self.known = KnownCallers(lambda: self.trust, lambda: self.now)

    def find(self, der: bytes) -> int:
        return self.known.find([der], lambda: self._presented(der)).not_after

    def _presented(self, der: bytes) -> tuple[bytes, list[bytes]]:
        self.looks += 1
        return der, []

    def at(self, after: timedelta) -> None:
        self.now = round((NOW + after).timestamp() * 1000)


LATER = crl(ROOT, WEB, start=NOW + HOUR + timedelta(seconds=CRL_LEEWAY_SECONDS), end=NOW + 3 * DAY)


def test_a_caller_is_verified_once_while_what_is_known_of_it_holds() -> None:
    world = World(crl(ROOT), LATER)
    world.find(WEB.der)
    world.at(HOUR - timedelta(milliseconds=1))

    assert world.find(WEB.der) == world.now
    assert world.looks == 1


def test_a_list_that_begins_later_counts_from_its_first_instant_on() -> None:
    world = World(crl(ROOT), LATER)
    world.find(WEB.der)
    world.find(API.der)
    world.at(HOUR)

    with pytest.raises(UntrustedCertificateError) as caught:
        world.find(WEB.der)
    assert caught.value.code is Refusal.REVOKED
    assert world.find(API.der) == round((NOW + 2 * HOUR).timestamp() * 1000)  # of its chain
    assert world.find(API.der) > world.now
    assert world.looks == 4


@pytest.mark.parametrize("lists", [(), (crl(ROOT, end=NOW + 2 * HOUR),)])
def test_who_has_only_expired_is_found_as_it_was(lists: tuple[RevocationList, ...]) -> None:
    world = World(*lists)
    ends = world.find(API.der)
    world.at(2 * HOUR + timedelta(seconds=1))

    assert [world.find(API.der) for _ in range(3)] == [ends] * 3
    assert world.looks == 2  # why it is none any more is remembered for a moment
