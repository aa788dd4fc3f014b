"""How `pdp serve` starts, refuses to start, and ends: each with its exit code, none with a traceback."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from pdp.cli.serve import serve as command
from tests.e2e.running import (
    PROD,
    Pki,
    Service,
    clean_environment,
    make_policies,
    parse_replies,
    question,
    raw,
    request_bytes,
    send,
    until,
)


@dataclass(frozen=True)
class Refused:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def serve(*arguments: object) -> Refused:
    """The command `pdp serve` where it must not come to serving, in this process: it is quicker."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Refused(returncode=result.exit_code, stdout=result.stdout, stderr=result.stderr)


def serve_process(*arguments: object) -> Refused:
    """The same, as it is run."""
    done = subprocess.run(
        [sys.executable, "-m", "pdp.cli.main", "serve", *map(str, arguments)],
        capture_output=True, text=True, timeout=30, check=False, env=clean_environment(),
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return Refused(returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)


def serve_at_a_terminal(*arguments: object) -> Refused:
    """The same with a terminal that it could ask questions at, and nobody who answers them."""
    ours, theirs = os.openpty()
    try:
        # The first terminal that the leader of a new session opens is the session's own.
        opening = ["sh", "-c", 'terminal=$1; shift; exec "$@" < "$terminal"', "sh", os.ttyname(theirs)]
        done = subprocess.run(
            [*opening, sys.executable, "-m", "pdp.cli.main", "serve", *map(str, arguments)],
            capture_output=True, text=True, timeout=15, check=False, env=clean_environment(),
            start_new_session=True,
        )  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)
    return Refused(returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)


def options(pki: Pki, **changes: object) -> list[object]:
    """Options that would do, with some exchanged, or left out where None."""
    given: dict[str, Any] = {
        "http": "127.0.0.1:0",
        "cert": pki.folder / "server.pem",
        "key": pki.folder / "server-key.pem",
        "trust": f"{PROD}={pki.folder / 'prod.pem'}",
        **changes,
    }
    return [part for name, value in given.items() if value is not None for part in (f"--{name}", value)]


def assert_refused(done: Refused, code: int, *said: str) -> None:
    assert done.returncode == code, done
    told = done.stdout + done.stderr
    for text in said:
        assert text in told, told
    assert "Traceback" not in told
    assert "serving" not in done.stdout


def test_bad_policies_are_shown_and_nothing_is_served(pki: Pki, tmp_path: Path) -> None:
    policies = make_policies(tmp_path / "set", "language 1\nallow everybody\n")

    assert_refused(
        serve(policies, *options(pki)), 3, "main.policy:2", "error[PDP101]", "^", "no last good one"
    )


