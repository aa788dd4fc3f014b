"""What becomes of tokens is counted by all workers together."""

import re
from pathlib import Path

from tests.e2e.evidencing import evidencing, svid
from tests.e2e.running import PEP, Pki


def test_tokens_are_counted_by_what_became_of_them(pki: Pki, tmp_path: Path) -> None:
    with evidencing(pki, tmp_path, "--workers", "2", settings=f'[metrics]\nreaders = ["{PEP}"]\n') as at:
        token = svid()
        for _ in range(6):
            assert at.ask(principal={"jwt": token}).json["decision"] == "allow"
        assert at.ask(principal={"jwt": token[:-4] + "AAAA"}).code == "evidence_refused"
        page = at.service.send("", path="/metrics", method="GET").body.decode()

    rows = re.findall(r'^pdp_token_verifications_total\{outcome="(\w+)"\} (\S+)$', page, re.MULTILINE)
    found = {outcome: int(float(count)) for outcome, count in rows}
    assert found["cached"] + found["verified"] == 6
    assert 1 <= found["verified"] <= 2  # once in each worker that was asked
    assert found["refused"] >= 1
