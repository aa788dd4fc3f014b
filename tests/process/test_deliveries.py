"""Deliveries of an agent: keys that nobody confirms end, trust domains that nobody asked for are told of."""

import pytest

from pdp.identity.bundle import LiveBundles
from pdp.limits import MAX_KEYS_SECONDS, MAX_TOLD_DOMAINS
from pdp.process.deliveries import Deliveries
from pdp.process.parts import clock
from tests.e2e.evidencing import key_set
from tests.e2e.running import PARTNER, PROD

BOTH = {f"spiffe://{name}": key_set((name, 0)) for name in (PROD, PARTNER)}


class World:
    def __init__(self) -> None:
        self.live = LiveBundles([PROD, PARTNER])
        self.said: list[str] = []
        self.taken = Deliveries(
            self.live, [PROD, PARTNER], [PROD, PARTNER], None, clock=clock, say=self.said.append
        )

    def believed(self) -> list[str]:
        return [name for name, bundle in self.live.now().items() if bundle.keys.keys]


@pytest.fixture
def world() -> World:
    return World()


def test_keys_end_once_nobody_has_confirmed_them_for_too_long(world: World) -> None:
    assert world.taken.keys(BOTH) == ""
    world.taken.confirm_keys(100, streaming=True)
    world.taken.confirm_keys(100 + 3 * MAX_KEYS_SECONDS, streaming=True)
    assert world.believed() == [PROD, PARTNER]

    lost = 100 + 3 * MAX_KEYS_SECONDS
    world.taken.confirm_keys(lost + MAX_KEYS_SECONDS - 1, streaming=False)
    assert world.believed() == [PROD, PARTNER]
    world.taken.confirm_keys(lost + MAX_KEYS_SECONDS, streaming=False)
    assert world.believed() == []
    assert "nobody has confirmed them" in world.live.now()[PROD].keys.fault

    world.taken.keys(BOTH)  # what is known of the stream may be older than what it brought
    world.taken.confirm_keys(lost + MAX_KEYS_SECONDS + 1, streaming=False)
    assert world.believed() == [PROD, PARTNER]


def test_keys_that_are_bad_are_not_confirmed_by_a_stream_that_goes_on(world: World) -> None:
    world.taken.keys(BOTH)
    world.taken.confirm_keys(0, streaming=True)
    assert world.taken.keys({**BOTH, f"spiffe://{PROD}": b"{"}) != ""
    assert world.believed() == [PROD, PARTNER]

    world.taken.confirm_keys(MAX_KEYS_SECONDS, streaming=True)

    assert world.believed() == [PARTNER]


def test_a_name_that_is_none_keeps_no_withdrawal_back(world: World) -> None:
    world.taken.keys(BOTH)

    assert (
        world.taken.keys(
            {f"spiffe://{PARTNER}": BOTH[f"spiffe://{PARTNER}"], "spiffe://Other": b"", PROD: b""}
        )
        == ""
    )

    assert world.believed() == [PARTNER]


def test_trust_domains_that_nobody_asked_for_are_told_of_once_and_not_for_ever(world: World) -> None:
    for _ in range(2):
        world.taken.roots({f"spiffe://n{number}.test": b"" for number in range(MAX_TOLD_DOMAINS + 5)})

    assert len(world.said) == MAX_TOLD_DOMAINS
    assert len(set(world.said)) == MAX_TOLD_DOMAINS
