"""Keys of tokens that change: handed on to all, again and again until that is done, and told after it."""

from pathlib import Path

import pytest

from pdp.config.model import Settings
from pdp.counters import Counters
from pdp.identity.tokens.issuer import TokenProfile
from pdp.process.token_keys import TokenKeys
from pdp.service.metrics import Metrics
from tests.e2e.evidencing import key_set
from tests.e2e.running import PROD, until
from tests.e2e.trusting import replace


class World:
    """Keys of one trust domain in a file, and others to whom a change may be handed on, or not."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "bundle.json"
        self.write("one")
        bundle = {"audiences": ["us"], "bundle_file": str(self.file)}
        settings = Settings.model_validate({"policies": {"path": "p"}, "jwt_bundles": {PROD: bundle}})
        self.said: list[str] = []
        self.keys = TokenKeys(settings, Metrics(Counters()), self.said.append)
        self.fails = False
        self.handed_on: list[str] = []

    def write(self, name: str) -> None:
        replace(self.file, key_set((name, 0), use="jwt-svid"))

    def changed(self) -> None:
        if self.fails:
            raise OSError("too many open files")
        self.handed_on.append(self.name)

    @property
    def name(self) -> str:
        (key,) = self.keys.trust.bundles[PROD].keys.keys
        return str(key.key_id)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_change_is_handed_on_once_and_told(world: World) -> None:
    with world.keys.follow(world.changed):
        world.write("two")
        until(lambda: world.said)

    assert world.handed_on == ["two"]
    assert world.said == [f"the keys of {PROD} changed"]


def test_what_could_not_be_handed_on_is_handed_on_later_and_told_then(world: World) -> None:
    world.fails = True
    with world.keys.follow(world.changed):
        world.write("two")
        until(lambda: any("not as their files are" in text for text in world.said))
        assert world.name == "two"  # here nobody is believed by the old one any more
        assert not any("changed" in text for text in world.said)
        world.fails = False
        until(lambda: world.handed_on)
        until(lambda: f"the keys of {PROD} changed" in world.said)

    assert world.handed_on == ["two"]


def test_what_changed_before_anybody_followed_is_handed_on_by_those_who_do(world: World) -> None:
    world.write("two")
    world.keys._consider({world.file: world.file.read_bytes()})
    assert world.handed_on == []

    with world.keys.follow(world.changed):
        assert world.handed_on == ["two"]


def test_nobody_else_is_looked_for(world: World) -> None:
    world.keys.look(TokenProfile.OIDC, "https://nobody.example", "x")
    world.keys.look(TokenProfile.SPIFFE, PROD, "x")

    assert world.said == []
