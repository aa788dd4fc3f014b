"""Everything that is not a question, over real sockets: a precise refusal, and the service lives on.

The fixture `service` looks after each test that the service still answers and logged no traceback.

Everything is sent twice: to a service that answers the short way where it can, and to one that never does.
"""

import json
import socket
import ssl
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from pdp.limits import (
    MAX_BATCH_BODY_BYTES,
    MAX_BATCH_ITEMS,
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    MAX_HEADER_LINES,
    MAX_JSON_DEPTH,
    MAX_REVISION_CHARS,
)
from tests.e2e.running import JSON, WEB, Reply, Service, ask, parse_replies, question, raw, request_bytes

BATCH = "/v1/decide/batch"
BODY = json.dumps(question()).encode()
LENGTH = f"content-length: {len(BODY)}"


@pytest.fixture(params=["shared", "shared_without_direct"], ids=["direct", "routed"])
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    found: Service = request.getfixturevalue(request.param)
    mark = found.mark()
    yield found
    found.assert_still_answers(mark)


def assert_error(reply: Reply, status: int, code: str) -> None:
    assert reply.status == status, reply.body
    assert reply.headers["content-type"] == "application/json"
    assert set(reply.json) == {"error"}
    assert set(reply.json["error"]) == {"code", "message"}
    assert reply.code == code, reply.body
    message = reply.json["error"]["message"]
    assert message
    assert message.isprintable()
    for word in ("Error", "Traceback", "msgspec", "json.", ".py", "<class"):
        assert word not in message


def only(received: bytes) -> Reply:
    """The one response that came back."""
    (reply,) = parse_replies(received)
    return reply


def assert_only_ends(last: Reply, rest: list[Reply]) -> None:
    """If an answer is not the last, the last one says that what came behind is no request."""
    for reply in rest:
        assert_error(reply, 400, "invalid_http")
    assert len(rest) <= 1
    assert [last, *rest][-1].headers["connection"] == "close"


# -- bodies ----------------------------------------------------------------------------

_Q = json.dumps(question())[1:-1]
BODIES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "invalid_json"),
    "white space": (b" \r\n\t", "invalid_json"),
    "text": (b"may I?", "invalid_json"),
    "cut off": (BODY[:-1], "invalid_json"),
    "trailing data": (BODY + b"{}", "trailing_data"),
    "trailing comma": (b'{"a":1,}', "invalid_json"),
    "single quotes": (b"{'a':1}", "invalid_json"),
    "comment": (b"/* */" + BODY, "invalid_json"),
    "byte order mark": (b"\xef\xbb\xbf" + BODY, "invalid_json"),
    "UTF-16": (BODY.decode().encode("utf-16"), "not_utf8"),
    "invalid UTF-8": (BODY.replace(b"items", b"it\xffms"), "not_utf8"),
    "overlong UTF-8": (BODY.replace(b"items", b"it\xc0\xafms"), "not_utf8"),
    "surrogate in UTF-8": (BODY.replace(b"items", b"it\xed\xa0\x80ms"), "not_utf8"),
    "raw NUL": (BODY.replace(b"items", b"it\0ms"), "nul_character"),
    "escaped NUL": (BODY.replace(b"items", b"it\\u0000ms"), "nul_character"),
    "raw control character": (BODY.replace(b"items", b"it\x01ms"), "invalid_json"),
    "lone surrogate": (BODY.replace(b"items", b"it\\ud800ms"), "lone_surrogate"),
    "lone low surrogate as key": (f'{{{_Q},"context":{{"\\udc00":1}}}}'.encode(), "lone_surrogate"),
    "key twice": (f'{{{_Q},"method":"POST"}}'.encode(), "duplicate_key"),
    "key twice, escaped": (f'{{{_Q},"\\u006dethod":"POST"}}'.encode(), "duplicate_key"),
    "key twice, nested": (
        f'{{{_Q},"context":{{"source.ip":"10.0.0.1","source.ip":"1.1.1.1"}}}}'.encode(), "duplicate_key",
    ),
    "key twice, nested and escaped": (
        f'{{{_Q},"context":{{"source.ip":"1.1.1.1","source\\u002eip":"1.1.1.1"}}}}'.encode(), "duplicate_key",
    ),
    "key twice, space before the colon": (f'{{{_Q},"method" :"POST"}}'.encode(), "duplicate_key"),
    "too deep": (
        f'{{{_Q},"context":{{"a":{"[" * MAX_JSON_DEPTH}{"]" * MAX_JSON_DEPTH}}}}}'.encode(), "too_deep",
    ),
    "deep enough to end a parser": (b"[" * 60_000, "too_deep"),
    "unknown field": (f'{{{_Q},"principle":"x"}}'.encode(), "unknown_field"),
    "list": (b"[]", "wrong_type"),
    "string": (b'"x"', "wrong_type"),
    "null": (b"null", "wrong_type"),
    "NaN": (f'{{{_Q},"context":{{"request.port":NaN}}}}'.encode(), "invalid_number"),
    "infinity": (f'{{{_Q},"context":{{"request.port":1e999}}}}'.encode(), "number_out_of_range"),
    "integer past 64 bits": (
        f'{{{_Q},"context":{{"request.port":9223372036854775808}}}}'.encode(), "number_out_of_range",
    ),
    "integer of 5 000 digits": (
        f'{{{_Q},"context":{{"request.port":{"9" * 5000}}}}}'.encode(), "number_out_of_range",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "code"), BODIES.values(), ids=BODIES.keys())
