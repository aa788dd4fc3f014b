"""Roots that a TLS library takes for an intermediate, or that have somebody else's very key."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from queue import Queue
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from pdp.adapters.grpc.credentials import server_credentials
from pdp.adapters.tls import Credential, ServerTls, pool, read_credential
from pdp.identity.trust import TrustStore
from pdp.identity.twins import known_intermediates, without_twins
from tests.e2e.running import PARTNER, PROD, Pki
from tests.identity.mint import DAY, Party, authority, common_name, leaf
from tests.identity.test_twins import KEY, NOBODY, presented, shakes_hands, twin_of


def shakes_hands_over_grpc(
    roots: TrustStore, caller: Party, server: Credential, *above: Party, root: bytes
) -> bool:
    """The same over gRPC, whose TLS library is another one."""
    with ThreadPoolExecutor(1) as threads:
        serving = grpc.server(threads)
        port = serving.add_secure_port("127.0.0.1:0", server_credentials(ServerTls(server, roots)))
        serving.start()
        ours = presented(caller, *above)
        credentials = grpc.ssl_channel_credentials(root, ours.key, ours.chain)
        states: Queue[grpc.ChannelConnectivity] = Queue()
        apart = [("grpc.use_local_subchannel_pool", 1)]  # channels with equal arguments share a connection
        with grpc.secure_channel(f"127.0.0.1:{port}", credentials, apart) as channel:
            channel.subscribe(states.put, try_to_connect=True)
            ends = (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE)
            found = next(state for state in iter(lambda: states.get(timeout=15), None) if state in ends)
        serving.stop(None).wait()
    return found is grpc.ChannelConnectivity.READY


class Middle:
    """A server and a caller, both below one intermediate, and a partner's root that is a twin of that."""

    def __init__(self, folder: Path) -> None:
        self.pki = Pki(folder)
        span = {"start": self.pki.now - timedelta(hours=1), "end": self.pki.now + timedelta(days=1)}
        self.authority = authority("middle", self.pki.root, uris=[f"spiffe://{PROD}"], **span)
        self.caller = leaf(self.authority, **span)
        server = leaf(self.authority, dns=["localhost"], ips=["127.0.0.1"], **span)
        self.server = presented(server, self.authority)
        self.without = read_credential(folder / "server.pem", folder / "server-key.pem")
        self.twin = twin_of(self.authority.certificate)

    def store(self, *partners: x509.Certificate, first: str = PROD) -> TrustStore:
        domains = {PROD: (self.pki.root.certificate,), PARTNER: partners}
        return TrustStore(domains={name: domains[name] for name in sorted(domains, key=first.__ne__)})


@pytest.fixture(scope="module")
def middle(tmp_path_factory: pytest.TempPathFactory) -> Middle:
    return Middle(tmp_path_factory.mktemp("middle"))


@pytest.mark.parametrize("first", [PROD, PARTNER])
def test_a_twin_of_an_intermediate_in_our_own_chain_breaks_no_handshake(middle: Middle, first: str) -> None:
    both = middle.store(middle.twin, first=first)
    of = middle.caller, middle.server, middle.authority
    without = middle.caller, middle.without, middle.authority
    root = middle.pki.root.pem

    assert not shakes_hands(both, *without)
    assert not shakes_hands_over_grpc(both, *without, root=root)
    assert shakes_hands(both, *of)
    assert shakes_hands_over_grpc(both, *of, root=root)


@pytest.mark.parametrize("first", [PROD, PARTNER])
def test_it_is_left_out_and_that_is_told(middle: Middle, first: str) -> None:
    both = middle.store(middle.twin, first=first)

    for before in (middle.store(), both):
        after, (phrase,) = without_twins(both, before, middle.server.chain)
        assert after == middle.store()
        assert phrase == (
            f"root `CN=middle` of `{PARTNER}` is left out: it has name and key identifier of an intermediate"
            f" of `{PROD}`, and another key"
        )
    assert without_twins(both, middle.store(), middle.without.chain) == (both, ())  # nobody knows it


def test_no_intermediate_is_pooled_but_one_that_leads_to_a_root_of_callers(middle: Middle) -> None:
    foreign = authority("middle", authority("elsewhere"), uris=[f"spiffe://{PROD}"])
    server = presented(leaf(foreign), foreign)

    assert pool(middle.server, middle.store()) == middle.authority.pem + middle.pki.root.pem
    assert pool(server, middle.store()) == middle.pki.root.pem
    assert known_intermediates(middle.server.chain, middle.store()) == {
        PROD: (middle.authority.certificate,), PARTNER: (),
    }  # fmt: skip


def test_none_stands_in_the_way_of_a_root_of_its_own_domain(middle: Middle) -> None:
    renewed = twin_of(middle.authority.certificate)
    roots = TrustStore(domains={PROD: (middle.pki.root.certificate, renewed)})

    assert known_intermediates(middle.server.chain, roots) == {PROD: ()}
    assert without_twins(roots, NOBODY, middle.server.chain) == (roots, ())


