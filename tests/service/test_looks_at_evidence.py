"""Before a batch waits for keys or clusters, each of its tokens is looked at once, and others have turns."""

import asyncio

from pdp.identity.tokens.issuer import TokenIssuer, TokenProfile
from pdp.service.asked_cluster import Reviewing
from pdp.service.evidence import Verifier
from pdp.service.key_looks import KeyLooks
from pdp.service.known_tokens import KnownTokens
from pdp.service.proof import Presented
from pdp.service.reviews import Reviews
from pdp.vocabulary import EvidenceKind
from tests.identity.test_service_account import HEADER, OTHER, REVIEWED, UNSIGNED, cluster, pod
from tests.identity.tokens import NOW, trust


class World:
    """One cluster, and what is counted."""

    def __init__(self, *issuers: TokenIssuer) -> None:
        self.counted: list[str] = []
        self.asked: list[str] = []
        self.trust = trust(*issuers)
        self.newer = trust(*issuers)
        reviews = Reviews({REVIEWED.name: Reviewing(self.ask, 10_000)}, clock=lambda: NOW, say=lambda _: None)
        self.tokens = KnownTokens(lambda: self.trust, reviews=reviews.find, count=self.counted.append)
        self.verifier = Verifier(
            tokens=self.tokens,
            looks=KeyLooks(self.find_keys),
            reviews=reviews,
            chains=None,
            clock=lambda: NOW,
        )

    def ask(self, text: str, _: str) -> str:
        self.asked.append(text)
        return ""

    async def find_keys(self, _: TokenProfile, __: str, ___: str | None) -> None:
        self.trust = self.newer

    async def look(self, *texts: str) -> list[bool]:
        shown = [Presented(kind=EvidenceKind.JWT_SVID, text=text) for text in texts]
        return await self.verifier.look(shown, "web")


def test_a_token_that_stands_many_times_in_a_batch_is_looked_at_once() -> None:
    world, one, other = World(UNSIGNED), pod(jti="one"), pod(jti="other")

    looked = asyncio.run(world.look(*[one] * 100, other, "x", *[one] * 20))

    assert looked == [True] * 101 + [False] + [True] * 20
    assert world.counted == ["refused"] * 3
    assert sorted(world.asked) == sorted([one, other])


def test_others_have_their_turn_between_two_tokens() -> None:
    world, turns = World(UNSIGNED), 0

    async def test() -> None:
        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        running = asyncio.create_task(others())
        await world.look(*(f"x{number}" for number in range(50)))
        running.cancel()

    asyncio.run(test())
    assert turns >= 50


def test_a_token_by_a_new_key_is_asked_about_once_the_key_is_there() -> None:
    world = World(REVIEWED)
    assert REVIEWED.cluster is not None
    world.newer = trust(cluster(OTHER.named("two"), cluster=REVIEWED.cluster))
    text = pod(HEADER | {"kid": "two"}, OTHER)

    assert asyncio.run(world.look(text)) == [True]

    assert world.asked == [text]
    assert world.tokens.find(text, NOW).principal is not None