def test_body_that_is_not_strict_json_of_a_question(service: Service, body: bytes, code: str) -> None:
    assert_error(service.send(body), 400, code)


@pytest.mark.parametrize(
    "name", ["empty", "invalid UTF-8", "escaped NUL", "deep enough to end a parser", "null"]
)
def test_batch_that_is_not_strict_json_of_a_batch(service: Service, name: str) -> None:
    body, code = BODIES[name]
    assert_error(service.send(body, path=BATCH), 400, code)


QUESTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "no principal": ({"principal": ...}, "missing_field"),
    "principal null": ({"principal": None}, "wrong_type"),
    "principal number": ({"principal": 7}, "wrong_type"),
    "principal empty": ({"principal": ""}, "invalid_principal"),
    "principal without kind": ({"principal": {}}, "invalid_principal"),
    "principal of two kinds": ({"principal": {"anonymous": True, "dns": "a.b"}}, "invalid_principal"),
    "principal not anonymous": ({"principal": {"anonymous": False}}, "invalid_principal"),
    "principal in capitals": ({"principal": WEB.upper()}, "invalid_principal"),
    "principal with a query": ({"principal": WEB + "?x"}, "invalid_principal"),
    "principal with dots": ({"principal": "spiffe://prod.example.org/ns/../x"}, "invalid_principal"),
    "principal with a line break": ({"principal": WEB + "\n"}, "invalid_principal"),
    "no method": ({"method": ...}, "missing_field"),
    "method with a control character": ({"method": "GET\r"}, "invalid_method"),
    "no path": ({"path": ...}, "missing_field"),
    "path list": ({"path": ["v1"]}, "wrong_type"),
    "path very long": ({"path": "/" + "a" * 20_000}, "path_too_long"),
    "no service": ({"service": ...}, "service_or_host"),
    "service and host": ({"host": "web.shop.example.com"}, "service_or_host"),
    "service empty": ({"service": ""}, "invalid_service"),
    "service long": ({"service": "a" * 257}, "invalid_service"),
    "service with a control character": ({"service": "web.shop\x7f"}, "invalid_service"),
    "host with a path": ({"service": ..., "host": "web.shop.example.com/x"}, "invalid_host"),
    "host with a user": ({"service": ..., "host": "web.shop.example.com@evil"}, "invalid_host"),
    "user without issuer": ({"user": {"subject": "al"}}, "missing_field"),
    "user with an empty subject": (
        {"user": {"issuer": "https://login.example.com", "subject": ""}},
        "invalid_user",
    ),
    "user with more": ({"user": {"issuer": "a", "subject": "b", "admin": True}}, "unknown_field"),
    "context list": ({"context": []}, "wrong_type"),
    "context too large": ({"context": {f"header.x-{n}": "a" for n in range(257)}}, "too_many_attributes"),
    "address that is none": ({"context": {"source.ip": "10.0.0.256"}}, "attribute_type"),
    "address as number": ({"context": {"source.ip": 7}}, "attribute_type"),
    "port as text": ({"context": {"request.port": "8443"}}, "attribute_type"),
    "port as truth": ({"context": {"request.port": True}}, "attribute_type"),
    "port as fraction": ({"context": {"request.port": 1.5}}, "attribute_type"),
    "header as number": ({"context": {"header.x-a": 1}}, "attribute_type"),
    "header of numbers": ({"context": {"header.x-a": [1]}}, "attribute_type"),
    "header as object": ({"context": {"header.x-a": {"a": "b"}}}, "attribute_type"),
    "header in capitals": ({"context": {"header.X-A": "1"}}, "invalid_attribute"),
    "header with an underscore": ({"context": {"header.x_a": "1"}}, "invalid_attribute"),
    "floor empty": ({"at_least": ""}, "invalid_revision"),
    "floor too long": ({"at_least": "a" * (MAX_REVISION_CHARS + 1)}, "invalid_revision"),
    "floor with a control character": ({"at_least": "a\n"}, "invalid_revision"),
    "floor number": ({"at_least": 7}, "wrong_type"),
    "explain text": ({"explain": "yes"}, "wrong_type"),
}


