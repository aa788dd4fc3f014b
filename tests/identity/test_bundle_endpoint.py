"""Who may tell a trust domain's bundle: its name's server, or the workload that has the configured ID.

Real servers, and certificates that are wrong in one respect each. Whoever is not who it should be is asked
nothing at all.
"""

import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from pdp.identity.federation.document import BundleDocument, read_bundle_document
from pdp.identity.federation.endpoint import SpiffeEndpoint, WebEndpoint
from pdp.identity.fetch import FetchError, fetch, parse_source_url
from pdp.identity.trust import TrustStore
from pdp.limits import MAX_TRUST_FILE_BYTES
from tests.identity.federating import (
    ENDPOINT,
    PARTNER,
    SPAN,
    document,
    endpoint,
    now,
    root,
    root_entry,
    server_of,
    write_pair,
)
from tests.identity.mint import Party, authority, usage
from tests.identity.publishing import Publisher, drip, publishing, send
from tests.identity.revoking import crl

ROOT, OTHER = root(), root("other root")
HUB = "hub.example"


def bundle(*roots: Party, domain: str = PARTNER) -> BundleDocument:
    return read_bundle_document(document(*map(root_entry, roots)), domain)


def nobody() -> TrustStore:
    return TrustStore(domains={})


def asking(publisher: Publisher, spiffe_id: str = ENDPOINT, **more: Any) -> SpiffeEndpoint:
    url = f"https://127.0.0.1:{publisher.port}/bundle"
    return SpiffeEndpoint(
        parse_source_url(url), spiffe_id, **{"clock": now, "trust": nobody, "seconds": 30, **more}
    )


def refused(publisher: Publisher, latest: BundleDocument | None = None, **more: Any) -> str:
    with pytest.raises(FetchError) as caught:
        asking(publisher, **more)(latest or bundle(ROOT))
    return str(caught.value)


@pytest.fixture
def partner(tmp_path: Path) -> Iterator[Publisher]:
    with endpoint(tmp_path, server_of(ROOT)) as publisher:
        publisher.document = document(root_entry(ROOT))
        yield publisher


# -- https_spiffe ----------------------------------------------------------------------


def test_the_workload_is_asked_whatever_the_url_names(partner: Publisher) -> None:
    """Its certificate has neither a name nor an address."""
    assert asking(partner)(bundle(ROOT)) == partner.document
    ((line, headers),) = partner.asked
    assert line == "GET /bundle HTTP/1.1"
    assert headers["Host"] == f"127.0.0.1:{partner.port}"


def test_a_workload_below_an_intermediate_is_asked(tmp_path: Path) -> None:
    between = authority("between", ROOT, **SPAN)
    with endpoint(tmp_path, server_of(between), between) as publisher:
        publisher.document = b"x"
        assert asking(publisher)(bundle(OTHER, ROOT)) == b"x"
    (tmp_path / "leaf").mkdir()
    with endpoint(tmp_path / "leaf", server_of(between)) as alone:
        assert "not who it should be" in refused(alone)


@pytest.mark.parametrize(
    ("server", "why"),
    [
        (server_of(ROOT, f"spiffe://{PARTNER}/web"), f"it is `spiffe://{PARTNER}/web`, not `{ENDPOINT}`"),
        (server_of(ROOT, f"{ENDPOINT}/x"), f"it is `{ENDPOINT}/x`"),
        (server_of(ROOT, "spiffe://other.example/bundle-server"), "nobody is trusted for the trust domain"),
        (server_of(OTHER), "the chain does not lead to a root"),
        (server_of(ROOT, uris=()), "has no URI"),
        (server_of(ROOT, uris=(), dns=("localhost",)), "DNS identities are not trusted"),
        (server_of(ROOT, uris=(ENDPOINT, f"spiffe://{PARTNER}/web")), "has 2 URIs"),
        (server_of(ROOT, f"spiffe://{PARTNER}"), "no path"),
        (server_of(ROOT, f"spiffe://{PARTNER.upper()}/bundle-server"), "not the SPIFFE ID"),
        (server_of(ROOT, key_usage=None), "key usage is missing"),
        (server_of(ROOT, key_usage=usage("digital_signature", "key_cert_sign")), "allows signing"),
        (server_of(ROOT, purposes=(ExtendedKeyUsageOID.CLIENT_AUTH,)), "leaves out serverAuth"),
        (server_of(ROOT, purposes=(ExtendedKeyUsageOID.SERVER_AUTH,)), "leaves out clientAuth"),
        (server_of(ROOT, start=now() - timedelta(days=2), end=now() - timedelta(hours=1)), "expired"),
        (server_of(ROOT, start=now() + timedelta(hours=1)), "valid only from"),
        (authority("ca", ROOT, uris=(ENDPOINT,), **SPAN), "is a CA certificate"),
    ],
)
def test_somebody_else_is_asked_nothing(tmp_path: Path, server: Party, why: str) -> None:
    with endpoint(tmp_path, server) as publisher:
        said = refused(publisher)

        assert said.startswith(
            f"https://127.0.0.1:{publisher.port}/bundle: its server is not who it should be: "
        )
        assert why in said
        assert publisher.asked == []


