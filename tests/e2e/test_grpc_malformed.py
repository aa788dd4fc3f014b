"""What gRPC clients should not send: refused by name, and the service goes on as before."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from pdp.adapters.grpc.v1 import decision_pb2 as v1
from pdp.limits import MAX_BATCH_ITEMS, MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_MESSAGE_BYTES
from tests.e2e import http2
from tests.e2e.grpc_calls import Failure, call, channel, grpc_port, streaming, to_question
from tests.e2e.running import Pki, Service, make_policies, question

DECIDE = b"/pdp.v1.DecisionService/Decide"
ASKED = to_question(question())
DATA = ASKED.SerializeToString()
UNKNOWN = b"\xfa\x06\x01x"  # field number 111


@pytest.fixture(scope="module")
def running(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    policies = make_policies(tmp_path_factory.mktemp("policies") / "set")
    service = Service(pki, policies, "--grpc", "127.0.0.1:0")
    yield service
    assert service.stop() == 0, service.log


@pytest.fixture
def on(running: Service) -> Iterator[grpc.Channel]:
    """After each test the service answers as before, and has printed nothing at all."""
    mark = running.mark()
    with channel(running.pki, grpc_port(running)) as on:
        yield on
        assert isinstance(call(on, "Decide", ASKED, v1.Answer), v1.Answer)
    running.assert_still_answers(mark)
    assert running.lines[mark:] == []


def inside(number: int, body: bytes) -> bytes:
    """A length-delimited field."""
    return bytes([number << 3 | 2, len(body)]) + body


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (b"", "missing_field", "`principal`"),
        (b"\xff\xff\xff", "invalid_protobuf", "pdp.v1.Question"),
        (DATA[:-1], "invalid_protobuf", ""),
        (b'{"principal": "x"}', "invalid_protobuf", ""),
        (b"\x12\x01\xff" + DATA, "not_utf8", ""),
        (b"\x12\x03\xed\xa0\x80" + DATA, "not_utf8", ""),
        (DATA + UNKNOWN, "unknown_field", "111"),
        (DATA + b"\x48\x01\x10\x01", "unknown_field", "2"),  # `method` as a number
        (inside(1, UNKNOWN) + DATA, "unknown_field", "`principal`"),
        (inside(7, inside(1, b"header.x-a") + UNKNOWN) + DATA, "unknown_field", "`context`"),
        (DATA + inside(2, b"DELETE"), "ambiguous_encoding", "twice"),
        (DATA + inside(1, inside(2, b"db.example.org")), "ambiguous_encoding", "twice"),
        (DATA + b"\x48\x81\x00", "ambiguous_encoding", "longer"),  # `explain` as an overlong varint
        (DATA + inside(5, b"web.shop.example.com"), "service_or_host", "both"),
        (b"\x12\x04GE\x00T\x0a\x02\x20\x01\x1a\x01/", "nul_character", "`method`"),
        (DATA + 2 * inside(7, inside(1, b"source.ip") + b"\x32\x00"), "duplicate_key", "`source.ip`"),
        (DATA + inside(7, inside(1, b"source.ip")), "attribute_type", "no value"),
        (DATA + inside(7, inside(1, b"a\x00b") + b"\x32\x00"), "nul_character", "`context`"),
    ],
)  # fmt: skip
def test_message_that_is_not_read_in_one_way_is_refused(
    on: grpc.Channel, data: bytes, code: str, says: str
) -> None:
    got = call(on, "Decide", data)

    assert (got.status, got.code) == ("INVALID_ARGUMENT", code), got
    assert says in got.message


def test_question_is_read_at_its_bound_and_refused_one_past_it(on: grpc.Channel) -> None:
    def filled(size: int) -> bytes:
        asked = to_question(question(context={"header.x-a": ["a"]}))
        missing = size - asked.ByteSize()
        asked.context[0].texts.items[0] += "a" * (missing - 6)  # three lengths take two bytes more each
        assert asked.ByteSize() == size
        return asked.SerializeToString()

    at, past = (
        call(on, "Decide", filled(MAX_BODY_BYTES), v1.Answer),
        call(on, "Decide", filled(MAX_BODY_BYTES + 1)),
    )

    assert isinstance(at, v1.Answer)
    assert (past.status, past.code) == ("RESOURCE_EXHAUSTED", "body_too_large")


def test_huge_message_is_not_read(on: grpc.Channel) -> None:
    at, past = (call(on, "DecideBatch", b"\0" * (MAX_MESSAGE_BYTES + extra)) for extra in (0, 1))

    assert (at.status, at.code) == ("RESOURCE_EXHAUSTED", "body_too_large")  # read, to be told
    assert (past.status, past.code) == ("RESOURCE_EXHAUSTED", "")  # the library's word


@pytest.mark.parametrize("extra", [0, 1])
def test_batch_has_a_bound(on: grpc.Channel, extra: int) -> None:
    asked = v1.DecideBatchRequest(questions=[ASKED] * (MAX_BATCH_ITEMS + extra))

    got = call(on, "DecideBatch", asked, v1.DecideBatchResponse)

    if extra:
        assert (got.status, got.code) == ("INVALID_ARGUMENT", "batch_too_large")
    else:
        assert len(got.results) == MAX_BATCH_ITEMS


BAD = [(b"\xff", "invalid_protobuf"), (b"", "missing_field"), (b"\x12\x01\xff", "not_utf8"),
       (DATA + UNKNOWN, "unknown_field"), (b"\0" * (MAX_BODY_BYTES + 1), "body_too_large")]  # fmt: skip


def test_a_bad_item_has_an_error_in_its_place_and_spoils_no_other(on: grpc.Channel) -> None:
    items = [DATA, *(item for bad, _ in BAD for item in (bad, DATA))]
    codes = ["", *(code for _, wanted in BAD for code in (wanted, ""))]
    batch = b"".join(b"\x0a" + varint(len(item)) + item for item in items)

    got = call(on, "DecideBatch", batch, v1.DecideBatchResponse)
    with streaming(on, "DecideStream", items) as stream:
        streamed = [v1.Result.FromString(message) for message in stream]

    assert [result.error.code for result in got.results] == codes
    assert [result.error.code for result in streamed] == codes


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def test_batch_that_is_none_is_refused(on: grpc.Channel) -> None:
    assert call(on, "DecideBatch", b"\xff").code == "invalid_protobuf"
    assert call(on, "DecideBatch", UNKNOWN).code == "unknown_field"
    assert call(on, "WatchRevisions", UNKNOWN).code == "unknown_field"
    assert call(on, "/grpc.health.v1.Health/Check", b"\xff").code == "invalid_protobuf"


def test_call_without_a_message_is_refused(on: grpc.Channel) -> None:
    with streaming(on, "Decide", []) as stream, pytest.raises(grpc.RpcError) as caught:
        next(stream)

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_compressed_message_is_refused_and_not_inflated(on: grpc.Channel) -> None:
    asked = on.unary_unary("/pdp.v1.DecisionService/Decide")

    with pytest.raises(grpc.RpcError) as caught:
        asked(b"\0" * MAX_BODY_BYTES, compression=grpc.Compression.Gzip)

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_metadata_has_a_bound(on: grpc.Channel) -> None:
    asked = on.unary_unary("/pdp.v1.DecisionService/Decide")

    with pytest.raises(grpc.RpcError) as caught:
        asked(DATA, metadata=[("x-long", "a" * MAX_HEAD_BYTES)])

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_method_that_is_not_there(on: grpc.Channel) -> None:
    assert call(on, "Decide2", DATA).status == "UNIMPLEMENTED"
    assert call(on, "/pdp.v2.DecisionService/Decide", DATA).status == "UNIMPLEMENTED"


def test_many_streams_at_once_are_answered_each_in_order(on: grpc.Channel) -> None:
    paths = [f"/v1/items/{n}" if n % 2 else "/v1/items/locked" for n in range(40)]
    messages = [to_question(question(path=path)).SerializeToString() for path in paths]

    def ask(_: int) -> list[int]:
        with streaming(on, "DecideStream", messages) as stream:
            return [v1.Result.FromString(message).answer.decision for message in stream]

    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(ask, range(64)))

    assert found == [[v1.DECISION_DENY, v1.DECISION_ALLOW] * 20] * 64


def test_streams_that_are_given_up_leave_nothing_behind(on: grpc.Channel) -> None:
    for _ in range(100):
        with streaming(on, "DecideStream", endless()) as stream:
            next(stream)


def endless() -> Iterator[bytes]:
    yield DATA
    time.sleep(0.5)


# -- bytes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "garbage",
    [
        os.urandom(4096),
        b"GET / HTTP/1.1\r\nhost: pdp\r\n\r\n",
        http2.PREFACE + os.urandom(4096),
        http2.PREFACE + http2.frame(4, 0, 0, b"") + http2.frame(1, 4, 1, b"\x80" * 100),
        http2.PREFACE + http2.frame(4, 0, 0, b"") + http2.frame(0, 1, 7, b"data of no stream"),
        http2.PREFACE + http2.frame(4, 0, 0, b"") + http2.frame(0xEE, 0xFF, 0, b"x" * 1000),
        http2.PREFACE + http2.frame(4, 0, 0, b"") + http2.headers(DECIDE) + http2.data(b"\1\0"),
        http2.PREFACE + http2.frame(4, 0, 0, b"") + http2.headers(DECIDE)
        + http2.data(http2.grpc_message(DATA, length=len(DATA) + 7)),
        http2.PREFACE + http2.frame(4, 0, 0, b"") + http2.headers(DECIDE)
        + http2.data(http2.grpc_message(DATA, length=0xFFFFFFFF)),
        http2.PREFACE + http2.frame(4, 0, 0, b"") + http2.headers(DECIDE, (b"content-type", b"text/plain"))
        + http2.data(b"x"),
    ],
    ids=["noise", "http/1", "noise after the preface", "bad hpack", "no such stream", "unknown frame",
         "compressed flag", "longer than said", "four gigabytes", "two media types"],
)  # fmt: skip
def test_garbage_is_never_a_decision(on: grpc.Channel, running: Service, garbage: bytes) -> None:
    del on
    with http2.tls(running.pki, grpc_port(running)) as sock:
        sock.sendall(garbage)
        received = http2.read_all(sock, wait=1.0, until=b"grpc-status")

    assert b"read-item" not in received


def test_one_call_by_hand_is_answered(on: grpc.Channel, running: Service) -> None:
    """The tests of garbage would see a decision."""
    del on
    with http2.tls(running.pki, grpc_port(running)) as sock:
        sock.sendall(http2.grpc_request(DECIDE, DATA))

        assert b"web.shop/read-item" in http2.read_all(sock, until=b"grpc-status")


def test_failures_hold_no_decision(on: grpc.Channel) -> None:
    got = call(on, "Decide", b"")

    assert isinstance(got, Failure)
    assert "allow" not in got.message