@pytest.mark.parametrize(("what", "code"), QUESTIONS.values(), ids=QUESTIONS.keys())
def test_question_without_meaning_is_refused_by_name_and_at_once(
    service: Service, what: dict[str, Any], code: str
) -> None:
    began = time.monotonic()

    assert_error(ask(service, **what), 400, code)

    assert time.monotonic() - began < 0.7  # a floor that cannot be a revision is not waited for


@pytest.mark.parametrize(
    "path", ["v1", "", "/a//b", "/a/../b", "/%2e%2e/x", "/a%2fb", "/a;x", "/\ud7ff", "/a\\b", "http://a/b"]
)
def test_path_without_one_reading_is_denied_and_not_an_error(service: Service, path: str) -> None:
    """The question is fine: what the request asks for is ambiguous, and the answer to that is deny."""
    answer = ask(service, path=path).json
    assert (answer["decision"], answer["rules"]) == ("deny", [])


def test_batch_bounds(service: Service) -> None:
    most = service.send({"questions": [question()] * MAX_BATCH_ITEMS}, path=BATCH)
    assert [answer["decision"] for answer in most.json["answers"]] == ["allow"] * MAX_BATCH_ITEMS
    assert_error(
        service.send({"questions": [question()] * (MAX_BATCH_ITEMS + 1)}, path=BATCH), 400, "batch_too_large"
    )
    assert service.send({"questions": []}, path=BATCH).json == {"answers": []}
    assert_error(service.send({"questions": {}}, path=BATCH), 400, "wrong_type")
    assert_error(service.send({}, path=BATCH), 400, "missing_field")
    assert_error(service.send({"questions": [], "x": 1}, path=BATCH), 400, "unknown_field")
    assert_error(service.send(question(), path=BATCH), 400, "unknown_field")
    assert_error(service.send({"questions": []}), 400, "unknown_field")


def test_items_of_a_batch_that_are_no_questions_spoil_no_other(service: Service) -> None:
    items: list[Any] = [None, [], "x", 7, question(extra=1), question()]

    answers = service.send({"questions": items}, path=BATCH).json["answers"]

    codes = [a.get("decision") or a["error"]["code"] for a in answers]
    assert codes == [*["wrong_type"] * 4, "unknown_field", "allow"]