def test_whatever_else_lies_in_the_file_of_our_chain_an_intermediate_in_it_is_known(middle: Middle) -> None:
    bad = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"bad")
    unread = authority("unread", middle.pki.root, extra=[(bad, False)])
    chain = middle.server.key + unread.pem + middle.server.chain
    Credential(chain=middle.server.chain + unread.pem, key=middle.server.key)  # OpenSSL takes it

    assert known_intermediates(chain, middle.store())[PROD] == (middle.authority.certificate,)
    assert known_intermediates(b"", middle.store())[PROD] == ()


# -- twins with the very key --------------------------------------------------------------


def worth_less(root: x509.Certificate, *, issuer: str = "", length: int | None = 0) -> x509.Certificate:
    """A root with its name, its key identifier and its very key, which somebody else has signed."""
    name = common_name(issuer) if issuer else root.subject
    owner = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"spiffe://{PARTNER}")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(root.subject).issuer_name(name).serial_number(6).public_key(root.public_key())
        .not_valid_before(root.not_valid_before_utc).not_valid_after(root.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=length), critical=True)
        .add_extension(owner, critical=False)
    )  # fmt: skip
    for kind in (x509.KeyUsage, x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier):
        found = root.extensions.get_extension_for_class(kind)
        builder = builder.add_extension(found.value, critical=found.critical)
    return builder.sign(KEY, hashes.SHA256())


@pytest.mark.parametrize("how", [{"length": 0}, {"issuer": "nobody", "length": None}])
def test_a_twin_with_the_very_key_that_allows_less_is_left_out(middle: Middle, how: dict[str, Any]) -> None:
    root = middle.pki.root
    twin = worth_less(root.certificate, **how)
    both = middle.store(twin, first=PARTNER)
    of = middle.caller, middle.without, middle.authority
    assert not shakes_hands(both, *of)

    for before in (middle.store(), middle.store(twin), both, NOBODY):  # whoever was there first
        after, (phrase,) = without_twins(both, before, middle.without.chain)
        assert after == middle.store()

    assert shakes_hands(after, *of)
    assert phrase == (
        f"root `CN=prod root` of `{PARTNER}` is left out: it has name and key identifier of one of `{PROD}`,"
        " and its very key, but says something else of it"
    )


def test_of_two_that_signed_themselves_with_one_key_that_one_stays_that_is_in_force(middle: Middle) -> None:
    root = middle.pki.root
    span = {"start": root.certificate.not_valid_before_utc, "end": root.certificate.not_valid_after_utc}
    short = x509.BasicConstraints(ca=True, path_length=0)
    other = authority(
        "prod root", uris=[f"spiffe://{PARTNER}"], key=root.key, basic=short, **span
    ).certificate
    both = middle.store(other, first=PARTNER)

    after, _ = without_twins(both, middle.store(), middle.without.chain)
    instead, _ = without_twins(both, both, middle.without.chain)

    assert after == middle.store()
    assert (instead.domains[PROD], instead.domains[PARTNER]) == ((), (other,))


def test_a_signature_of_its_own_counts_only_between_roots_of_one_key(middle: Middle) -> None:
    anchor = middle.authority.certificate  # an intermediate may be trusted as a root is
    anchored = TrustStore(domains={PROD: (anchor,), PARTNER: (middle.twin,)})
    weaker = worth_less(anchor)
    forged = TrustStore(domains={PROD: (anchor,), PARTNER: (weaker,)})
    same = authority("middle", uris=[f"spiffe://{PARTNER}"], key=middle.authority.key).certificate

    of_another_key, _ = without_twins(
        anchored, TrustStore(domains={PROD: (anchor,), PARTNER: ()}), middle.without.chain
    )
    of_nobody, _ = without_twins(
        forged, TrustStore(domains={PROD: (anchor,), PARTNER: ()}), middle.without.chain
    )
    of_an_intermediate, _ = without_twins(middle.store(same), middle.store(same), middle.server.chain)

    assert of_another_key.domains[PROD] == of_nobody.domains[PROD] == (anchor,)
    assert of_another_key.domains[PARTNER] == of_nobody.domains[PARTNER] == ()
    assert of_an_intermediate == middle.store()


def test_one_that_says_the_same_of_another_domain_is_no_twin(middle: Middle) -> None:
    renamed = worth_less(middle.pki.root.certificate, length=None)  # while a trust domain is renamed
    both = middle.store(renamed, first=PARTNER)

    assert without_twins(both, NOBODY, middle.without.chain) == (both, ())
    assert shakes_hands(both, middle.caller, middle.without, middle.authority)


@pytest.mark.parametrize("first", [PROD, PARTNER])
@pytest.mark.parametrize("days", [(-3, -1), (1, 3), (-3, 3), (1, 90)])
def test_nor_is_one_with_other_dates_and_whether_it_holds_is_nothing_to_others(
    middle: Middle, days: tuple[int, int], first: str
) -> None:
    root, now = middle.pki.root, middle.pki.now
    start, end = (now + each * DAY for each in days)
    other = authority("prod root", uris=[f"spiffe://{PARTNER}"], key=root.key, start=start, end=end)
    both = middle.store(other.certificate, first=first)
    of = middle.caller, middle.without, middle.authority

    assert without_twins(both, middle.store(), middle.without.chain) == (both, ())
    assert shakes_hands(both, *of)
    assert shakes_hands_over_grpc(both, *of, root=root.pem)
