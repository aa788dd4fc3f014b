"""Confirmations on their way to workers: none is taken for one of another version."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from pdp.config.model import Settings
from pdp.identity.quarantine.lists import NOBODY
from pdp.identity.tokens.issuer import TokenTrust
from pdp.process.desk import Desk
from pdp.process.messages import Begin
from pdp.process.panel import Panel
from pdp.process.parcel import Believed
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from pdp.store.versions import Published

NOW = 1_800_000_000_000
CALLER = "spiffe://prod.example.org/x"
SETTINGS = {
    "policies": {"path": "p"},
    "http": {"plaintext": True, "listen": "127.0.0.1:0"},
    "local": {"caller": CALLER},
}


def version(number: int) -> Published:
    text = f'language 1\ntrust domain prod = "prod.example.org"\nservice s{number} {{}}\n'
    snapshot = Loader().load(make_bundle({"a.policy": text.encode()}), now=NOW).snapshot
    assert snapshot is not None
    return Published(snapshot=snapshot, number=number)


@pytest.fixture
def first() -> Published:
    return version(1)


async def nobody_looks(*_: object) -> None:
    """There is no token."""


@pytest.fixture
def desk(first: Published) -> Iterator[Desk]:
    """What a worker answers with, put together as in one."""
    with ExitStack() as held, socket.create_server(("127.0.0.1", 0)) as listener:
        panel = Panel.make(2)
        held.callback(os.close, panel.file)
        begin = Begin(slot=0, slots=2, grpc="", digest_key=b"")
        files = (os.dup(listener.fileno()), os.dup(panel.file))
        held.callback(os.close, files[1])
        settings = Settings.model_validate(SETTINGS)
        yield Desk(
            begin, files, None, settings, first,
            believed=lambda: Believed(TokenTrust(), NOBODY), look=nobody_looks, say=print, held=held,
        )  # fmt: skip


def test_one_of_the_version_that_is_served_counts(desk: Desk, first: Published) -> None:
    desk.go(NOW)

    desk.confirm(1, NOW + 500)

    assert first.confirmed.at == NOW + 500


def test_one_of_the_version_before_says_nothing_of_the_one_that_is_served(
    desk: Desk, first: Published
) -> None:
    """It was sent when all had changed over, and whoever publishes had not yet."""
    second = version(2)
    desk.go(NOW)
    desk.prepare(second)
    asyncio.run(_change_over(desk))

    desk.confirm(1, NOW + 500)

    assert (first.confirmed.at, second.confirmed.at) == (NOW, NOW + 60_000)


async def _change_over(desk: Desk) -> None:
    await desk.hold()
    desk.go(NOW + 60_000)