def test_item_of_a_batch_has_the_bound_of_a_question(service: Service) -> None:
    item = question(context={"header.x-a": "a" * MAX_BODY_BYTES})

    answers = service.send({"questions": [item, question()]}, path=BATCH).json["answers"]

    assert [a.get("decision") or a["error"]["code"] for a in answers] == ["body_too_large", "allow"]


# -- sizes -----------------------------------------------------------------------------


def padded(size: int) -> bytes:
    return BODY + b" " * (size - len(BODY))


def chunked(body: bytes, size: int = 4096) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def test_body_at_its_bound_is_read_and_one_byte_more_is_not(service: Service) -> None:
    assert service.send(padded(MAX_BODY_BYTES)).status == 200
    assert_error(service.send(padded(MAX_BODY_BYTES + 1)), 413, "body_too_large")


def test_batch_at_its_bound_is_read_and_one_byte_more_is_not(service: Service) -> None:
    body = b'{"questions":[]}'
    assert service.send(body.ljust(MAX_BATCH_BODY_BYTES), path=BATCH).status == 200
    assert_error(service.send(body.ljust(MAX_BATCH_BODY_BYTES + 1), path=BATCH), 413, "body_too_large")


@pytest.mark.parametrize("size", [MAX_BODY_BYTES, MAX_BODY_BYTES + 1])
def test_chunked_body_has_the_same_bound(service: Service, size: int) -> None:
    reply = only(service.raw(request_bytes(chunked(padded(size)), "transfer-encoding: chunked")))
    if size > MAX_BODY_BYTES:
        assert_error(reply, 413, "body_too_large")
    else:
        assert reply.status == 200


def send_for_ever(sock: ssl.SSLSocket, piece: bytes) -> float:
    """Send until the connection ends; how long that took."""
    began = time.monotonic()
    sock.settimeout(10)
    with suppress(OSError):  # reset or broken pipe, as it falls
        while time.monotonic() - began < 10:
            sock.sendall(piece)
    return time.monotonic() - began


def test_endless_body_is_cut_off(service: Service) -> None:
    with service.tls() as sock:
        head = request_bytes(b"", "transfer-encoding: chunked").replace(b"connection: close\r\n", b"")
        sock.sendall(head)
        assert send_for_ever(sock, b"10000\r\n" + b" " * 65536 + b"\r\n") < 8


def test_endless_trailer_is_cut_off(service: Service) -> None:
    with service.tls() as sock:
        sock.sendall(request_bytes(b"1\r\n{\r\n0\r\nx: ", "transfer-encoding: chunked"))
        assert send_for_ever(sock, b"a" * 65536) < 8


def test_many_header_lines_are_refused(service: Service) -> None:
    lines = [f"x-{n}: a" for n in range(2000)]
    assert_error(only(service.raw(request_bytes(BODY, LENGTH, *lines))), 431, "head_too_large")


def test_header_lines_at_their_bound(service: Service) -> None:
    lines = [f"x-{n}: a" for n in range(MAX_HEADER_LINES - 4)]
    assert only(service.raw(request_bytes(BODY, LENGTH, *lines))).status == 200
    assert_error(only(service.raw(request_bytes(BODY, LENGTH, "x: y", *lines))), 431, "head_too_large")


@pytest.mark.parametrize("where", ["value", "name", "path"])
def test_long_head_is_refused_whether_it_ends_or_not(service: Service, where: str) -> None:
    long = "a" * (MAX_HEAD_BYTES + 1)
    line = f"POST /v1/decide?{long} HTTP/1.1" if where == "path" else "POST /v1/decide HTTP/1.1"
    header = {"value": f"x: {long}", "name": f"{long}: x", "path": "x: y"}[where]
    whole = request_bytes(BODY, LENGTH, header, line=line)

    assert_error(only(service.raw(whole)), 431, "head_too_large")
    assert_error(only(service.raw(whole[: MAX_HEAD_BYTES + 100])), 431, "head_too_large")