@pytest.mark.parametrize("kind", ["empty", "missing"])
def test_no_policies_at_all_are_an_error(pki: Pki, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "set"
    if kind == "empty":
        folder.mkdir()

    assert_refused(serve(folder, *options(pki)), 3, "policy set: error[PDP9")


def test_taken_port_is_named_with_the_option_that_changes_it(pki: Pki, policies: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        assert_refused(serve(policies, *options(pki, http=address)), 3, address, "--http HOST:PORT")


@pytest.mark.parametrize("address", ["203.0.113.7:0", "no-such-host.invalid:0"])
def test_address_that_is_not_ours_is_an_error(pki: Pki, policies: Path, address: str) -> None:
    assert_refused(serve(policies, *options(pki, http=address)), 3, "cannot listen on")


@pytest.mark.parametrize(
    "address",
    ["", ":", "8443", "127.0.0.1", "127.0.0.1:", ":8443", "a:65536", "a:1e3", "a:-1", "::1:8443", "a:٣"],
)
def test_address_that_is_none_is_a_mistake_of_the_call(pki: Pki, policies: Path, address: str) -> None:
    assert_refused(serve(policies, *options(pki, http=address)), 2, "--http", "HOST:PORT")


@pytest.mark.parametrize("option", ["cert", "key"])
def test_missing_certificate_or_key_is_named(pki: Pki, policies: Path, option: str) -> None:
    gone = pki.folder / "gone.pem"

    assert_refused(
        serve(policies, *options(pki, **{option: gone})), 3, f"{gone}: cannot be read: No such file"
    )


def test_key_that_others_may_write_is_refused(pki: Pki, policies: Path, tmp_path: Path) -> None:
    key = tmp_path / "k.pem"
    key.write_bytes((pki.folder / "server-key.pem").read_bytes())
    key.chmod(0o620)

    assert_refused(serve(policies, *options(pki, key=key)), 3, "`http.key`", "can be written by others")


def test_key_of_another_certificate_is_refused(pki: Pki, policies: Path) -> None:
    key = pki.folder / "pep-key.pem"

    assert_refused(serve(policies, *options(pki, key=key)), 3, str(key), "not that of the certificate")


def test_certificate_that_is_no_pem_is_refused(pki: Pki, policies: Path, tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("hello")

    assert_refused(serve(policies, *options(pki, cert=tmp_path / "x.pem")), 3, "x.pem", "not PEM")


def test_encrypted_key_is_refused_and_no_password_asked_for(pki: Pki, policies: Path, tmp_path: Path) -> None:
    encrypted = pki.root.key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    (tmp_path / "k.pem").write_bytes(encrypted)

    assert_refused(
        serve_at_a_terminal(policies, *options(pki, key=tmp_path / "k.pem")), 3, "k.pem", "encrypted"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read"), ("", "x.pem"), ("hello", "x.pem"), ("leaf", "cannot be a root")],
    ids=["missing", "empty", "no PEM", "a leaf"],
)
def test_trust_that_cannot_be_established_is_refused(
    pki: Pki, policies: Path, tmp_path: Path, content: str | None, said: str
) -> None:
    file = tmp_path / "x.pem"
    if content is not None:
        file.write_text((pki.folder / "server.pem").read_text() if content == "leaf" else content)

    assert_refused(serve(policies, *options(pki, trust=f"{PROD}={file}")), 3, str(file), said)


@pytest.mark.parametrize("name", ["http://x", "a b", "UPPER.example.org", "a/b"])
def test_trust_for_what_is_no_trust_domain_is_refused(pki: Pki, policies: Path, name: str) -> None:
    done = serve(policies, *options(pki, trust=f"{name}={pki.folder / 'prod.pem'}"))

    assert_refused(done, 3, "is not a trust domain")


@pytest.mark.parametrize("text", ["", "prod.example.org", "=x", "prod.example.org="])
def test_trust_without_domain_or_file_is_a_mistake_of_the_call(pki: Pki, policies: Path, text: str) -> None:
    assert_refused(serve(policies, *options(pki, trust=text)), 2, "DOMAIN=FILE")


def test_trust_domain_given_twice_is_a_mistake_of_the_call(pki: Pki, policies: Path) -> None:
    twice = ["--trust", f"{PROD}={pki.folder / 'partner.pem'}"]

    assert_refused(serve(policies, *options(pki), *twice), 2, PROD, "given twice")


@pytest.mark.parametrize("left_out", ["cert", "key", "trust"])
def test_security_setting_that_is_left_out_is_never_assumed(pki: Pki, policies: Path, left_out: str) -> None:
    assert_refused(serve(policies, *options(pki, **{left_out: None})), 2, f"--{left_out}")


def test_policies_have_to_be_named(pki: Pki) -> None:
    assert_refused(serve_process(*options(pki)), 2, "POLICIES")


# -- the end ---------------------------------------------------------------------------


@pytest.fixture
def service(pki: Pki, policies: Path) -> Service:
    return Service(pki, policies)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_with_0_and_without_a_word(service: Service, how: signal.Signals) -> None:
    assert service.lines[0].startswith("serving revision ")
    assert service.lines[0].endswith(f"(8 rules, 2 services) on https://127.0.0.1:{service.port}")
    idle = service.connect()  # stays open, and silent, all the while
    assert send(idle, question()).status == 200
    half = service.tls()
    half.sendall(b"POST /v1/dec")
    began = time.monotonic()

    code = service.stop(how)
    took = time.monotonic() - began
    idle.close()
    half.close()

    assert code == 0, service.log
    assert len(service.lines) == 1, service.log
    assert took < 6


def test_who_begins_to_ask_when_it_ends_is_not_waited_for_long(service: Service) -> None:
    with service.tls() as slow:
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        received = raw(slow, b"POST /v1/dec")

    (reply,) = parse_replies(received)
    assert (reply.status, reply.code) == (503, "ending")
    assert service.stop() == 0, service.log
    assert time.monotonic() - began < 6


def test_request_in_flight_is_answered_before_the_end(service: Service) -> None:
    """One that waits for a revision is in flight for a second."""
    body = str(question(at_least="0" * 16)).replace("'", '"').encode()
    got: list[bytes] = []

    def waiting() -> None:
        with service.tls() as sock:
            got.append(raw(sock, request_bytes(body, f"content-length: {len(body)}")))

    asking = threading.Thread(target=waiting)
    asking.start()
    time.sleep(0.4)

    code = service.stop()
    asking.join(15)

    assert code == 0, service.log
    (reply,) = parse_replies(got[0])
    assert (reply.status, reply.code) == (503, "revision_not_seen")


def test_impatience_ends_it_as_well(service: Service) -> None:
    half = service.tls()
    half.sendall(request_bytes(b"{", "content-length: 100"))
    time.sleep(0.1)
    service.process.send_signal(signal.SIGINT)
    time.sleep(0.4)
    assert service.process.poll() is None  # it waits for the request

    code = service.stop(signal.SIGINT)
    half.close()

    assert code == 0, service.log
    assert "Traceback" not in service.log


def test_closed_output_ends_nothing(pki: Pki, policies: Path) -> None:
    """Who read what it says is gone: edits go live nevertheless, and are confirmed."""
    service = Service(pki, policies)
    try:
        assert service.process.stdout is not None

        def ask_revision() -> str:
            found: str = service.send(question()).json["revision"]
            return found

        stop_reading(service)

        file = policies / "main.policy"
        for _ in range(2):  # the first line still finds the reader
            before = ask_revision()
            file.write_text(file.read_text() + "# more\n")
            until(lambda before=before: ask_revision() != before)  # type: ignore[misc]
        time.sleep(2.3)

        assert service.send(question()).json["age_seconds"] <= 1
    finally:
        service.stop()


def stop_reading(service: Service) -> None:
    """Close our end of its output, which the reading thread holds."""
    assert service.process.stdout is not None
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, service.process.stdout.fileno())
    os.close(null)
