"""From what grpcio says of a peer to a caller: what no running service can be made to meet.

Real certificates, without the sockets; those are in `tests/e2e/test_grpc_callers.py`.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta

import pytest

from pdp.adapters.grpc.callers import Callers
from pdp.identity.caller import Caller
from pdp.identity.refusal import UntrustedCertificateError
from pdp.identity.trust import TrustStore
from pdp.service import known_callers as module
from tests.identity.mint import DAY, NOW, Party, authority, leaf

PROD = "prod.example.org"
PEP = f"spiffe://{PROD}/ns/pdp/sa/pep"
ROOT = authority("root", uris=[f"spiffe://{PROD}"])
MIDDLE = authority("middle", ROOT)
MILLIS = int(NOW.timestamp() * 1000)


class Peer:
    """What a call says of its peer."""

    def __init__(self, *chain: bytes, version: bytes = b"TLSv1.3", **more: Iterable[bytes]) -> None:
        first, rest = chain[:1], chain[1:]
        self._said = {
            "ssl_tls_version": [version],
            **({"x509_pem_cert": list(first)} if first else {}),
            **({"x509_pem_cert_chain": [b"".join(rest)]} if rest else {}),
            **more,
        }

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        return self._said


class World:
    """A trust store and a clock that tests change, and how often a chain was verified."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trust = TrustStore(domains={PROD: (ROOT.certificate,)})
        self.now = MILLIS
        self.verified = 0
        real = module.verify_caller

        def counting(*arguments: object) -> Caller:
            self.verified += 1
            return real(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(module, "verify_caller", counting)
        self.callers = Callers(lambda: self.trust, lambda: self.now)

    def refusal(self, peer: Peer) -> str:
        with pytest.raises(UntrustedCertificateError) as caught:
            self.callers.identify(peer)
        return caught.value.message


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.fixture(scope="module")
def pep() -> Party:
    return leaf(ROOT, uris=[PEP])


def test_a_chain_is_verified_once(world: World, pep: Party) -> None:
    found = {world.callers.identify(Peer(pep.pem)) for _ in range(3)}

    assert {caller.id for caller in found} == {PEP}
    assert world.verified == 1


def test_a_root_that_is_removed_ends_what_was_remembered(world: World, pep: Party) -> None:
    world.callers.identify(Peer(pep.pem))

    world.trust = TrustStore(domains={PROD: (authority("other").certificate,)})

    assert world.refusal(Peer(pep.pem)) == world.refusal(Peer(pep.pem))
    assert world.verified == 2  # the refusal is remembered too


def test_a_caller_is_confirmed_under_the_trust_of_the_moment(world: World, pep: Party) -> None:
    caller = world.callers.identify(Peer(pep.pem))
    world.callers.confirm(caller, Peer(pep.pem))
    assert world.verified == 1

    world.trust = TrustStore(domains={PROD: (ROOT.certificate, authority("other").certificate)})
    world.callers.confirm(caller, Peer(pep.pem))
    assert world.verified == 2

    world.trust = TrustStore(domains={PROD: (authority("other").certificate,)})
    with pytest.raises(UntrustedCertificateError):
        world.callers.confirm(caller, Peer(pep.pem))


def test_what_is_sent_along_is_part_of_what_is_remembered(world: World) -> None:
    """A leaf that is refused without its intermediate is no reason to refuse it with one."""
    below = leaf(MIDDLE, uris=[PEP])

    world.refusal(Peer(below.pem))

    assert world.callers.identify(Peer(below.pem, MIDDLE.pem)).id == PEP
    world.refusal(Peer(below.pem))


def test_resumed_session_without_its_leaf_is_no_caller(world: World, pep: Party) -> None:
    """grpcio shows the leaf of a resumed session. Should it not, or show none: no caller."""
    world.callers.identify(Peer(pep.pem))

    assert "no client certificate" in world.refusal(Peer(ssl_session_reused=[b"true"]))
    assert "no client certificate" in world.refusal(Peer(x509_pem_cert_chain=[pep.pem]))
    assert "no client certificate" in world.refusal(Peer(x509_pem_cert=[pep.pem, pep.pem]))
    assert world.verified == 1


@pytest.mark.parametrize("version", [b"TLSv1.2", b"TLSv1.1", b""])
def test_nothing_but_tls_1_3_makes_a_caller(world: World, pep: Party, version: bytes) -> None:
    assert "TLS 1.3" in world.refusal(Peer(pep.pem, version=version))
    assert "TLS 1.3" in world.refusal(Peer(pep.pem, ssl_tls_version=[]))
    assert world.verified == 0


@pytest.mark.parametrize(
    "pem",
    [b"", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n", b"x" * 100_000],
)
def test_what_is_no_certificate_is_refused(world: World, pem: bytes) -> None:
    world.refusal(Peer(pem))


def test_two_leaves_in_one_are_refused(world: World, pep: Party) -> None:
    assert "malformed" in world.refusal(Peer(pep.pem + pep.pem))


def test_a_refusal_is_forgotten_before_long(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate may become valid. Meanwhile asking again costs no verification."""
    early = leaf(ROOT, uris=[PEP], start=NOW + timedelta(hours=1), end=NOW + DAY)
    instant = [0.0]
    monkeypatch.setattr(module, "TTLCache", lambda **what: real(timer=lambda: instant[0], **what))
    world.callers = Callers(lambda: world.trust, lambda: world.now)

    for _ in range(3):
        world.refusal(Peer(early.pem))
    assert world.verified == 1

    world.now += 2 * 3_600_000
    instant[0] += module.REFUSED_SECONDS + 1
    assert world.callers.identify(Peer(early.pem)).id == PEP


real = module.TTLCache


def test_what_is_remembered_has_a_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CALLERS_CACHED", 2)
    monkeypatch.setattr(module, "MAX_REFUSED_CACHED", 2)
    world.callers = Callers(lambda: world.trust, lambda: world.now)

    for _ in range(3):
        world.callers.identify(Peer(leaf(ROOT, uris=[PEP]).pem))
        world.refusal(Peer(leaf(MIDDLE, uris=[PEP]).pem))

    assert len(world.callers._known._known) == len(world.callers._known._refused) == 2
