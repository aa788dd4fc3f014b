"""Our own certificate and key are renewed while the service runs, over HTTP and gRPC."""

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from pdp.adapters.grpc.v1 import decision_pb2 as v1
from tests.e2e import http2
from tests.e2e.grpc_calls import call, channel, grpc_port
from tests.e2e.running import PEP, PROD, Pki, Service, question, send, until
from tests.e2e.trusting import ASKED, replace, swap
from tests.identity.mint import authority

OURS = f"spiffe://{PROD}/ns/pdp/sa/pdp"


class Presenting:
    """A service, and what it presents."""

    def __init__(self, folder: Path, policies: Path) -> None:
        folder.mkdir()
        self.pki = Pki(folder)
        settings = folder / "pdp.toml"
        settings.write_text(f'[metrics]\nreaders = ["{PEP}"]\n')
        self.service = Service(self.pki, policies, "--config", str(settings), "--grpc", "127.0.0.1:0")
        self.grpc_port = grpc_port(self.service)
        self.chain, self.key = folder / "server.pem", folder / "server-key.pem"

    def serials(self) -> tuple[int, int]:
        """Of the certificates on new connections: over HTTP, over gRPC."""
        with self.service.tls() as over_http, http2.tls(self.pki, self.grpc_port) as over_grpc:
            return serial(over_http), serial(over_grpc)

    def made(self, name: str = "next", lives: tuple[float, float] = (-3600, 40_000)) -> tuple[bytes, bytes]:
        """Another certificate of ours, and its key."""
        self.pki.issue(name, uris=[OURS], dns=["localhost"], ips=["127.0.0.1"], lives=lives)
        return (self.pki.folder / f"{name}.pem").read_bytes(), (
            self.pki.folder / f"{name}-key.pem"
        ).read_bytes()

    def metric(self, name: str) -> float:
        page = self.service.send("", path="/metrics", method="GET").body.decode()
        return next(float(line.split()[-1]) for line in page.splitlines() if line.startswith(name))


def serial(sock: ssl.SSLSocket) -> int:
    der = sock.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der).serial_number


def serial_in(pem: bytes) -> int:
    return x509.load_pem_x509_certificate(pem).serial_number


@pytest.fixture
def world(tmp_path: Path, policies: Path) -> Iterator[Presenting]:
    presenting = Presenting(tmp_path / "pki", policies)
    yield presenting
    presenting.service.assert_still_answers()
    assert presenting.service.stop() == 0, presenting.service.log


def test_renewed_certificate_is_presented_to_new_connections_and_open_ones_go_on(world: Presenting) -> None:
    chain, key = world.made()
    before = serial_in(world.chain.read_bytes())
    assert world.serials() == (before, before)
    ends = world.metric('pdp_certificate_expiry_timestamp_seconds{certificate="server"}')
    with closing(world.service.connect()) as opened, channel(world.pki, world.grpc_port) as on:
        send(opened, question())
        call(on, "Decide", ASKED)
        sock = opened.sock

        mark = world.service.mark()
        replace(world.key, key)
        time.sleep(0.4)  # longer than a look: they seldom change in one step
        replace(world.chain, chain)
        line = world.service.wait_line("our certificate was renewed: it ends at ", mark)

        assert world.serials() == (serial_in(chain), serial_in(chain))
        assert send(opened, question()).json["decision"] == "allow"
        assert opened.sock is sock  # the same connection
        assert call(on, "Decide", ASKED, v1.Answer).decision == v1.DECISION_ALLOW
    certificate = x509.load_pem_x509_certificate(chain)
    assert line.endswith(f"{certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}")
    assert not any("is not renewed" in each for each in world.service.lines[mark:])  # that was no mistake
    after = world.metric('pdp_certificate_expiry_timestamp_seconds{certificate="server"}')
    assert after == certificate.not_valid_after_utc.timestamp() != ends
    assert world.metric('pdp_renewals_total{files="certificate",outcome="accepted"}') == 1


def encrypted(world: Presenting) -> bytes:
    del world
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


def of_somebody_else(world: Presenting) -> bytes:
    return (world.pki.folder / "pep-key.pem").read_bytes()