# -- headers ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json5",
        "multipart/form-data; boundary=x",
    ],
)
def test_other_content_types_are_refused(service: Service, kind: str) -> None:
    assert_error(
        service.send(BODY, headers={"content-type": kind} if kind else {}), 415, "unsupported_media_type"
    )


@pytest.mark.parametrize(
    "kind", ["application/json", "APPLICATION/JSON; charset=utf-8", "application/json;x=y"]
)
def test_json_in_every_spelling_is_read(service: Service, kind: str) -> None:
    assert service.send(BODY, headers={"content-type": kind}).status == 200


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity", ""])
def test_compressed_bodies_are_refused(service: Service, encoding: str) -> None:
    headers = {**JSON, "content-encoding": encoding}
    assert_error(service.send(zlib.compress(BODY), headers=headers), 415, "unsupported_encoding")


@pytest.mark.parametrize("zeros", [17, 5000])
def test_a_length_of_thousands_of_digits_is_too_long(service: Service, zeros: int) -> None:
    """More digits than Python reads as a number; to the parser they are one, for they begin with zeros."""
    mark = service.mark()
    reply = only(service.raw(request_bytes(BODY, f"content-length: {'0' * zeros}{len(BODY)}")))
    if zeros < 20:
        assert reply.status == 200
    else:
        assert_error(reply, 413, "body_too_large")
    assert service.lines[mark:] == []


def test_accept_encoding_compresses_nothing(service: Service) -> None:
    reply = service.send(BODY, headers={**JSON, "accept-encoding": "gzip, br"})
    assert "content-encoding" not in reply.headers
    assert "server" not in reply.headers


# -- HTTP ------------------------------------------------------------------------------

NOT_HTTP: dict[str, bytes] = {
    "two lengths": request_bytes(BODY, LENGTH, "content-length: 7"),
    "length and chunks": request_bytes(chunked(BODY), LENGTH, "transfer-encoding: chunked"),
    "chunks and length": request_bytes(chunked(BODY), "transfer-encoding: chunked", LENGTH),
    "negative length": request_bytes(BODY, "content-length: -1"),
    "signed length": request_bytes(BODY, f"content-length: +{len(BODY)}"),
    "length past 64 bits": request_bytes(BODY, "content-length: 99999999999999999999999"),
    "hexadecimal length": request_bytes(BODY, "content-length: 0x10"),
    "other transfer encoding": request_bytes(BODY, "transfer-encoding: gzip"),
    "chunks not last": request_bytes(chunked(BODY), "transfer-encoding: chunked, gzip"),
    "a coding that nobody knows before chunks": request_bytes(
        chunked(BODY), "transfer-encoding: x", "transfer-encoding: chunked"
    ),
    "a coding that we do not know before chunks": request_bytes(
        chunked(BODY), "transfer-encoding: gzip, chunked"
    ),
    "chunks twice": request_bytes(chunked(BODY), "transfer-encoding: chunked", "transfer-encoding: chunked"),
    "chunks in HTTP/1.0": request_bytes(
        chunked(BODY), "transfer-encoding: chunked", line="POST /v1/decide HTTP/1.0"
    ),
    "bad chunk": request_bytes(b"zz\r\n{}\r\n0\r\n\r\n", "transfer-encoding: chunked"),
    "space before colon": request_bytes(BODY, LENGTH, "x-a : b"),
    "NUL in a header": request_bytes(BODY, LENGTH, "x-a: b\0c"),
    "folded header": request_bytes(BODY, LENGTH, "x-a: b", " c"),
    "garbage": b"\x16\x03\x01 hello\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    "HTTP/0.9": b"GET /docs\r\n\r\n",
    "HTTP/3.0": b"GET /docs HTTP/3.0\r\n\r\n",
    "unknown method": request_bytes(BODY, LENGTH, line="FROB /v1/decide HTTP/1.1"),
    "space in the target": request_bytes(BODY, LENGTH, line="POST /v1/decide /x HTTP/1.1"),
    "bytes beyond ASCII in the target": request_bytes(BODY, LENGTH, line="POST /v1/d\xe9cide HTTP/1.1"),
    "no host": request_bytes(BODY, LENGTH).replace(b"host: pdp\r\n", b""),
    "two hosts": request_bytes(BODY, LENGTH, "host: pdp"),
    "two hosts in HTTP/1.0": request_bytes(BODY, LENGTH, "Host: b", line="POST /v1/decide HTTP/1.0"),
    "no host in the host": request_bytes(BODY, LENGTH).replace(b"host: pdp", b"host: a b"),
    "a user in the host": request_bytes(BODY, LENGTH).replace(b"host: pdp", b"host: a@pdp"),
    "a path in the host": request_bytes(BODY, LENGTH).replace(b"host: pdp", b"host: pdp/v1"),
    "CONNECT": b"CONNECT pdp:443 HTTP/1.1\r\nhost: pdp:443\r\n\r\n",
}


