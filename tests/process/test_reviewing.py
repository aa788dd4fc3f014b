"""A cluster whose roots are gone when a process starts proves nothing there, and keeps none from starting."""

import asyncio
import time
from pathlib import Path

import pytest

from pdp.config.tokens import token_trust
from pdp.identity.tokens.issuer import TokenProfile
from pdp.limits import REVIEW_FAILURES
from pdp.process.answering import make_verifier
from pdp.service.metrics import Metrics
from pdp.service.proof import Presented
from pdp.vocabulary import EvidenceKind
from tests.config.test_clusters import REVIEW, table
from tests.config.test_tokens import settings
from tests.identity.clusters import CLUSTER, pod_claims
from tests.identity.test_service_account import HEADER, KEY
from tests.identity.tokens import token


async def _no_keys(_: TokenProfile, __: str, ___: str | None) -> None:
    raise AssertionError


@pytest.mark.parametrize(
    ("content", "why"), [(None, "cannot be read"), (b"", "there are no certificates in it")]
)
def test_a_process_starts_without_the_roots_of_a_cluster(
    tmp_path: Path, content: bytes | None, why: str
) -> None:
    roots, said = tmp_path / "roots.pem", list[str]()
    if content is not None:
        roots.write_bytes(content)
    given = settings(table(*REVIEW, f'review_ca_file = "{roots}"'))
    trust = token_trust(given)[0]

    verifier = make_verifier(given, None, trust.now, _no_keys, said.append, Metrics())

    async def look(number: int) -> list[bool]:
        text = token(HEADER, pod_claims(now=int(time.time()), jti=str(number)), KEY)
        return await verifier.look([Presented(kind=EvidenceKind.JWT_SVID, text=text)], "web")

    async def test() -> None:
        for number in range(REVIEW_FAILURES):
            assert await look(number) == [False]

    asyncio.run(test())
    (line,) = said
    assert f"the cluster {CLUSTER} does not review tokens: `review_ca_file` cannot be used: " in line
    assert why in line