BROKEN: dict[str, tuple[Callable[[Presenting], object], str]] = {
    "another key": (lambda w: replace(w.key, of_somebody_else(w)), "the key is not that of the certificate"),
    "an encrypted key": (lambda w: replace(w.key, encrypted(w)), "the key is encrypted"),
    "no key": (lambda w: w.key.unlink(), "No such file"),
    "no certificate": (lambda w: replace(w.chain, b""), "one of them is not PEM"),
    "garbage": (lambda w: replace(w.chain, b"\0\1\2" * 99), "one of them is not PEM"),
    "expired": (lambda w: pair(w, *w.made("old", (-7200, -3600))), "it expired at "),
}


def pair(world: Presenting, chain: bytes, key: bytes) -> None:
    replace(world.chain, chain)
    replace(world.key, key)


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_pair_is_not_presented_and_told_and_the_next_good_one_is(world: Presenting, kind: str) -> None:
    spoil, why = BROKEN[kind]
    before = serial_in(world.chain.read_bytes())
    mark = world.service.mark()

    spoil(world)
    line = world.service.wait_line("our certificate is not renewed", mark)

    assert why in line
    world.service.wait_line("still presenting the one that ends at ", mark)
    assert world.serials() == (before, before)
    assert world.metric('pdp_renewal_refused{files="certificate"}') == 1
    assert world.metric('pdp_renewals_total{files="certificate",outcome="rejected"}') == 1
    assert b"PRIVATE KEY" not in world.service.log.encode()

    chain, key = world.made()
    pair(world, chain, key)
    until(lambda: world.serials() == (serial_in(chain), serial_in(chain)))
    world.service.wait_line("our certificate is as its files are again", mark)
    assert world.metric('pdp_renewal_refused{files="certificate"}') == 0


def test_key_that_others_may_write_is_not_taken_and_one_that_all_may_read_is_warned_of(
    world: Presenting,
) -> None:
    """As when the service starts."""
    before = serial_in(world.chain.read_bytes())
    chain, key = world.made()
    mark = world.service.mark()
    replace(world.chain, chain)
    replace(world.key, key, 0o660)

    line = world.service.wait_line("our certificate is not renewed", mark)

    assert line.endswith(f"`http.key`: {world.key} can be written by others: chmod 600 {world.key}")
    assert world.serials() == (before, before)
    assert world.metric('pdp_renewal_refused{files="certificate"}') == 1
    assert "warning" not in "\n".join(world.service.lines[mark:])

    world.key.chmod(0o644)
    until(lambda: world.serials() == (serial_in(chain), serial_in(chain)), 30)
    world.service.wait_line(
        f"warning: `http.key`: {world.key} can be read by everybody on this machine", mark
    )
    world.service.wait_line("our certificate is as its files are again", mark)


def test_roots_change_while_the_pair_is_broken_and_what_is_presented_stays(world: Presenting) -> None:
    before = serial_in(world.chain.read_bytes())
    mark = world.service.mark()
    replace(world.key, b"")
    world.service.wait_line("our certificate is not renewed", mark)

    span = {"start": world.pki.now, "end": world.pki.root.certificate.not_valid_after_utc}
    replace(world.pki.folder / "partner.pem", authority("another", **span).pem)
    world.service.wait_line("trust changed", mark)

    assert world.serials() == (before, before)


def test_mounted_secret_is_swapped_with_both_files_at_once(tmp_path: Path, policies: Path) -> None:
    made = Presenting(tmp_path / "pki", policies)
    assert made.service.stop() == 0
    mount = tmp_path / "mount"
    swap(mount, {"tls.crt": made.chain.read_bytes(), "tls.key": made.key.read_bytes()})
    (tmp_path / "pki" / "server.pem").unlink()
    (tmp_path / "pki" / "server.pem").symlink_to(mount / "tls.crt")
    (tmp_path / "pki" / "server-key.pem").unlink()
    (tmp_path / "pki" / "server-key.pem").symlink_to(mount / "tls.key")
    made.service = Service(made.pki, policies, "--grpc", "127.0.0.1:0")
    made.grpc_port = grpc_port(made.service)
    try:
        for number in range(3):
            mark = made.service.mark()
            chain, key = made.made(f"next{number}")
            swap(mount, {"tls.crt": chain, "tls.key": key})
            made.service.wait_line("our certificate was renewed", mark)
            assert made.serials() == (serial_in(chain), serial_in(chain))
        assert "is not renewed" not in made.service.log
    finally:
        assert made.service.stop() == 0