@pytest.mark.parametrize("data", NOT_HTTP.values(), ids=NOT_HTTP.keys())
def test_what_is_not_http_ends_the_connection(service: Service, data: bytes) -> None:
    replies = parse_replies(service.raw(data, wait=5))

    assert replies
    assert_error(replies[0], 400, "invalid_http")
    assert len(replies) == 1


@pytest.mark.parametrize(
    ("version", "host"),
    [("1.0", b""), ("1.1", b"host:\r\n"), ("1.1", b"Host: [::1]:8443\r\n"), ("1.1", b"host: 127.0.0.1:\r\n")],
)
def test_host_is_one_and_nothing_rests_on_it(service: Service, version: str, host: bytes) -> None:
    data = request_bytes(BODY, LENGTH, line=f"POST /v1/decide HTTP/{version}")

    assert only(service.raw(data.replace(b"host: pdp\r\n", host))).json["decision"] == "allow"


def test_length_that_is_too_short_ends_the_connection(service: Service) -> None:
    data = request_bytes(BODY, f"content-length: {len(BODY) - 2}").replace(b"connection: close\r\n", b"")

    first, *rest = parse_replies(service.raw(data + b"\r\n\r\n", wait=5))
    assert_error(first, 400, "invalid_json")
    assert_only_ends(first, rest)


@pytest.mark.parametrize("upgrade", ["websocket", "h2c", "TLS/1.0"])
def test_no_other_protocol_is_spoken(service: Service, upgrade: str) -> None:
    asking = (
        f"upgrade: {upgrade}",
        "connection: upgrade",
        "sec-websocket-key: AA==",
        "sec-websocket-version: 13",
    )
    data = request_bytes(BODY, LENGTH, *asking).replace(b"connection: close\r\n", b"")

    replies = parse_replies(service.raw(data, wait=5))

    assert_error(replies[0], 400, "upgrade_refused")
    assert len(replies) == 1  # what stood in the body was not read as a request