def test_a_certificate_without_named_purposes_will_do(tmp_path: Path) -> None:
    """X509-SVID, section 4.4: they may be left out."""
    with endpoint(tmp_path, server_of(ROOT, purposes=None)) as publisher:
        publisher.document = b"x"
        assert asking(publisher)(bundle(ROOT)) == b"x"


def test_the_web_pki_vouches_for_no_workload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with publishing(tmp_path, dns=("localhost",)) as publisher:
        monkeypatch.setenv("SSL_CERT_FILE", str(publisher.roots))

        assert "has no URI" in refused(publisher)
        assert publisher.asked == []


def test_a_bundle_without_roots_vouches_for_nobody(partner: Publisher) -> None:
    """Not even for the endpoint: what is revoked is revoked."""
    assert "not who it should be" in refused(partner, bundle())
    assert partner.asked == []


def test_the_latest_bundle_says_who_the_endpoint_is(tmp_path: Path, partner: Publisher) -> None:
    source = asking(partner)
    source(bundle(ROOT))

    partner.present(write_pair(tmp_path / "next.pem", server_of(OTHER)))

    with pytest.raises(FetchError, match="not who it should be"):
        source(bundle(ROOT))
    assert source(bundle(ROOT, OTHER)) == partner.document


def test_an_endpoint_of_another_trust_domain_is_known_by_that_ones_roots(tmp_path: Path) -> None:
    hub, theirs = root("hub root"), {HUB: ()}

    with endpoint(tmp_path, server_of(hub, f"spiffe://{HUB}/bundles")) as publisher:
        publisher.document = b"x"
        source = asking(publisher, f"spiffe://{HUB}/bundles", trust=lambda: TrustStore(domains=theirs))

        for roots_now, latest in (((), bundle(hub)), ((ROOT.certificate,), None)):
            theirs[HUB] = roots_now
            with pytest.raises(FetchError, match="not who it should be"):
                source(latest)  # the foreign domain's own roots say nothing of the hub
        theirs[HUB] = (hub.certificate,)
        assert source(None) == source(bundle(ROOT)) == b"x"


def test_roots_of_the_partner_do_not_vouch_for_a_workload_of_the_hub(tmp_path: Path) -> None:
    hub = root("hub root")
    with endpoint(tmp_path, server_of(ROOT, f"spiffe://{HUB}/bundles")) as publisher:
        hubs = TrustStore(domains={HUB: (hub.certificate,), PARTNER: (ROOT.certificate,)})
        source = asking(publisher, f"spiffe://{HUB}/bundles", trust=lambda: hubs)
        with pytest.raises(FetchError, match="the chain does not lead to a root"):
            source(bundle(ROOT))
        assert publisher.asked == []


HOUR = timedelta(hours=1)


def test_a_server_whose_certificate_is_revoked_is_asked_nothing(tmp_path: Path) -> None:
    """A bundle says nothing of that: the lists of its trust domain do, which the settings name."""
    server, lists = server_of(ROOT), {PARTNER: (crl(ROOT, start=now() - HOUR, end=now() + HOUR),)}
    with endpoint(tmp_path, server) as publisher:
        publisher.document = b"x"
        source = asking(publisher, trust=lambda: TrustStore(domains={}, crls=lists))
        assert source(bundle(ROOT)) == b"x"

        lists[PARTNER] = (crl(ROOT, server, start=now() - HOUR, end=now() + HOUR),)
        with pytest.raises(FetchError, match="was revoked by its authority"):
            source(bundle(ROOT))
        lists[PARTNER] = (crl(ROOT, start=now() - 2 * HOUR, end=now() - HOUR),)
        with pytest.raises(FetchError, match="a list that held until"):
            source(bundle(ROOT))
        assert len(publisher.asked) == 1


