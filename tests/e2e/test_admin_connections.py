"""Connections of those who administer: nobody keeps others out by holding some."""

import http.client
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pdp.limits import MAX_ADMIN_CONNECTIONS, MAX_ADMIN_CONNECTIONS_PER_CALLER
from tests.e2e.quarantining import ADMINS, Quarantining, entry, quarantining
from tests.e2e.running import Pki, raw, send, until

LIST = "/v1/quarantine"


@pytest.fixture
def found(pki: Pki, tmp_path: Path) -> Iterator[Quarantining]:
    with quarantining(pki, tmp_path) as running:
        yield running


def held(found: Quarantining, who: str, count: int, stack: ExitStack) -> list[http.client.HTTPSConnection]:
    """Connections of an admin that are made, and ask nothing."""
    made = []
    for _ in range(count):
        connection = found.connect(who)
        stack.callback(connection.close)
        connection.connect()
        made.append(connection)
    return made


def told(found: Quarantining, text: str) -> int:
    """How often the service has said something."""
    found.at.service.wait_line(text)
    time.sleep(0.3)  # for one that should not come
    return found.at.service.log.count(text)


def listed(connection: http.client.HTTPSConnection) -> int:
    return send(connection, b"", path=LIST, method="GET").status


@pytest.mark.parametrize("who", ["nobody", "both", "adder"])
def test_idle_connections_of_one_keep_nobody_else_out(found: Quarantining, who: str) -> None:
    with ExitStack() as stack:
        lifter = found.connect("lifter")
        stack.callback(lifter.close)
        assert listed(lifter) == 200
        if who == "both":
            found.put(entry(spiffe_id=ADMINS["both"]))
            found.until_in_force()
        held(found, who, 2 * MAX_ADMIN_CONNECTIONS, stack)

        own = lifter.sock
        assert listed(lifter) == 200
        assert lifter.sock is own  # the same connection: it was not taken away
        assert found.admin("lifter").status == 200


def test_one_has_a_quarter_of_the_connections_and_the_newest_are_kept(found: Quarantining) -> None:
    assert MAX_ADMIN_CONNECTIONS_PER_CALLER * 4 == MAX_ADMIN_CONNECTIONS
    with ExitStack() as stack:
        made = held(found, "adder", MAX_ADMIN_CONNECTIONS_PER_CALLER + 3, stack)
        time.sleep(0.5)

        assert all(map(gone, made[:3]))
        for connection in made[3:]:
            own = connection.sock
            assert (listed(connection), connection.sock is own) == (200, True)


def gone(connection: http.client.HTTPSConnection) -> bool:
    connection.sock.settimeout(1)
    try:
        return connection.sock.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_one_whose_places_are_all_busy_is_told_so(found: Quarantining) -> None:
    head = (
        f"POST {LIST} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
    )
    with ExitStack() as stack:
        for each in held(found, "adder", MAX_ADMIN_CONNECTIONS_PER_CALLER, stack):
            each.sock.sendall(head.encode())
        time.sleep(0.5)

        (more,) = held(found, "adder", 1, stack)

        assert b'"too_many_connections"' in raw(more.sock, b"", 2)
        assert found.admin("lifter").status == 200


def test_who_may_nothing_is_told_so_once_and_is_closed(found: Quarantining) -> None:
    connection = found.connect("nobody")
    connection.connect()
    twice = f"GET {LIST} HTTP/1.1\r\nhost: x\r\n\r\n".encode() * 2

    received = raw(connection.sock, twice, 5)

    connection.close()
    assert received.count(b"HTTP/1.1 403 ") == 1
    assert b"connection: close" in received
    assert told(found, "refused spiffe://ops.example.org/people/nobody") == 1


def test_who_may_nothing_and_asks_nothing_is_closed_soon(found: Quarantining) -> None:
    connection = found.connect("nobody")
    connection.connect()

    began = time.monotonic()
    until(lambda: gone(connection), 8)

    assert time.monotonic() - began < 5
    connection.close()


def test_who_is_quarantined_on_an_open_connection_is_told_so_and_closed(found: Quarantining) -> None:
    connection = found.connect("both")
    assert listed(connection) == 200
    found.put(entry(spiffe_id=ADMINS["both"]))
    found.until_in_force()

    received = raw(connection.sock, f"GET {LIST} HTTP/1.1\r\nhost: x\r\n\r\n".encode() * 2, 5)

    connection.close()
    assert received.count(b"caller_quarantined") == 1
    assert told(found, "which is quarantined") == 1
