"""Documents are fetched over verified TLS, within bounds, and from where the settings say alone."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pdp.identity.fetch import FetchError, SourceUrl, fetch, is_forbidden, parse_source_url
from pdp.limits import MAX_TRUST_FILE_BYTES
from tests.identity.publishing import Publisher, drip, publishing, send


@pytest.fixture
def published(tmp_path: Path) -> Iterator[Publisher]:
    with publishing(tmp_path) as publisher:
        yield publisher


def refused(
    publisher: Publisher, url: str = "", seconds: float = 30, context: ssl.SSLContext | None = None
) -> str:
    with pytest.raises(FetchError) as caught:
        fetch(parse_source_url(url or publisher.url), context or publisher.context(), seconds=seconds)
    return str(caught.value)


# -- URLs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "host", "port", "target"),
    [
        ("https://a.example", "a.example", 443, "/"),
        ("https://a.example/k?x=1&y=%20", "a.example", 443, "/k?x=1&y=%20"),
        ("https://a.example:8443/keys", "a.example", 8443, "/keys"),
        ("https://10.0.0.1/keys", "10.0.0.1", 443, "/keys"),
        ("https://[2001:db8::1]:1/keys", "2001:db8::1", 1, "/keys"),
    ],
)
def test_a_url_is_taken_apart(text: str, host: str, port: int, target: str) -> None:
    assert parse_source_url(text) == SourceUrl(text=text, host=host, port=port, target=target)


@pytest.mark.parametrize(
    "text",
    [
        "", "a.example", "http://a.example/", "HTTPS://a.example/", "file:///etc/passwd", "https://",
        "https:///x",
        "https://u@a.example/", "https://u:p@a.example/", "https://a.example/#x", "https://a.example/ x",
        "https://a.example/\r\nx: y", "https://a.example\r\n", "https://a.example:0/",
        "https://a.example:65536/",
        "https://a.example:/", "https://a.example:x/", "https://\u00e9.example/",
        "https://a.example/\u00e9", "https://a.example?x",
        "https://A.example/", "https://a.example\\@b.example/", "https://[::1", "https://[fe80::1%25eth0]/",
    ],
)  # fmt: skip
def test_what_is_no_plain_https_url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"https|port"):
        parse_source_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1", "::a9fe:a9fe", "100.100.100.200", "168.63.129.16", "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254", "::ffff:100.100.100.200", "0.0.0.0", "::", "::ffff:0.0.0.0", "224.0.0.1", "ff02::1",  # noqa: S104 - to be refused
        "64:ff9b:1::a9fe:a9fe", "64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:1:ffff:ffff:ffff:808:808",
        "::ffff:0:169.254.169.254", "::ffff:0:100.100.100.200", "::ffff:0:0.0.0.0",
        "2001::1", "2001:0:a9fe:a9fe::1", "2001:0:808:808:0:0:5601:5601",
        "fd00:ec2::23", "0.0.0.1", "0.255.255.255", "::ffff:0.0.0.1", "2002:0:1::1", "64:ff9b::0.0.0.1",
        "::2",
    ],
)  # fmt: skip
def test_these_addresses_are_never_asked(text: str) -> None:
    assert is_forbidden(text)


@pytest.mark.parametrize(
    "text",
    [
        "10.1.2.3", "127.0.0.1", "192.168.0.1", "93.184.216.34", "2001:db8::1", "fd00::1", "::1", "1.0.0.1",
        "64:ff9b::10.1.2.3", "::ffff:0:10.1.2.3", "::ffff:10.1.2.3", "2001:1::1", "2001:4860::1",
        "64:ff9b:2::1", "fd00:ec2::22",
    ],
)  # fmt: skip
def test_others_may_be(text: str) -> None:
    """Issuers within a cluster have private addresses."""
    assert not is_forbidden(text)


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "0.0.0.0"])  # noqa: S104 - the same
def test_a_url_that_names_such_an_address_is_not_asked(published: Publisher, host: str) -> None:
    assert "is never asked" in refused(published, f"https://{host}:{published.port}/keys")


def test_a_name_that_leads_to_such_an_address_is_not_asked(
    published: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else it leads to: who answers for the name chooses the order."""
    good = socket.getaddrinfo("127.0.0.1", published.port, type=socket.SOCK_STREAM)
    bad = socket.getaddrinfo("169.254.169.254", published.port, type=socket.SOCK_STREAM)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: good + bad)

    assert "169.254.169.254, which is never asked" in refused(published)
    assert published.asked == []


# -- fetching --------------------------------------------------------------------------


