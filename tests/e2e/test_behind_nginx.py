"""The real nginx terminates mTLS, and what it forwards of the client's certificate names the client.

nginx is Debian's; its client has a certificate of `pdp pki`; the listener behind it is ours, and only keeps
the headers that arrive.
"""

import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue

import h11
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pdp.identity.certificates import read_pem
from pdp.identity.forwarded.chain import ForwardedChain
from pdp.identity.forwarded.forms import read_forwarded
from pdp.identity.forwarded.nginx import NGINX_HEADERS, NginxHeaders
from pdp.identity.forwarded.refusal import ForwardedError, ForwardedFault
from pdp.identity.trust import TrustStore
from pdp.identity.x509 import UntrustedCertificateError, verify_caller
from pdp.vocabulary import EvidenceKind
from tests.e2e.local_calls import short_folder
from tests.e2e.running import DEADLINE, PROD, WEB, until
from tests.programs import needs

pytestmark = [needs("nginx")]

OWN_NAMES = NginxHeaders(certificate=b"x-client-cert", verify=b"x-client-verify")
CONFIGURATION = """\
daemon off;
master_process off;
error_log stderr error;
pid {folder}/nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;

    ssl_certificate {folder}/pki/edge.pem;
    ssl_certificate_key {folder}/pki/edge-key.pem;
    ssl_client_certificate {folder}/pki/root.pem;
    ssl_verify_depth 2;

    proxy_set_header ssl-client-cert $ssl_client_escaped_cert;
    proxy_set_header ssl-client-verify $ssl_client_verify;

    server {{
        listen unix:{folder}/on.sock ssl;
        ssl_verify_client on;
        location / {{ proxy_pass http://unix:{folder}/behind.sock:; }}
    }}
    server {{
        listen unix:{folder}/optional.sock ssl;
        ssl_verify_client optional;
        location / {{ proxy_pass http://unix:{folder}/behind.sock:; }}
    }}
    server {{
        listen unix:{folder}/anybody.sock ssl;
        ssl_verify_client optional_no_ca;
        location / {{ proxy_pass http://unix:{folder}/behind.sock:; }}
    }}
    server {{
        listen unix:{folder}/own-names.sock ssl;
        ssl_verify_client on;
        location / {{
            proxy_set_header x-client-cert $ssl_client_escaped_cert;
            proxy_set_header x-client-verify $ssl_client_verify;
            proxy_pass http://unix:{folder}/behind.sock:;
        }}
    }}
}}
"""


