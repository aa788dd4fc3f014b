"""Another trust domain, as its bundle endpoint tells of it, while the service runs.

A partner with its own authority publishes its bundle; its gateway asks under certificates that only this
bundle vouches for, and certificates and tokens of its workloads are evidence.
"""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.running import PARTNER, PEP, PROD, Pki, Service, make_policies, question, until
from tests.e2e.trusting import rest_of
from tests.identity.federating import (
    document,
    endpoint,
    key_entry,
    root,
    root_entry,
    server_of,
    write_pair,
)
from tests.identity.mint import Party, leaf
from tests.identity.publishing import Publisher, publishing
from tests.identity.publishing import send as publish_answer
from tests.identity.tokens import AUDIENCE, ec_key, key_for, svid_claims, token

WORKERS = pytest.mark.parametrize("workers", ["1", "2"])
ENDPOINT = f"spiffe://{PARTNER}/bundle-server"
GATEWAY = f"spiffe://{PARTNER}/ns/edge/sa/gateway"
WEB = f"spiffe://{PARTNER}/ns/shop/sa/web"
#: What "at once" means here: from the moment at which the endpoint has told it.
SOON = 1.0

POLICY = """\
language 1

trust domain prod = "prod.example.org"
trust domain partner = "partner.example.net"

service web.shop {
    allow partner/ns/shop/sa/* to GET /v1/items/{id} as read-item
}

caller prod/ns/pdp/sa/pep fronts web.shop
    may assert any principal of prod
    may present jwt-svid, certificate of partner/**
caller partner/ns/edge/sa/gateway fronts web.shop may assert any principal of partner
"""


class Partner:
    """The partner's authorities and its endpoint, and the service that follows it."""

    def __init__(self, pki: Pki, publisher: Publisher, service: Service, first: Party) -> None:
        self.pki, self.publisher, self.service, self.first = pki, publisher, service, first

    def publish(self, *entries: Any, sequence: int | None) -> float:
        """Publish a bundle; the moment at which the service has been told of it."""
        self.publisher.document = document(*entries, sequence=sequence, hint=1)
        asked = len(self.publisher.asked)
        until(lambda: len(self.publisher.asked) > asked, 20)
        return time.monotonic()

    def issue(self, issuer: Party, spiffe_id: str = GATEWAY) -> str:
        name = f"partner-{time.monotonic_ns()}"
        self.pki.issue(name, issuer, uris=[spiffe_id])
        return name

    def calls(self, name: str) -> bool:
        """Whether a caller with this leaf is answered, by all workers alike, on new connections."""
        (found,) = self._answered(name)
        return found

    def _answered(self, name: str) -> set[bool]:
        found = set()
        for _ in range(6):
            try:
                found.add(self.service.send(question(principal=WEB), caller=name).status == 200)
            except OSError:  # the handshake, or right after it
                found.add(False)
        return found

    def eventually(self, name: str, *, called: bool, since: float) -> float:
        """Wait until all workers answer, or none does; how long that took."""
        until(lambda: self._answered(name) == {called}, 20)
        return time.monotonic() - since

    def shows(self, issuer: Party) -> bool:
        """Whether the certificate of a workload is believed as evidence."""
        shown = leaf(issuer, uris=[WEB], start=self.pki.now, end=issuer.certificate.not_valid_after_utc)
        reply = self.service.send(question(principal={"certificate": shown.pem.decode()}))
        assert reply.status in {200, 400}
        return reply.status == 200

    def revision(self) -> str:
        return self.service.send(question()).json["revision"]


@contextmanager
def partner(
    pki: Pki, folder: Path, *more: str, profile: str = "https_spiffe", server: Party | None = None,
    first: bytes | None = None,
) -> Iterator[Partner]:  # fmt: skip
    ours = root(uris=[f"spiffe://{PARTNER}"])
    held = (
        endpoint(folder, server or server_of(ours, ENDPOINT))
        if profile == "https_spiffe"
        else publishing(folder)
    )
    bootstrap = folder / "bootstrap.json"
    bootstrap.write_bytes(document(root_entry(ours), sequence=1, hint=1))
    with held as publisher:
        publisher.document = document(root_entry(ours), sequence=1, hint=1) if first is None else first
        (folder / "pdp.toml").write_text(
            f'[federation."{PARTNER}"]\nprofile = "{profile}"\n'
            + (
                f'endpoint_url = "https://127.0.0.1:{publisher.port}/"\nendpoint_spiffe_id = "{ENDPOINT}"\n'
                'bootstrap_file = "bootstrap.json"\n'
                if profile == "https_spiffe"
                else f'endpoint_url = "{publisher.url}"\nca_file = "{publisher.roots}"\n'
            )
            + f'[jwt_bundles."{PARTNER}"]\naudiences = ["{AUDIENCE}"]\n'
            + f'[metrics]\nreaders = ["{PEP}"]\n',
            encoding="utf-8",
        )
        service = Service(
            pki, make_policies(folder / "policies", POLICY), "--config", str(folder / "pdp.toml"), *more,
            trust=[f"{PROD}={pki.folder / 'prod.pem'}"],
        )  # fmt: skip
        try:
            yield Partner(pki, publisher, service, ours)
        finally:
            assert service.stop() == 0, service.log


