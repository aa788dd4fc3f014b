"""Roots that come and go while the service runs, over HTTP and gRPC: nothing outlives a removed root."""

import http.client
import json
import os
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import grpc
import pytest

from pdp.adapters.grpc.v1 import decision_pb2 as v1
from tests.e2e import http2
from tests.e2e.grpc_calls import Failure, call, channel, failure_of, streaming, to_question
from tests.e2e.running import PARTNER, PROD, question, request_bytes, send, until
from tests.e2e.trusting import ASKED, Trusting, replace, rest_of
from tests.identity.mint import Party, authority

SOON = 1.0  # from the change of a file until nothing of the removed root is left
DECIDE = b"/pdp.v1.DecisionService/Decide"


@pytest.fixture
def world(tmp_path: Path, policies: Path) -> Iterator[Trusting]:
    trusting = Trusting(tmp_path / "pki", policies)
    yield trusting
    trusting.service.assert_still_answers()
    assert trusting.service.stop() == 0, trusting.service.log


def allowed(received: bytes) -> bool:
    return b'"decision":"allow"' in received


# -- removal -------------------------------------------------------------------------------


def test_idle_connection_of_a_removed_root_is_closed_and_others_notice_nothing(world: Trusting) -> None:
    """Measured three times, and the best counts: the machine of a test may be busy with others."""
    took = []
    with closing(world.service.connect("pep")) as other:
        first = send(other, question()).json["revision"]
        for _ in range(3):
            with world.service.tls("second") as idle:
                world.believe(world.first)
                received, seconds = rest_of(idle)
            took.append(seconds)
            assert received == b""
            mark = world.service.mark()
            world.believe(world.first, world.second)
            world.service.wait_line(f"trust changed: `{PROD}`: 1 root added", mark)
            until(lambda: allowed(world.over_http("second")))
        last = send(other, question())

    assert min(took) < SOON
    assert last.json["decision"] == "allow"
    assert last.json["revision"] == f"{first}~4"


def test_connection_that_asks_after_the_removal_is_not_answered(world: Trusting) -> None:
    with closing(world.service.connect("second")) as opened:
        assert send(opened, question()).json["decision"] == "allow"
        mark = world.service.mark()
        world.believe(world.first)
        world.service.wait_line(f"trust changed: `{PROD}`: 1 root removed", mark)

        with pytest.raises((OSError, http.client.HTTPException)):
            send(opened, question())

    assert world.over_http("second") == b""  # no handshake either


def test_request_whose_body_comes_after_the_removal_is_not_decided(world: Trusting) -> None:
    body = json.dumps(question()).encode()
    with world.service.tls("second") as sock:
        asked = request_bytes(body, f"content-length: {len(body)}")
        sock.sendall(asked[:-20])
        mark = world.service.mark()
        world.believe(world.first)
        world.service.wait_line("trust changed", mark)
        with suppress(OSError):
            sock.sendall(asked[-20:])
        received, _ = rest_of(sock)

    assert b'"decision"' not in received


def test_a_removed_root_is_a_new_revision_and_so_is_its_return(world: Trusting) -> None:
    with closing(world.service.connect("pep")) as opened:
        before = send(opened, question()).json["revision"]
        world.believe(world.first)
        until(lambda: send(opened, question()).json["revision"] != before)
        without = send(opened, question()).json["revision"]
        world.believe(world.first, world.second)
        until(lambda: send(opened, question()).json["revision"] != without)

        assert send(opened, question()).json["revision"] == f"{before}~2"


def test_grpc_calls_of_a_removed_root_are_refused_and_its_streams_end(world: Trusting) -> None:
    with (
        channel(world.pki, world.grpc_port, "second") as theirs,
        channel(world.pki, world.grpc_port, "pep") as ours,
        streaming(theirs, "WatchRevisions", [b""]) as watching,
        streaming(ours, "WatchRevisions", [b""]) as watching_on,
        streaming(theirs, "DecideStream", endless()) as idle,
        streaming(ours, "DecideStream", endless()) as idle_on,
    ):
        for stream in (watching, watching_on, idle, idle_on):
            next(stream)

        began = time.monotonic()
        world.believe(world.first)
        ended = [ended_with(stream) for stream in (watching, idle)]
        took = time.monotonic() - began
        refused = call(theirs, "Decide", ASKED)
        answered = call(ours, "Decide", ASKED, v1.Answer)

        assert {(failure.status, failure.code) for failure in ended} == {
            ("UNAUTHENTICATED", "caller_untrusted")
        }
        assert (refused.status, refused.code) == ("UNAUTHENTICATED", "caller_untrusted")
        assert answered.decision == v1.DECISION_ALLOW
        assert any(v1.RevisionEvent.FromString(told).HasField("revision") for told in watching_on)
        assert took < 3 * SOON
        assert idle_on.is_active()

    assert world.over_grpc("second").status == "UNAVAILABLE"  # no handshake either


