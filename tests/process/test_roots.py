"""Roots of files and of live sources: each trust domain by itself, handed on until all have them."""

from datetime import timedelta
from pathlib import Path

import pytest

from pdp.adapters.tls import ServerTls, read_credential
from pdp.counters import Counters
from pdp.identity.bundle import LiveBundles, SpiffeBundle, with_live
from pdp.identity.tokens.jwks import KeySet
from pdp.identity.trust import TrustFiles, load_trust
from pdp.process.parts import clock
from pdp.process.roots import Roots
from pdp.service.metrics import Metrics
from tests.e2e.running import PARTNER, PROD, Pki
from tests.identity.mint import Party, authority, leaf
from tests.identity.test_twins import KEY, presented, twin_of


class World:
    """Roots of PROD in a file, of PARTNER from a live source, and others who are handed them, or not."""

    def __init__(self, folder: Path) -> None:
        self.pki = Pki(folder)
        self.file = folder / "prod.pem"
        self.live = LiveBundles([PARTNER])
        trust = with_live(load_trust({PROD: self.file}), self.live)
        self.tls = ServerTls(read_credential(folder / "server.pem", folder / "server-key.pem"), trust)
        self.said: list[str] = []
        self.stated: list[str] = []
        self.handed_on: list[str] = []
        self.fails = False
        self.roots = Roots(
            self.tls, TrustFiles({PROD: self.file}), self.live,
            renewed=self.renewed, restate=self.stated.append, metrics=Metrics(Counters()), clock=clock,
            say=self.said.append,
        )  # fmt: skip
        self.live.on_change(self.roots.delivered)

    def renewed(self) -> None:
        if self.fails:
            raise OSError("too many open files")
        self.handed_on.append(self.tls.trust().digest)

    def deliver(self, *roots: Party) -> None:
        certificates = tuple(each.certificate for each in roots)
        self.live.put([SpiffeBundle(trust_domain=PARTNER, roots=certificates, keys=KeySet(keys=()))])

    def counts(self) -> dict[str, int]:
        return {name: len(roots) for name, roots in self.tls.trust().domains.items()}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_domain_whose_source_has_delivered_nothing_has_no_roots(world: World) -> None:
    assert world.counts() == {PROD: 1, PARTNER: 0}


def test_what_is_delivered_is_in_force_and_handed_on_before_it_is_told(world: World) -> None:
    world.deliver(world.pki.partner_root)

    assert world.counts() == {PROD: 1, PARTNER: 1}
    assert world.handed_on == world.stated == [world.tls.trust().digest]
    assert world.said == [f"trust changed: `{PARTNER}`: 1 root added"]

    world.deliver(world.pki.partner_root)  # the same: nobody is disturbed
    assert len(world.handed_on) == 1


def test_an_empty_bundle_takes_all_roots_away(world: World) -> None:
    world.deliver(world.pki.partner_root)
    world.deliver()

    assert world.counts() == {PROD: 1, PARTNER: 0}
    assert world.said[-2:] == [
        f"trust changed: `{PARTNER}`: 1 root removed",
        f"warning: no root is trusted for `{PARTNER}`: nothing verifies",
    ]


def test_a_bad_file_keeps_its_own_roots_and_nobody_elses(world: World) -> None:
    world.deliver(world.pki.partner_root)

    wrong = world.roots.consider({world.file: b"nothing"})
    world.deliver()

    assert f"the roots of `{PROD}` stay as they were" in str(wrong)
    assert world.counts() == {PROD: 1, PARTNER: 0}


def test_a_file_and_a_delivery_change_their_own_trust_domain_each(world: World) -> None:
    span = {"start": world.pki.now, "end": world.pki.now + timedelta(days=1)}
    other = authority("other", uris=[f"spiffe://{PROD}"], **span)
    world.deliver(world.pki.partner_root)

    world.roots.consider({world.file: other.pem + world.pki.root.pem})
    assert world.counts() == {PROD: 2, PARTNER: 1}
    world.deliver()
    assert world.counts() == {PROD: 2, PARTNER: 0}


def test_what_could_not_be_handed_on_is_handed_on_with_the_next_delivery(world: World) -> None:
    world.fails = True
    with pytest.raises(OSError, match="too many"):
        world.deliver(world.pki.partner_root)
    assert world.counts() == {PROD: 1, PARTNER: 1}  # here callers are verified to them already
    assert world.said == []

    world.fails = False
    world.deliver(world.pki.partner_root)

    assert world.handed_on == [world.tls.trust().digest]
    assert world.said == [f"trust changed: `{PARTNER}`: 1 root added"]


def test_a_root_that_would_stand_in_another_domains_way_is_left_out_and_told_once(world: World) -> None:
    twin = twin_of(world.pki.root.certificate)
    for _ in range(2):
        world.live.put(
            [SpiffeBundle(trust_domain=PARTNER, roots=(twin, world.pki.partner_root.certificate),
                          keys=KeySet(keys=()))]
        )  # fmt: skip

    assert world.counts() == {PROD: 1, PARTNER: 1}
    assert len([line for line in world.said if "is left out" in line]) == 1


def test_so_is_one_that_would_stand_in_the_way_of_an_intermediate_of_ours(world: World) -> None:
    middle = authority("middle", world.pki.root, uris=[f"spiffe://{PROD}"])
    ours = leaf(middle, uris=[f"spiffe://{PROD}/ns/pdp/sa/pdp"])
    world.tls.replace_credential(presented(ours, middle))

    world.deliver(Party(certificate=twin_of(middle.certificate), key=KEY), world.pki.partner_root)

    assert world.counts() == {PROD: 1, PARTNER: 1}
    assert len([line for line in world.said if f"an intermediate of `{PROD}`" in line]) == 1