def test_a_document_is_fetched_as_it_is(published: Publisher) -> None:
    published.document = b'{"keys":[]}'

    assert fetch(parse_source_url(published.url), published.context()) == b'{"keys":[]}'
    ((line, headers),) = published.asked
    assert line == "GET /keys HTTP/1.1"
    assert headers["Host"] == f"localhost:{published.port}"
    assert "authorization" not in {name.lower() for name in headers}


def test_no_proxy_is_asked(published: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    published.document = b"x"

    assert fetch(parse_source_url(published.url), published.context()) == b"x"


def test_a_server_is_verified_to_the_roots_and_by_its_name(published: Publisher, tmp_path: Path) -> None:
    assert "not who it should be" in refused(published, context=ssl.create_default_context())
    (tmp_path / "other").mkdir()
    with publishing(tmp_path / "other", dns=("other.example",), ips=("10.0.0.1",)) as other:
        assert "not who it should be" in refused(other)
        assert other.asked == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(published: Publisher, status: int) -> None:
    published.answer = lambda handler: send(handler, b"", status, location=f"{published.url}2")

    assert f"answered with {status}" in refused(published)
    assert len(published.asked) == 1


@pytest.mark.parametrize("status", [201, 204, 206, 400, 401, 404, 500, 503])
def test_anything_but_200_is_no_document(published: Publisher, status: int) -> None:
    published.answer = lambda handler: send(handler, b'{"keys":[]}' if status != 204 else b"", status)

    assert f"answered with {status}" in refused(published)


def test_a_document_has_a_bound(published: Publisher) -> None:
    published.document = b"x" * MAX_TRUST_FILE_BYTES
    assert (
        len(fetch(parse_source_url(published.url), published.context(), seconds=30)) == MAX_TRUST_FILE_BYTES
    )

    published.document += b"x"
    assert "more than" in refused(published)
    published.answer = lambda handler: send(
        handler, b"x" * (MAX_TRUST_FILE_BYTES + 1), content_length="", connection="close"
    )
    assert "more than" in refused(published)


def test_a_compressed_document_is_refused(published: Publisher) -> None:
    published.answer = lambda handler: send(handler, b"x", content_encoding="gzip")

    assert "compressed" in refused(published)


@pytest.mark.parametrize("politely", [True, False])
def test_a_document_that_is_cut_short_is_refused(published: Publisher, *, politely: bool) -> None:
    def half(handler) -> None:
        send(handler, b'{"keys":[]}', content_length="100")
        handler.close_connection = True
        if politely:
            with suppress(OSError):
                handler.connection.unwrap()  # an end of the connection that is no accident

    published.answer = half

    assert refused(published)


@pytest.mark.parametrize("piece", [b"", b"x: y\r\n", b"x"])
def test_a_slow_server_is_left_alone(published: Publisher, piece: bytes) -> None:
    published.answer = lambda handler: drip(handler, piece, 0.05)
    began = time.monotonic()

    assert refused(published, seconds=0.5)

    assert time.monotonic() - began < 20


def test_connecting_and_all_that_follows_share_one_deadline(published: Publisher) -> None:
    with socket.socket() as silent, socket.socket() as before:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        before.connect(silent.getsockname())  # until it is accepted there is no room for anybody else

        def accept() -> None:
            silent.accept()[0].close()

        room = threading.Timer(0.3, accept)
        room.start()
        began = time.monotonic()

        # The system tries again after a second, and is connected then.
        refused(published, f"https://localhost:{silent.getsockname()[1]}/", seconds=2)

        took = time.monotonic() - began
        room.join()
    assert 1.8 < took < 2.7


def test_a_server_that_does_not_speak_tls_is_left_alone(published: Publisher) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://localhost:{silent.getsockname()[1]}/"
        assert refused(published, url, seconds=0.3)
    assert refused(published, url)  # nobody is there any more


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx",
        b"HTTP/1.1 999999\r\n\r\n",
    ],
)
def test_what_is_no_answer_is_an_error(published: Publisher, answer: bytes) -> None:
    def write(handler) -> None:
        handler.wfile.write(answer)
        handler.close_connection = True

    published.answer = write

    assert refused(published).startswith(published.url)


def test_a_name_that_nobody_knows_is_an_error(published: Publisher) -> None:
    assert "cannot be resolved" in refused(published, "https://nobody.invalid/keys")
    assert "cannot be resolved" in refused(published, f"https://{'a' * 64}.invalid/keys")


def test_no_thread_and_no_socket_stays(published: Publisher) -> None:
    published.document = b"x"
    fetch(parse_source_url(published.url), published.context())
    before = threading.active_count()

    for _ in range(5):
        fetch(parse_source_url(published.url), published.context())

    deadline = time.monotonic() + 20
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before