def endless() -> Iterator[bytes]:
    """One question, and then a client that just keeps its stream open."""
    yield ASKED.SerializeToString()
    time.sleep(20)


def ended_with(stream: grpc.Call) -> Failure:
    try:
        for _ in stream:
            pass
    except grpc.RpcError as error:
        return failure_of(error)
    return Failure("OK", "", "")


def test_question_that_waits_for_the_very_revision_that_ends_its_caller_is_not_answered(
    world: Trusting,
) -> None:
    """It is seen by then, and who asked is a caller no more."""
    with closing(world.service.connect("pep")) as opened:

        def become(*roots: Party) -> str:
            before = send(opened, question()).json["revision"]
            world.believe(*roots)
            until(lambda: send(opened, question()).json["revision"] != before)
            return send(opened, question()).json["revision"]

        without = become(world.first)
        become(world.first, world.second)
        waiting = {"at_least": f"{without}~2"}
        asked = json.dumps(question(**waiting)).encode()
        with world.service.tls("second") as over_http, channel(world.pki, world.grpc_port, "second") as on:
            call(on, "Decide", ASKED)
            world.believe(world.first)
            over_http.sendall(request_bytes(asked, f"content-length: {len(asked)}"))
            over_grpc = call(on, "Decide", to_question(question(**waiting)))
            received, _ = rest_of(over_http)

        assert send(opened, question()).json["revision"] == waiting["at_least"]
    assert b'"decision"' not in received
    assert (over_grpc.status, over_grpc.code) == ("UNAUTHENTICATED", "caller_untrusted")


def test_root_that_another_domain_still_has_vouches_for_the_one_domain_no_more(
    tmp_path: Path, policies: Path
) -> None:
    """TLS pools roots and goes on to accept the chain; the connection that it made before is closed."""
    folder = tmp_path / "pki"
    world = Trusting(folder, policies)
    try:
        span = {"start": world.pki.now, "end": world.first.certificate.not_valid_after_utc}
        common = authority("of both", **span)
        world.pki.issue("guest", common, uris=[f"spiffe://{PARTNER}/ns/pdp/sa/pep"])
        mark = world.service.mark()
        world.believe(world.first, common)
        replace(folder / "partner.pem", common.pem)
        world.service.wait_line(f"trust changed: `{PARTNER}`", mark)
        until(lambda: b"caller_not_listed" in world.over_http("guest"))

        with world.service.tls("guest") as idle:
            replace(folder / "partner.pem", world.pki.partner_root.pem)
            received, _ = rest_of(idle)

        assert received == b""
        assert b"caller_untrusted" in world.over_http("guest")
        assert world.over_grpc("guest").code == "caller_untrusted"
    finally:
        assert world.service.stop() == 0


# -- addition ------------------------------------------------------------------------------


def test_added_root_is_believed_by_new_connections(world: Trusting) -> None:
    assert world.over_http("third") == b""
    assert world.over_grpc("third").status == "UNAVAILABLE"

    world.believe(world.first, world.second, world.third)

    until(lambda: allowed(world.over_http("third")))
    assert isinstance(world.over_grpc("third"), bytes)


# -- files that are bad ----------------------------------------------------------------------


def remove(path: Path) -> None:
    path.unlink()