def refuse(handler: Any) -> None:
    publish_answer(handler, b"", 503)


def svid(which: int = 7, kid: str = "k") -> str:
    now = int(time.time())
    given = svid_claims(sub=WEB, exp=now + 300, iat=now - 10)
    return token({"alg": "ES256", "kid": kid}, given, key_for("ES256", which))


# -- what the endpoint tells is in force ------------------------------------------------


@WORKERS
@pytest.mark.parametrize("profile", ["https_spiffe", "https_web"])
def test_callers_of_the_partner_are_known_once_its_endpoint_tells_of_them(
    pki: Pki, tmp_path: Path, profile: str, workers: str
) -> None:
    with partner(pki, tmp_path, "--workers", workers, profile=profile) as at:
        name = at.issue(at.first)
        at.service.wait_line(f"trust changed: `{PARTNER}`: 1 root added")

        assert at.calls(name)
        assert at.shows(at.first)
        assert not at.calls(at.issue(root(uris=[f"spiffe://{PARTNER}"])))
        assert not at.calls(at.issue(at.first, f"spiffe://{PROD}/ns/pdp/sa/pep"))  # its own names alone


def test_nobody_of_the_partner_is_known_before_that(pki: Pki, tmp_path: Path) -> None:
    """The bootstrap bundle says who the endpoint is, and nothing of whoever calls."""
    with partner(pki, tmp_path, first=b"") as at:
        at.service.wait_line(f"the bundle of {PARTNER} is not as its endpoint has it: ")
        name = at.issue(at.first)
        assert not at.calls(name)
        assert not at.shows(at.first)

        at.publisher.document = document(root_entry(at.first), sequence=1, hint=1)
        at.service.wait_line(f"the bundle of {PARTNER} is as its endpoint has it again")

        assert at.calls(name)


@WORKERS
def test_roots_are_renewed_without_a_restart_and_so_is_the_endpoint(
    pki: Pki, tmp_path: Path, workers: str
) -> None:
    with partner(pki, tmp_path, "--workers", workers) as at:
        second = root("second", uris=[f"spiffe://{PARTNER}"])
        old, new = at.issue(at.first), at.issue(second)
        at.service.wait_line("1 root added")
        assert (at.calls(old), at.calls(new)) == (True, False)

        told = at.publish(root_entry(at.first), root_entry(second), sequence=2)
        assert at.eventually(new, called=True, since=told) < SOON + 1
        assert at.calls(old)
        at.publisher.present(write_pair(tmp_path / "second.pem", server_of(second, ENDPOINT)))
        told = at.publish(root_entry(second), sequence=3)

        assert at.eventually(old, called=False, since=told) < SOON + 1
        assert at.calls(new)
        assert not at.shows(at.first)
        assert at.shows(second)
        at.publish(root_entry(second), sequence=4)  # it is still asked, under its new certificate
        assert "not as its endpoint" not in at.service.log


@WORKERS
def test_an_empty_bundle_revokes_all_at_once(pki: Pki, tmp_path: Path, workers: str) -> None:
    with partner(pki, tmp_path, "--workers", workers) as at:
        name = at.issue(at.first)
        at.service.wait_line("1 root added")
        assert at.calls(name)
        before = at.revision()
        with at.service.tls(name) as open_connection:
            told = at.publish(sequence=2)

            left, _ = rest_of(open_connection)
            took = time.monotonic() - told

        assert (left, took < SOON) == (b"", True), took
        assert not at.calls(name)
        assert not at.shows(at.first)
        at.service.wait_line(f"warning: {PARTNER}: its bundle is empty: all that it vouched for is revoked")
        assert at.revision() != before


@WORKERS
def test_keys_of_tokens_come_with_the_bundle(pki: Pki, tmp_path: Path, workers: str) -> None:
    def is_believed(jwt: str) -> bool:
        found = {at.service.send(question(principal={"jwt": jwt})).status for _ in range(6)}
        assert len(found) == 1, found
        return found == {200}

    with partner(pki, tmp_path, "--workers", workers) as at:
        at.service.wait_line("1 root added")
        assert not is_believed(svid())

        at.publish(root_entry(at.first), key_entry(ec_key("P-256", 7)), sequence=2)
        at.service.wait_line(f"the keys of {PARTNER} changed")
        assert is_believed(svid())
        assert not is_believed(svid(8))

        mark = at.service.mark()
        at.publish(root_entry(at.first), sequence=3)
        at.service.wait_line(f"the keys of {PARTNER} changed", mark)
        assert not is_believed(svid())