def test_lists_of_the_servers_own_trust_domain_count_and_no_others(tmp_path: Path) -> None:
    hub = root("hub root")
    server = server_of(hub, f"spiffe://{HUB}/bundles")
    revoked = (crl(hub, server, start=now() - HOUR, end=now() + HOUR),)
    with endpoint(tmp_path, server) as publisher:
        publisher.document = b"x"
        theirs, hubs = (
            TrustStore(domains={HUB: (hub.certificate,)}, crls={domain: revoked}) for domain in (PARTNER, HUB)
        )
        assert asking(publisher, f"spiffe://{HUB}/bundles", trust=lambda: theirs)(bundle(ROOT)) == b"x"
        with pytest.raises(FetchError, match="was revoked by its authority"):
            asking(publisher, f"spiffe://{HUB}/bundles", trust=lambda: hubs)(bundle(ROOT))


def test_the_clock_is_ours(partner: Publisher) -> None:
    def later() -> datetime:
        return now() + timedelta(days=2)

    assert "expired" in refused(partner, clock=later)


def test_an_id_that_is_no_workloads_is_refused() -> None:
    for wrong in (f"spiffe://{PARTNER}", "https://x.example/", "", f"spiffe://{PARTNER}/"):
        with pytest.raises(ValueError, match=r"SPIFFE|path"):
            SpiffeEndpoint(parse_source_url("https://x.example/"), wrong, clock=now, trust=nobody)


# -- the same rules of fetching --------------------------------------------------------


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "0.0.0.0"])  # noqa: S104 -- to be refused
def test_a_forbidden_address_is_never_asked(host: str) -> None:
    source = SpiffeEndpoint(parse_source_url(f"https://{host}/bundle"), ENDPOINT, clock=now, trust=nobody)
    with pytest.raises(FetchError, match="is never asked"):
        source(bundle(ROOT))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(partner: Publisher, status: int) -> None:
    partner.answer = lambda handler: send(handler, b"", status, location=f"{partner.url}2")

    assert f"answered with {status}" in refused(partner)
    assert len(partner.asked) == 1


def test_a_document_has_a_bound(partner: Publisher) -> None:
    partner.document = b"x" * (MAX_TRUST_FILE_BYTES + 1)

    assert "more than" in refused(partner)


@pytest.mark.parametrize("piece", [b"", b"x: y\r\n"])
def test_a_slow_server_is_left_alone(partner: Publisher, piece: bytes) -> None:
    partner.answer = lambda handler: drip(handler, piece, 0.05)

    assert refused(partner, seconds=0.5)


def test_tls_1_2_will_do_and_nothing_older(tmp_path: Path) -> None:
    """As the standard demands of servers: Mozilla's intermediate compatibility."""
    with endpoint(tmp_path, server_of(ROOT)) as publisher:
        publisher.document = b"x"
        publisher.server_context.maximum_version = ssl.TLSVersion.TLSv1_2
        assert asking(publisher)(bundle(ROOT)) == b"x"
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            publisher.server_context.maximum_version = ssl.TLSVersion.TLSv1_1
        publisher.server_context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        publisher.server_context.set_ciphers("ALL:@SECLEVEL=0")
        assert refused(publisher)
        assert len(publisher.asked) == 1


def test_nothing_is_fetched_from_whom_nobody_verifies(partner: Publisher) -> None:
    """A context that verifies nobody is of use to nobody who does not verify by himself."""
    by_anybody = ssl.create_default_context()
    by_anybody.check_hostname = False
    by_roots = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    by_roots.check_hostname = False
    by_anybody.verify_mode = ssl.CERT_NONE
    for context in (by_anybody, by_roots, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)):
        with pytest.raises(ValueError, match="nothing verifies"):
            fetch(parse_source_url(partner.url), context)
    assert partner.asked == []


# -- https_web -------------------------------------------------------------------------


def test_a_server_of_that_name_is_asked(tmp_path: Path) -> None:
    with publishing(tmp_path) as publisher:
        publisher.document = b"x"
        url = parse_source_url(publisher.url)
        assert WebEndpoint(url, publisher.context(), seconds=30)(None) == b"x"
        with pytest.raises(FetchError, match="not who it should be"):
            WebEndpoint(url, ssl.create_default_context(), seconds=30)(bundle(ROOT))


def test_a_workload_is_no_server_of_that_name(tmp_path: Path) -> None:
    with endpoint(tmp_path, server_of(ROOT)) as publisher:
        context = ssl.create_default_context(cadata=ROOT.pem.decode())
        with pytest.raises(FetchError, match="not who it should be"):
            WebEndpoint(parse_source_url(publisher.url), context, seconds=30)(bundle(ROOT))
        assert publisher.asked == []