def make_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_pipe(path: Path) -> None:
    """Whoever opens it waits for somebody to write: for ever."""
    path.unlink()
    os.mkfifo(path)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: replace(path, b""), "there is no certificate in it"),
    "not PEM": (lambda path: replace(path, b"\0\xff" * 50), "there is no certificate in it"),
    "cut short": (lambda path: replace(path, path.read_bytes()[:-200]), "has a beginning and no end"),
    "missing": (remove, "No such file"),
    "a directory": (make_directory, "Is a directory"),
    "a pipe": (make_pipe, "it is no regular file"),
    "too large": (lambda path: replace(path, b"#" * (1024 * 1024 + 1)), "larger than 1048576 bytes"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_update_keeps_what_was_believed_and_says_so_and_the_next_good_one_counts(
    world: Trusting, kind: str
) -> None:
    spoil, why = BAD[kind]
    mark = world.service.mark()
    with closing(world.service.connect("second")) as opened:
        before = send(opened, question()).json["revision"]

        spoil(world.file)
        line = world.service.wait_line("trust is not as its files are", mark)
        time.sleep(0.5)

        assert why in line
        assert str(world.file) in line
        assert f"the roots of `{PROD}` stay as they were" in line
        assert send(opened, question()).json["revision"] == before
        assert allowed(world.over_http("second"))
        assert sum("trust is not" in each for each in world.service.lines[mark:]) == 1  # not at every look

        if world.file.is_dir():
            world.file.rmdir()
        world.believe(world.first)
        world.service.wait_line("trust is as its files are again", mark)
        until(lambda: world.over_http("second") == b"")


def test_broken_file_of_one_domain_keeps_no_root_of_another(world: Trusting) -> None:
    mark = world.service.mark()
    replace(world.pki.folder / "partner.pem", b"")
    world.service.wait_line("trust is not as its files are", mark)
    with world.service.tls("second") as idle:
        world.believe(world.first)
        received, seconds = rest_of(idle)

    assert received == b""
    assert seconds < 5


def test_trust_is_read_though_our_own_key_is_broken(world: Trusting) -> None:
    mark = world.service.mark()
    replace(world.pki.folder / "server-key.pem", b"nothing")
    world.service.wait_line("our certificate is not renewed", mark)
    with world.service.tls("second") as idle:
        world.believe(world.first)
        assert rest_of(idle)[0] == b""

    assert world.over_http("second") == b""
    assert allowed(world.over_http("pep"))


# -- mounted secrets -------------------------------------------------------------------------


def test_swap_of_a_mounted_secret_is_noticed_each_time(tmp_path: Path, policies: Path) -> None:
    world = Trusting(tmp_path / "pki", policies, mounted=True)
    try:
        for _ in range(2):
            with world.service.tls("second") as idle:
                world.believe(world.first)
                assert rest_of(idle)[0] == b""
            world.believe(world.first, world.second)
            until(lambda: allowed(world.over_http("second")))
    finally:
        assert world.service.stop() == 0


# -- sessions --------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_session_over_http_outlives_no_root(world: Trusting, version: ssl.TLSVersion) -> None:
    context = world.pki.context("second")
    context.maximum_version = version

    def connect(session: ssl.SSLSession | None) -> tuple[bytes, bool, ssl.SSLSession | None]:
        body = json.dumps(question()).encode()
        try:
            with context.wrap_socket(
                world.plain(world.service.port), server_hostname="127.0.0.1", session=session
            ) as sock:
                sock.sendall(request_bytes(body, f"content-length: {len(body)}"))
                received, _ = rest_of(sock)
                return received, bool(sock.session_reused), sock.session
        except (ssl.SSLError, ConnectionError):
            return b"", False, session

    received, _, session = connect(None)
    assert allowed(received) is (version is ssl.TLSVersion.TLSv1_3)  # there is no other
    received, reused, session = connect(session)
    assert not reused
    began = time.monotonic()
    world.believe(world.first)
    took = until(lambda: connect(session)[0] == b"")

    assert took < 5 * SOON
    assert time.monotonic() - began < 10
    assert connect(session)[:2] == (b"", False)
    assert connect(None)[0] == b""


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_session_over_grpc_outlives_no_root(world: Trusting, version: ssl.TLSVersion) -> None:
    """grpcio hands out tickets. What they are good for ends with the root."""
    context = world.pki.context("second")

    def connect(session: ssl.SSLSession | None) -> tuple[bytes, bool, ssl.SSLSession | None]:
        try:
            with http2.tls(
                world.pki, world.grpc_port, session=session, context=context, most=version
            ) as sock:
                sock.sendall(http2.grpc_request(DECIDE, ASKED.SerializeToString()))
                received = http2.read_all(sock, until=b"grpc-status")
                return received, bool(sock.session_reused), sock.session or session
        except (ssl.SSLError, ConnectionError):
            return b"", False, session

    received, _, session = connect(None)
    assert (b"web.shop/read-item" in received) is (version is ssl.TLSVersion.TLSv1_3)
    received, reused, session = connect(session)
    assert reused is (version is ssl.TLSVersion.TLSv1_3)  # so there was something to outlive it
    world.believe(world.first)
    took = until(lambda: b"web.shop/read-item" not in connect(session)[0])

    assert took < 5 * SOON
    received, reused, _ = connect(session)
    assert b"web.shop/read-item" not in received
    assert not reused
