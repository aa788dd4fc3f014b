"""Deliveries of an agent: keys that nobody confirms end, trust domains that nobody asked for are told of."""

import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from pdp.adapters.tls import Credential, ServerTls, read_credential
from pdp.counters import Counters
from pdp.identity.bundle import LiveBundles
from pdp.identity.trust import TrustStore
from pdp.identity.workload_api import DeliveredSvid
from pdp.limits import MAX_KEYS_SECONDS, MAX_TOLD_DOMAINS
from pdp.process.deliveries import Deliveries
from pdp.process.parts import clock
from pdp.process.presented import Presented
from pdp.service.metrics import Metrics
from tests.e2e.evidencing import key_set
from tests.e2e.running import PARTNER, PROD, Pki
from tests.identity.agent import pkcs8
from tests.identity.mint import WEB, leaf

BOTH = {f"spiffe://{name}": key_set((name, 0)) for name in (PROD, PARTNER)}


class World:
    """Trust domains that an agent tells of, and others to whom what it tells can be handed on, or not."""

    def __init__(self) -> None:
        self.live = LiveBundles([PROD, PARTNER])
        self.said: list[str] = []
        self.fails = False
        self.handed_on: list[list[str]] = []
        self.live.on_change(self.changed)
        self.taken = Deliveries(
            self.live, [PROD, PARTNER], [PROD, PARTNER], None, clock=clock, say=self.said.append
        )

    def changed(self) -> None:
        if self.fails:
            raise OSError("too many open files")
        self.handed_on.append(self.believed())

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


def test_a_withdrawal_that_could_not_be_handed_on_is_handed_on_later_and_once(world: World) -> None:
    world.taken.keys(BOTH)
    world.taken.confirm_keys(0, streaming=True)
    world.fails = True
    for seconds in (MAX_KEYS_SECONDS, MAX_KEYS_SECONDS + 1):
        with pytest.raises(OSError, match="too many"):
            world.taken.confirm_keys(seconds, streaming=False)
    assert world.handed_on == [[PROD, PARTNER]]

    world.fails = False
    for seconds in (2, 3):
        world.taken.confirm_keys(MAX_KEYS_SECONDS + seconds, streaming=False)

    assert world.handed_on == [[PROD, PARTNER], []]


def test_so_is_what_came_before_the_agent_went_away(world: World) -> None:
    world.taken.keys(BOTH)
    world.taken.confirm_keys(0, streaming=True)
    world.fails = True
    with pytest.raises(OSError, match="too many"):
        world.taken.keys({f"spiffe://{PARTNER}": BOTH[f"spiffe://{PARTNER}"]})

    world.fails = False
    for seconds in (1, 2):
        world.taken.confirm_keys(seconds, streaming=False)

    assert world.handed_on == [[PROD, PARTNER], [PARTNER]]


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


def test_our_certificate_is_checked_once_and_presented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[Credential] = []
    load_into = Credential.load_into

    def counted(self: Credential, context: ssl.SSLContext) -> None:
        loads.append(self)
        load_into(self, context)

    pki = Pki(tmp_path)
    tls = ServerTls(
        read_credential(tmp_path / "server.pem", tmp_path / "server-key.pem"), TrustStore(domains={})
    )
    said, handed_on = list[str](), list[bytes]()
    presented = Presented(
        tls, lambda: handed_on.append(tls.current.credential.chain), Metrics(Counters()), say=said.append
    )
    taken = Deliveries(LiveBundles(), [], [], None, clock=clock, say=said.append)
    taken.present(presented)
    ours = leaf(pki.root, start=pki.now - timedelta(hours=1), end=pki.now + timedelta(days=1))
    svid = DeliveredSvid(spiffe_id=WEB, chain=ours.der, key=pkcs8(ours))
    monkeypatch.setattr(Credential, "load_into", counted)

    assert taken.svids((svid,)) == ""

    assert len(loads) == 2  # where it is checked, and into the context of new handshakes
    assert tls.current.credential.chain == handed_on[0] == ours.pem
    assert said == [f"our certificate was renewed: it ends at {presented.until}"]
    assert taken.svids((svid,)) == ""
    assert len(handed_on) == 1


def test_one_that_has_expired_is_not_presented(tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    taken = Deliveries(LiveBundles(), [], [], None, clock=clock, say=print)
    ours = leaf(pki.root, start=pki.now - timedelta(hours=2), end=pki.now - timedelta(hours=1))

    said = taken.svids((DeliveredSvid(spiffe_id=WEB, chain=ours.der, key=pkcs8(ours)),))

    assert said == f"it expired at {ours.certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
    assert taken.credential is None


def test_trust_domains_that_nobody_asked_for_are_told_of_once_and_not_for_ever(world: World) -> None:
    for _ in range(2):
        world.taken.roots({f"spiffe://n{number}.test": b"" for number in range(MAX_TOLD_DOMAINS + 5)})

    assert len(world.said) == MAX_TOLD_DOMAINS
    assert len(set(world.said)) == MAX_TOLD_DOMAINS
