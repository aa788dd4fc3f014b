"""What is said ahead of an end, and after it: each once, and again of what is renewed."""

import pytest

from pdp.identity.expiry import Ending, endings, ends
from pdp.identity.trust import DNS, TrustStore
from pdp.process.expiring import Expiring
from tests.e2e.running import until
from tests.identity.mint import DAY, DOMAIN, NOW, authority, leaf
from tests.identity.revoking import crl

HOUR = 3_600_000
WEEK = 7 * 24 * HOUR
T = 1_800_000_000_000


class World:
    """Things that are held, and what was said of them."""

    def __init__(self) -> None:
        self.held: list[Ending] = []
        self.said: list[str] = []
        self.expiring = Expiring(lambda: self.held, say=self.said.append)

    def look(self, now: int) -> list[str]:
        """What is said at this look."""
        self.said.clear()
        self.expiring.look(now)
        return [text.removeprefix("warning: ") for text in self.said]


def thing(lives: int, *, what: str = "the thing", begins: int = T, told: bool = True) -> Ending:
    return Ending("thing", what, begins, begins + lives, "nothing works", told=told)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("lives", "ahead"), [(3 * HOUR, HOUR), (21 * 24 * HOUR, WEEK), (300 * 24 * HOUR, WEEK)]
)
def test_it_is_said_a_third_of_the_lifetime_ahead_but_not_more_than_a_week(
    world: World, lives: int, ahead: int
) -> None:
    world.held = [thing(lives)]
    end = T + lives

    assert world.look(T) == world.look(end - ahead) == []
    (said,) = world.look(end - ahead + 1)
    assert said.startswith("the thing ends at 2027-")
    assert world.look(end - ahead + 2) == world.look(end) == []
    (said,) = world.look(end + 1)
    assert said.startswith("the thing has ended at 2027-")
    assert said.endswith(": nothing works")
    assert world.look(end + HOUR) == []


def test_what_is_renewed_is_another_thing(world: World) -> None:
    world.held = [thing(3 * HOUR)]
    assert len(world.look(T + 3 * HOUR)) == 1

    world.held = [thing(3 * HOUR, begins=T + 3 * HOUR)]

    assert world.look(T + 4 * HOUR) == []
    assert len(world.look(T + 6 * HOUR)) == 1


def test_a_clock_that_is_set_back_repeats_nothing(world: World) -> None:
    world.held = [thing(3 * HOUR)]
    assert len(world.look(T + 3 * HOUR)) == 1

    assert world.look(T) == world.look(T + 3 * HOUR) == []


def test_what_had_ended_when_it_was_loaded_is_told_by_whoever_loaded_it(world: World) -> None:
    world.held = [thing(HOUR), thing(HOUR, what="ours", told=False)]

    (said,) = world.look(T + 2 * HOUR)

    assert said.startswith("ours has ended")


def test_each_is_looked_at_by_itself(world: World) -> None:
    world.held = [thing(3 * HOUR, what="one"), thing(30 * HOUR, what="two"), thing(3 * HOUR, what="three")]

    assert [text.split()[0] for text in world.look(T + 3 * HOUR)] == ["one", "three"]


def test_several_may_hold_something() -> None:
    said: list[str] = []
    Expiring(lambda: [thing(HOUR, what="one")], lambda: [thing(HOUR, what="two")], say=said.append).look(
        T + HOUR
    )

    assert len(said) == 2


def test_our_certificate_each_root_and_each_list_are_held() -> None:
    root, hosts = authority("root", uris=[f"spiffe://{DOMAIN}"]), authority("hosts", end=NOW + 2 * DAY)
    trust = TrustStore(
        domains={DOMAIN: (root.certificate,)},
        dns=(hosts.certificate,),
        crls={DOMAIN: (crl(root),), DNS: (crl(hosts, end=NOW + 3 * DAY),)},
    )

    found = {each.name: each for each in endings(leaf(root).pem, trust)}

    names = {f"{kind} 0 of {of}" for kind in ("root", "crl") for of in (DOMAIN, "DNS identities")}
    assert found.keys() == {"server", *names}
    assert found["root 0 of DNS identities"].ends == round((NOW + 2 * DAY).timestamp() * 1000)
    assert found["crl 0 of DNS identities"].ends == round((NOW + 3 * DAY).timestamp() * 1000)
    assert found[f"crl 0 of {DOMAIN}"].what == f"the revocation list of `CN=root`, of `{DOMAIN}`,"
    assert dict(ends(leaf(root).pem, trust)) == {name: each.ends for name, each in found.items()}


def test_a_look_that_fails_is_told_and_the_next_one_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdp.process.expiring.EXPIRY_LOOK_SECONDS", 0.01)
    looks: list[int] = []
    said: list[str] = []

    def held() -> list[Ending]:
        looks.append(1)
        if len(looks) < 3:
            raise OSError("gone")
        return [thing(HOUR)]

    with Expiring(held, say=said.append).follow(lambda: T + HOUR):
        until(lambda: len(said) > 1)

    assert "defect of pdp: OSError: gone" in said[0]
    assert said[1].startswith("warning: the thing ends at")
