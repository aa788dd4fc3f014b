"""Bundles that endpoints tell: delivered again and again until all have them, and failures told once."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pdp.config.federation import FederationSettings
from pdp.counters import Counters
from pdp.identity.bundle import LiveBundles
from pdp.identity.federation.endpoint import EndpointProfile
from pdp.identity.trust import TrustStore
from pdp.process.cannot_start import CannotStartError
from pdp.process.federation import Federation
from pdp.service.metrics import Metrics
from tests.e2e.running import until
from tests.identity.federating import PARTNER, document, root, root_entry
from tests.identity.publishing import Publisher, publishing, send

ROOT = root()
NOTHING = TrustStore(domains={})


class World:
    """An endpoint that tells of two trust domains, and others to whom a bundle can be handed on, or not."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher
        self.publisher.document = document(root_entry(ROOT), sequence=1, hint=1)
        given = FederationSettings(
            endpoint_url=publisher.url, profile=EndpointProfile.HTTPS_WEB, ca_file=publisher.roots
        )
        self.said: list[str] = []
        self.live = LiveBundles([PARTNER, "other.example"])
        self.metrics = Metrics(Counters())
        self.federation = Federation(
            {PARTNER: given, "other.example": given}, None, NOTHING, self.live,
            metrics=self.metrics, say=self.said.append,
        )  # fmt: skip
        self.fails = False
        self.handed_on = 0
        self.live.on_change(self.changed)

    def changed(self) -> None:
        if self.fails:
            raise OSError("too many open files")
        self.handed_on += 1

    @property
    def is_refused(self) -> bool:
        return self.metrics.counts().refused_files["federation"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with publishing(tmp_path) as publisher:
        yield World(publisher)


def broken(handler: Any) -> None:
    send(handler, b"", 503)


def test_what_an_endpoint_tells_is_delivered_once(world: World) -> None:
    with world.federation.follow():
        until(lambda: len(world.publisher.asked) > 5)

    assert world.handed_on == 2
    assert {name: each.roots for name, each in world.live.now().items()} == {
        PARTNER: (ROOT.certificate,), "other.example": (ROOT.certificate,)
    }  # fmt: skip
    assert (world.said, world.is_refused) == ([], False)
    assert world.metrics.counts().renewals["federation", "accepted"] == 2


def test_what_could_not_be_handed_on_is_handed_on_later(world: World) -> None:
    world.fails = True
    with world.federation.follow():
        until(lambda: len(world.said) == 2)
        assert all("too many open files" in text for text in world.said)
        assert world.is_refused
        world.fails = False
        until(lambda: len(world.said) == 4)

    assert world.handed_on == 2
    assert not world.is_refused


def test_a_failure_is_told_once_and_counts_until_the_last_one_is_mended(world: World) -> None:
    with world.federation.follow():
        until(lambda: world.handed_on == 2)
        world.publisher.answer = broken
        until(lambda: len(world.said) == 2)
        asked = len(world.publisher.asked)
        until(lambda: len(world.publisher.asked) > asked + 3)
        assert len(world.said) == 2
        assert world.is_refused
        world.publisher.answer = world.publisher.publish
        until(lambda: len(world.said) == 4)

    assert not world.is_refused
    assert world.metrics.counts().renewals["federation", "rejected"] == 2
    assert {re.sub(r"https://\S+:", "URL:", text) for text in world.said} == {
        f"the bundle of {name} is {said}"
        for name in (PARTNER, "other.example")
        for said in (
            "not as its endpoint has it: URL: it is answered with 503",
            "as its endpoint has it again",
        )
    }


def test_what_fails_now_in_this_way_and_now_in_that_is_told_now_and_then(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses = itertools.cycle([500, 500, 503, 503])
    world.publisher.answer = lambda handler: send(handler, b"", next(statuses))
    with monkeypatch.context() as patched:
        patched.setattr("pdp.identity.federation.followed.FIRST_BUNDLE_SECONDS", 1)
        with world.federation.follow():
            until(lambda: len(world.publisher.asked) > 7)
            assert len(world.said) == 2
    assert world.metrics.counts().renewals["federation", "rejected"] == 2


def test_what_is_strange_about_a_bundle_is_told_once(world: World) -> None:
    world.publisher.document = document(sequence=1, hint=1)
    with world.federation.follow():
        until(lambda: len(world.publisher.asked) > 5)

    assert sorted(world.said) == sorted(
        f"warning: {name}: its bundle is empty: all that it vouched for is revoked"
        for name in (PARTNER, "other.example")
    )


def test_a_defect_ends_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*_: object) -> None:
        raise RuntimeError("oops")

    with monkeypatch.context() as patched:
        patched.setattr("pdp.identity.federation.followed.read_bundle_document", defect)
        with world.federation.follow():
            until(lambda: len(world.said) == 2)
            assert all("a defect of pdp: RuntimeError: oops" in text for text in world.said)
            patched.undo()
            until(lambda: world.handed_on == 2)


def test_a_file_that_is_gone_keeps_the_service_from_starting(tmp_path: Path) -> None:
    given = FederationSettings(
        endpoint_url="https://x.example/", profile=EndpointProfile.HTTPS_WEB, ca_file=tmp_path / "gone.pem"
    )
    with pytest.raises(CannotStartError, match="`federation`"):
        Federation({PARTNER: given}, None, NOTHING, LiveBundles([PARTNER]), metrics=Metrics(), say=print)
