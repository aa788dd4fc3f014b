"""Roots that a TLS library cannot tell apart, or does not read: neither keeps anybody else's callers out."""

import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pdp.adapters.tls import Credential, pool, server_context
from pdp.identity.certificates import CertificateTextError, read_der
from pdp.identity.trust import TrustError, TrustStore
from pdp.identity.twins import without_twins
from tests.e2e.running import PARTNER, PROD, Pki
from tests.identity.mint import DAY, NOW, Party, authority, leaf

NOBODY = TrustStore(domains={PROD: (), PARTNER: ()})
ROOT = authority("root", uris=[f"spiffe://{PROD}"])
OURS = leaf(ROOT).pem


def twin_of(root: x509.Certificate, *, identifier: bool = True) -> x509.Certificate:
    """A root with its name, its key identifier, and another key."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(root.subject).issuer_name(root.subject).serial_number(5)
        .public_key(KEY.public_key()).not_valid_before(root.not_valid_before_utc).not_valid_after(root.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(root.extensions.get_extension_for_class(x509.KeyUsage).value, critical=True)
    )  # fmt: skip
    if identifier:
        found = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        builder = builder.add_extension(found, critical=False)
    return builder.sign(KEY, hashes.SHA256())


KEY = ec.generate_private_key(ec.SECP256R1())


def store(
    prod: x509.Certificate | None, partner: x509.Certificate | None, *, first: str = PROD
) -> TrustStore:
    domains = {PROD: () if prod is None else (prod,), PARTNER: () if partner is None else (partner,)}
    return TrustStore(
        domains={name: domains[name] for name in sorted(domains, key=lambda each: each != first)}
    )


@pytest.mark.parametrize("identifier", [True, False])
@pytest.mark.parametrize("first", [PROD, PARTNER])
def test_of_two_the_one_stays_that_is_in_force(first: str, identifier: bool) -> None:  # noqa: FBT001
    twin = twin_of(ROOT.certificate, identifier=identifier)
    both = store(ROOT.certificate, twin, first=first)

    after, told = without_twins(both, store(ROOT.certificate, None), OURS)
    other, _ = without_twins(both, store(None, twin), OURS)

    assert (after.domains[PROD], after.domains[PARTNER]) == ((ROOT.certificate,), ())
    assert (other.domains[PROD], other.domains[PARTNER]) == ((), (twin,))
    (phrase,) = told
    assert phrase.startswith(f"root `CN=root` of `{PARTNER}` is left out")


def test_of_two_that_are_new_the_first_domains_stays() -> None:
    twin = twin_of(ROOT.certificate)
    for first, other in ((PROD, PARTNER), (PARTNER, PROD)):
        after, _ = without_twins(store(ROOT.certificate, twin, first=first), NOBODY, OURS)
        assert (len(after.domains[first]), len(after.domains[other])) == (1, 0)


@pytest.mark.parametrize("identifier", [True, False])
def test_roots_of_dns_identities_are_among_them_and_come_first(identifier: bool) -> None:  # noqa: FBT001
    hosts, other = authority("hosts").certificate, authority("other").certificate
    twin = twin_of(hosts, identifier=identifier)
    both = TrustStore(domains={PARTNER: (twin, other)}, dns=(hosts,))

    for before in (NOBODY, TrustStore(domains={PARTNER: ()}, dns=(hosts,))):
        after, (phrase,) = without_twins(both, before, OURS)
        assert after == TrustStore(domains={PARTNER: (other,)}, dns=(hosts,))
        assert phrase == (
            f"root `CN=hosts` of `{PARTNER}` is left out: it has name and key identifier of one of DNS"
            " identities, and another key"
        )

    after, (phrase,) = without_twins(both, TrustStore(domains={PARTNER: (twin,)}, dns=()), OURS)
    assert after == TrustStore(domains={PARTNER: (twin, other)}, dns=())
    assert phrase.startswith("root `CN=hosts` of DNS identities is left out")
    assert f"of one of `{PARTNER}`" in phrase


def test_where_no_dns_identities_are_believed_none_are_afterwards() -> None:
    after, _ = without_twins(store(ROOT.certificate, twin_of(ROOT.certificate)), NOBODY, OURS)

    assert after.dns is None


def test_roots_that_can_be_told_apart_stay_and_so_do_renewals_of_one_key() -> None:
    same_name = authority("root", uris=[f"spiffe://{PARTNER}"]).certificate  # as SPIRE names all of its own
    for partner in (same_name, ROOT.certificate):
        if partner is ROOT.certificate:
            both = TrustStore(domains={PROD: (ROOT.certificate,)})
        else:
            both = store(ROOT.certificate, partner)
        assert without_twins(both, NOBODY, OURS) == (both, ())


def _pem(party: Party) -> bytes:
    return party.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def presented(party: Party, *above: Party) -> Credential:
    return Credential(chain=b"".join(each.pem for each in (party, *above)), key=_pem(party))


def shakes_hands(roots: TrustStore, caller: Party, server: Credential, *above: Party) -> bool:
    """Whether a caller gets through a handshake with a server that pools these roots."""
    inside = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    inside.check_hostname, inside.verify_mode = False, ssl.CERT_NONE
    presented(caller, *above).load_into(inside)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        inside.wrap_bio(to_client, to_server),
        server_context(server, roots).wrap_bio(to_server, to_client, server_side=True),
    )
    done = set()
    for _ in range(6):
        for end in ends:
            try:
                end.do_handshake()
                done.add(end)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return done == set(ends)


def test_a_handshake_is_what_a_twin_would_have_broken(tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    server = Credential(
        chain=(tmp_path / "server.pem").read_bytes(), key=(tmp_path / "server-key.pem").read_bytes()
    )
    now = pki.now
    caller = leaf(pki.root, start=now - timedelta(hours=1), end=now + timedelta(days=1))
    twin = twin_of(pki.root.certificate)
    both = store(pki.root.certificate, twin, first=PARTNER)
    assert not shakes_hands(both, caller, server)

    after, _ = without_twins(both, store(pki.root.certificate, None), OURS)

    assert shakes_hands(after, caller, server)


def test_a_twin_of_a_root_of_dns_identities_would_have_broken_it_as_well(tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    server = Credential(
        chain=(tmp_path / "server.pem").read_bytes(), key=(tmp_path / "server-key.pem").read_bytes()
    )
    span = {"start": pki.now - timedelta(hours=1), "end": pki.now + timedelta(days=1)}
    hosts = authority("hosts", **span)
    caller = leaf(hosts, uris=(), dns=("db.corp.example.org",), **span)
    twin = twin_of(hosts.certificate)
    swapped = TrustStore(domains={PROD: (hosts.certificate,)}, dns=(twin,))
    assert not shakes_hands(swapped, caller, server)

    both = TrustStore(domains={PARTNER: (twin,)}, dns=(hosts.certificate,))
    assert shakes_hands(both, caller, server)  # whoever is at home comes first
    after, _ = without_twins(both, NOBODY, OURS)
    assert shakes_hands(after, caller, server)
    assert pool(server, both).startswith(hosts.pem)


# -- roots that OpenSSL does not read ---------------------------------------------------


def odd_root(tag: int, name: bytes) -> bytes:
    """A root whose name is no text to OpenSSL, in DER; signed over what is in it."""
    usage = ROOT.certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    builder = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "AAAAAAAA")])
    good = (
        x509.CertificateBuilder().subject_name(builder).issuer_name(builder).serial_number(7)
        .public_key(KEY.public_key()).not_valid_before(NOW - DAY).not_valid_after(NOW + DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)
    )  # fmt: skip
    odd = good.replace(b"\x0c\x08AAAAAAAA", bytes([tag, 8]) + name)
    assert odd != good
    return odd


@pytest.mark.parametrize(
    ("tag", "name"), [(0x1E, b"\xd8\x3d\xde\x00" * 2), (0x04, b"A" * 8), (0x1A, b"A" * 8)]
)
def test_a_root_that_no_handshake_can_use_is_refused_where_it_is_read(tag: int, name: bytes) -> None:
    der = odd_root(tag, name)

    with pytest.raises((CertificateTextError, TrustError), match=r"OpenSSL does not read it|malformed"):
        TrustStore(domains={PROD: (read_der(der, 1),)})


def test_and_would_keep_no_other_root_out_if_it_were_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pdp.identity.trust.handshake_fault", lambda _: None)
    pki = Pki(tmp_path)
    server = Credential(
        chain=(tmp_path / "server.pem").read_bytes(), key=(tmp_path / "server-key.pem").read_bytes()
    )
    caller = leaf(pki.root, start=pki.now - timedelta(hours=1), end=pki.now + timedelta(days=1))
    roots = TrustStore(
        domains={PARTNER: (read_der(odd_root(0x04, b"A" * 8), 1),), PROD: (pki.root.certificate,)}
    )

    assert shakes_hands(roots, caller, server)