class Behind:
    """What listens behind nginx: keeps the headers of each request, and answers it."""

    def __init__(self, path: Path) -> None:
        self.arrived: Queue[list[tuple[bytes, bytes]]] = Queue()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(DEADLINE)
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        server = h11.Connection(h11.SERVER)
        while (event := server.next_event()) is h11.NEED_DATA:
            server.receive_data(connection.recv(65536))
        if isinstance(event, h11.Request):
            self.arrived.put(list(event.headers))
            connection.sendall(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(DEADLINE)


class Nginx:
    """nginx with a server for each way of `ssl_verify_client`, and certificates of `pdp pki`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pdp("init", "--trust-domain", PROD)
        self.issue("edge", f"spiffe://{PROD}/ns/edge/sa/nginx", "--dns", "localhost")
        self.issue("web", WEB)
        self._pdp("init", "--trust-domain", PROD, to="stranger")
        self.issue("web", WEB, to="stranger")
        (folder / "nginx.conf").write_text(CONFIGURATION.format(folder=folder), encoding="utf-8")
        self.behind = Behind(folder / "behind.sock")
        command = ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
        self._log = (folder / "nginx.log").open("wb")
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        until(self._listens)

    def _pdp(self, *arguments: str, to: str = "pki") -> None:
        command = [sys.executable, "-m", "pdp.cli.main", "pki", *arguments, "--dir", str(self.folder / to)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    def _listens(self) -> bool:
        assert self._process.poll() is None, self.log
        with suppress(OSError), socket.socket(socket.AF_UNIX) as tried:
            tried.connect(str(self.folder / "own-names.sock"))
            return True
        return False

    def issue(self, name: str, spiffe_id: str, *more: str, to: str = "pki") -> None:
        self._pdp("issue", name, "--spiffe-id", spiffe_id, *more, to=to)

    def shown(self, name: str, at: str = "pki") -> tuple[bytes, ...]:
        """What a client with this certificate shows, in DER."""
        found = read_pem((self.folder / at / f"{name}.pem").read_bytes())
        return tuple(each.public_bytes(Encoding.DER) for each in found)

    def authority(self, name: str) -> x509.Certificate:
        return read_pem((self.folder / "pki" / name).read_bytes())[0]

    @property
    def log(self) -> str:
        return (self.folder / "nginx.log").read_text(encoding="utf-8")

    def request(
        self, server: str, client: str | None, *headers: str, at: str = "pki"
    ) -> tuple[int, list[tuple[bytes, bytes]]]:
        """A request by a client: the status of the answer, and the headers that arrived behind."""
        context = ssl.create_default_context(cafile=str(self.folder / "pki" / "root.pem"))
        if client is not None:
            files = (self.folder / at / f"{client}.pem", self.folder / at / f"{client}-key.pem")
            context.load_cert_chain(*files)
        lines = ["GET / HTTP/1.1", "host: localhost", "connection: close", *headers, "", ""]
        with socket.socket(socket.AF_UNIX) as plain:
            plain.settimeout(DEADLINE)
            plain.connect(str(self.folder / f"{server}.sock"))
            with context.wrap_socket(plain, server_hostname="localhost") as connection:
                connection.sendall("\r\n".join(lines).encode())
                answer = b""
                while piece := connection.recv(65536):
                    answer += piece
        status = int(answer.split()[1])
        return status, self.behind.arrived.get(timeout=DEADLINE) if status == 204 else []

    def stop(self) -> int:
        self.behind.close()
        self._process.terminate()
        ended = self._process.wait(DEADLINE)
        self._log.close()
        return ended


@pytest.fixture(scope="module")
def nginx() -> Iterator[Nginx]:
    with short_folder() as folder:
        running = Nginx(folder)
        try:
            yield running
        finally:
            assert running.stop() == 0, running.log


def read(headers: list[tuple[bytes, bytes]], names: NginxHeaders = NGINX_HEADERS) -> ForwardedChain:
    found = read_forwarded(EvidenceKind.NGINX, headers, nginx=names)
    assert isinstance(found, ForwardedChain)
    return found


def refused(headers: list[tuple[bytes, bytes]]) -> ForwardedError:
    with pytest.raises(ForwardedError) as error:
        read(headers)
    return error.value


# -- who is forwarded ----------------------------------------------------------------------


@pytest.mark.parametrize("server", ["on", "optional", "anybody"])
def test_the_client_that_nginx_verified_is_the_caller(nginx: Nginx, server: str) -> None:
    status, headers = nginx.request(server, "web")

    found = read(headers)

    assert status == 204
    assert found == ForwardedChain(nginx.shown("web")[0])
    # The leaf alone is forwarded: whom it verifies to is the authority that issued it.
    trust = TrustStore(domains={PROD: (nginx.authority("intermediate.pem"),)})
    assert verify_caller(found.leaf, found.intermediates, trust, datetime.now(UTC)).id == WEB


def test_without_its_issuer_among_the_roots_the_leaf_is_nobody(nginx: Nginx) -> None:
    _, headers = nginx.request("on", "web")
    found = read(headers)

    trust = TrustStore(domains={PROD: (nginx.authority("root.pem"),)})

    with pytest.raises(UntrustedCertificateError):
        verify_caller(found.leaf, found.intermediates, trust, datetime.now(UTC))


def test_certificates_of_many_lengths_and_letters_arrive_as_they_were_shown(nginx: Nginx) -> None:
    """Base64 with every padding, and with what has to be escaped."""
    seen = set()
    for number in range(6):
        name = f"client{number}"
        nginx.issue(name, f"{WEB}{'x' * number}")
        _, headers = nginx.request("on", name)
        assert read(headers).leaf == nginx.shown(name)[0]
        seen.add(dict(headers)[b"ssl-client-cert"].partition(b"-----END")[0].count(b"%3D"))

    assert len(seen) > 1


def test_the_operators_names_are_read(nginx: Nginx) -> None:
    _, headers = nginx.request("own-names", "web", "x-client-cert: x", "x-client-verify: SUCCESS")

    assert read(headers, OWN_NAMES).leaf == nginx.shown("web")[0]


def test_a_location_with_a_header_of_its_own_inherits_none(nginx: Nginx) -> None:
    """So there the client says what it likes under the other names: docs/operations.md warns of it."""
    stolen = dict(nginx.request("on", "edge")[1])[b"ssl-client-cert"].decode()
    said = [f"ssl-client-cert: {stolen}", "ssl-client-verify: SUCCESS"]

    _, headers = nginx.request("own-names", "web", *said)

    assert read(headers).leaf == nginx.shown("edge")[0]
    assert read(headers, OWN_NAMES).leaf == nginx.shown("web")[0]


# -- who is not ----------------------------------------------------------------------------


def test_what_the_client_says_itself_is_replaced(nginx: Nginx) -> None:
    stolen = dict(nginx.request("on", "edge")[1])[b"ssl-client-cert"].decode()
    said = [
        f"ssl-client-cert: {stolen}", "ssl-client-verify: SUCCESS", f"Ssl-Client-Cert: {stolen}",
        "SSL-CLIENT-VERIFY: SUCCESS", f"ssl_client_cert: {stolen}", "ssl_client_verify: SUCCESS",
        "connection: close, ssl-client-cert, ssl-client-verify",
    ]  # fmt: skip

    for server in ("on", "optional", "anybody"):
        status, headers = nginx.request(server, "web", *said)
        assert status == 204
        assert read(headers).leaf == nginx.shown("web")[0]
    for server in ("optional", "anybody"):
        _, headers = nginx.request(server, None, *said)
        assert refused(headers).fault is ForwardedFault.MISSING
    _, headers = nginx.request("anybody", "web", *said, at="stranger")
    assert "`FAILED`" in refused(headers).message


@pytest.mark.parametrize("server", ["optional", "anybody"])
def test_who_shows_no_certificate_is_nobody(nginx: Nginx, server: str) -> None:
    _, headers = nginx.request(server, None)

    error = refused(headers)

    assert dict(headers)[b"ssl-client-verify"] == b"NONE"
    assert b"ssl-client-cert" not in dict(headers)
    assert error.fault is ForwardedFault.MISSING
    assert "nginx says `NONE`" in error.message


def test_a_certificate_that_nginx_did_not_verify_is_refused_though_it_is_forwarded(nginx: Nginx) -> None:
    _, headers = nginx.request("anybody", "web", at="stranger")

    error = refused(headers)

    said = dict(headers)[b"ssl-client-verify"].decode()
    assert said.startswith("FAILED:")
    assert b"ssl-client-cert" in dict(headers)
    assert error.fault is ForwardedFault.INVALID
    assert error.message.endswith(f"it did not verify the certificate: {said.removeprefix('FAILED:')}")


def test_nginx_itself_refuses_a_stranger_where_a_certificate_is_required(nginx: Nginx) -> None:
    assert nginx.request("on", "web", at="stranger")[0] == 400
    assert nginx.request("optional", "web", at="stranger")[0] == 400
    assert nginx.request("on", None)[0] == 400
