"""While the PDP is away, slow or somebody else, nothing arrives, and clients are told so at once."""

from collections.abc import Sequence

from tests.e2e.proxies.client import get
from tests.e2e.proxies.edges import Edge
from tests.e2e.proxies.impostors import impostor
from tests.e2e.proxies.samples import SOON
from tests.e2e.running import DEADLINE

PATHS = ("/v1/charges/41", "/v1/charges/42", "/admin/users")


def refused_within(edge: Edge, seconds: float, paths: Sequence[str] = PATHS) -> None:
    """Mostly: the machine may be busy for a moment, and one of three may take it."""
    took = []
    for path in paths:
        answer, arrived = edge.send(get(path), wait=seconds + 5)
        assert arrived == []
        assert answer.status in edge.sample.unavailable, answer
        took.append(answer.seconds)
    assert sorted(took)[len(took) // 2] < seconds, took


def test_while_the_pdp_does_not_answer_nothing_arrives(edge: Edge) -> None:
    """Over the connections that it has, and over new ones."""
    edge.allowed()

    with edge.frozen_pdp():
        refused_within(edge, edge.sample.slow, PATHS if edge.sample.slow <= SOON else PATHS[:1])

    assert edge.until_allowed() < DEADLINE


def test_while_the_pdp_is_away_or_somebody_else_is_there_nothing_arrives(edge: Edge) -> None:
    """Somebody with another name and the right authority, and the other way round: both are told nothing."""
    edge.allowed()

    edge.stop_pdp()
    try:
        refused_within(edge, SOON)
        for name in ("elsewhere", "impostor"):
            with impostor(edge, name) as said:
                refused_within(edge, SOON)
            assert said == []
    finally:
        edge.start_pdp()

    assert edge.until_allowed() < DEADLINE