@pytest.mark.parametrize("path", ["/v1/decide", "/decide", BATCH, "/decide/batch"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_questions_are_posted(service: Service, path: str, method: str) -> None:
    reply = service.send(BODY, path=path, method=method)

    assert_error(reply, 405, "method_not_allowed")
    assert reply.headers["allow"] == "POST"


def test_head_has_no_body(service: Service) -> None:
    reply = service.send(b"", path="/v1/decide", method="HEAD")
    assert (reply.status, reply.body) == (405, b"")


@pytest.mark.parametrize("path", ["/v1/decide", "/decide", "/v1/decide?a=b", "/v1/decide#x"])
def test_our_paths_have_one_spelling(service: Service, path: str) -> None:
    assert service.send(BODY, path=path).json["decision"] == "allow"


@pytest.mark.parametrize(
    "path",
    [
        "/", "//v1/decide", "/v1/decide/", "/v1//decide", "/v1%2fdecide", "/v1/decid%65", "/v1/decide%00",
        "/v1/./decide", "/x/../v1/decide", "/V1/decide", "/v1/decide;x", "/v1/decide/batch/",
        "/v1/decide/../decide", "/v1/decide%3f", "/redoc", "/docs/oauth2-redirect",
        "/health/live",
        "/%zz",
    ],
)  # fmt: skip
def test_other_spellings_of_our_paths_lead_nowhere(service: Service, path: str) -> None:
    assert_error(service.send(BODY, path=path), 404, "not_found")


# -- connections -----------------------------------------------------------------------


def test_pipelined_requests_are_answered_in_order(service: Service) -> None:
    bodies = [
        json.dumps(question(path=f"/v1/items/{n}" if n % 2 else "/v1/none")).encode() for n in range(20)
    ]
    requests = [
        request_bytes(body, f"content-length: {len(body)}").replace(b"connection: close\r\n", b"")
        for body in bodies
    ]
    requests[-1] = request_bytes(bodies[-1], f"content-length: {len(bodies[-1])}")

    replies = parse_replies(service.raw(b"".join(requests)))

    assert [reply.json["decision"] for reply in replies] == ["deny", "allow"] * 10


def test_garbage_after_pipelined_requests_is_the_end_of_them(service: Service) -> None:
    whole = request_bytes(BODY, LENGTH).replace(b"connection: close\r\n", b"")

    replies = parse_replies(service.raw(whole + whole + b"\0\0\0garbage\r\n\r\n" + whole, wait=5))

    first, second, *rest = replies
    assert [reply.json["decision"] for reply in (first, second)] == ["allow", "allow"]
    assert_only_ends(second, rest)


def test_request_in_single_bytes_is_read(service: Service) -> None:
    with service.tls() as sock:
        for byte in request_bytes(BODY, LENGTH):
            sock.sendall(bytes([byte]))
        assert only(raw(sock, b"")).json["decision"] == "allow"


@pytest.mark.parametrize("end", ["closed", "reset"])
@pytest.mark.parametrize("sent", [0, 10, 100, -10], ids=["nothing", "line", "head", "all but ten bytes"])
def test_connection_that_ends_midway_harms_nobody(service: Service, sent: int, end: str) -> None:
    sock = service.tls()
    sock.sendall(request_bytes(BODY, LENGTH)[:sent])
    time.sleep(0.05)  # it has been read, and more is waited for
    if end == "reset":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    time.sleep(0.05)


def test_connection_that_breaks_tls_harms_nobody(service: Service) -> None:
    plain = socket.create_connection(("127.0.0.1", service.port), 10)
    plain.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xff" * 600)
    plain.recv(100)
    plain.close()
    wrapped = service.tls()
    bare = socket.socket(fileno=wrapped.detach())
    bare.sendall(b"\x17\x03\x03\x00\x20" + b"\0" * 32)
    bare.settimeout(10)
    while bare.recv(4096):
        pass
    bare.close()


def test_expect_100_continue_is_answered_before_the_body(service: Service) -> None:
    head = request_bytes(b"", LENGTH, "expect: 100-continue")
    with service.tls() as sock:
        sock.settimeout(10)
        sock.sendall(head)
        assert sock.recv(100).startswith(b"HTTP/1.1 100 ")
        assert only(raw(sock, BODY)).json["decision"] == "allow"


def test_refused_expectation_never_asks_for_the_body(service: Service) -> None:
    head = request_bytes(b"", f"content-length: {MAX_BODY_BYTES + 1}", "expect: 100-continue")
    with service.tls() as sock:
        sock.settimeout(10)
        sock.sendall(head)
        assert sock.recv(100).startswith(b"HTTP/1.1 413 ")