# -- what changes nothing --------------------------------------------------------------


@WORKERS
def test_an_endpoint_that_is_away_takes_nothing_away_and_is_told(
    pki: Pki, tmp_path: Path, workers: str
) -> None:
    with partner(pki, tmp_path, "--workers", workers) as at:
        name = at.issue(at.first)
        at.service.wait_line("1 root added")
        at.publisher.answer = refuse
        at.service.wait_line(f"the bundle of {PARTNER} is not as its endpoint has it: https://127.0.0.1:")

        assert at.calls(name)
        assert refusals(at) == 1
        at.publisher.answer = at.publisher.publish
        at.service.wait_line(f"the bundle of {PARTNER} is as its endpoint has it again")
        assert refusals(at) == 0


def refusals(at: Partner) -> int:
    connection = at.service.connect()
    try:
        connection.request("GET", "/metrics")
        page = connection.getresponse().read().decode()
    finally:
        connection.close()
    (value,) = re.findall(r'^pdp_renewal_refused\{files="federation"\} (\d)', page, re.MULTILINE)
    return int(value)


def test_a_bundle_that_goes_back_is_not_taken(pki: Pki, tmp_path: Path) -> None:
    with partner(pki, tmp_path) as at:
        second = root("second", uris=[f"spiffe://{PARTNER}"])
        new = at.issue(second)
        at.service.wait_line("1 root added")
        told = at.publish(root_entry(at.first), root_entry(second), sequence=5)
        at.eventually(new, called=True, since=told)

        at.publish(root_entry(at.first), sequence=4)
        at.service.wait_line("the bundle goes back: its sequence is 4, after 5")

        assert at.calls(new)


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b"{}", "no list `keys`"),
        (json.dumps({"keys": [{"kty": "oct", "k": "AA"}]}).encode(), "is symmetric"),
        (document(root_entry(root(), x5c=[]), sequence=9), "exactly one certificate"),
        (document(root_entry(root(uris=["spiffe://prod.example.org"])), sequence=9), "its URI is not"),
    ],
)
def test_a_bad_bundle_is_not_taken(pki: Pki, tmp_path: Path, bad: bytes, why: str) -> None:
    with partner(pki, tmp_path) as at:
        name = at.issue(at.first)
        at.service.wait_line("1 root added")
        at.publisher.document = bad

        assert why in at.service.wait_line(f"the bundle of {PARTNER} is not as its endpoint has it")

        assert at.calls(name)


@pytest.mark.parametrize("named", [f"spiffe://{PARTNER}/web", f"spiffe://{PROD}/bundle-server"])
def test_an_endpoint_with_another_id_is_asked_nothing(pki: Pki, tmp_path: Path, named: str) -> None:
    theirs = root(uris=[f"spiffe://{PARTNER}"])
    with partner(pki, tmp_path, server=server_of(theirs, named)) as at:
        at.service.wait_line("its server is not who it should be")

        assert at.publisher.asked == []
        assert not at.calls(at.issue(theirs))


def test_an_endpoint_of_our_own_trust_domain_may_tell_of_another(pki: Pki, tmp_path: Path) -> None:
    """A hub that all believe: its certificate is proven by the roots in force of its own trust domain."""
    hub = f"spiffe://{PROD}/ns/hub/sa/bundles"
    with endpoint(tmp_path, server_of(pki.root, hub)) as publisher:
        theirs = root(uris=[f"spiffe://{PARTNER}"])
        publisher.document = document(root_entry(theirs), hint=1)
        (tmp_path / "pdp.toml").write_text(
            f'[federation."{PARTNER}"]\nprofile = "https_spiffe"\n'
            f'endpoint_url = "https://127.0.0.1:{publisher.port}/"\nendpoint_spiffe_id = "{hub}"\n',
            encoding="utf-8",
        )
        service = Service(
            pki, make_policies(tmp_path / "policies", POLICY), "--config", str(tmp_path / "pdp.toml"),
            trust=[f"{PROD}={pki.folder / 'prod.pem'}"],
        )  # fmt: skip
        try:
            service.wait_line(f"trust changed: `{PARTNER}`: 1 root added")
            assert Partner(pki, publisher, service, theirs).shows(theirs)
        finally:
            assert service.stop() == 0
