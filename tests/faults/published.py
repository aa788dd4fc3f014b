"""Versions of a policy set, and the right answer to each question under each, known before anybody asks.

The answers are worked out in this process, by the engine alone. In each version some questions are
answered otherwise than in the one before, and all rules have names of their own: an answer of another
version, or of two at once, is never the right one.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from pdp.cli.batch import Asker
from pdp.identity.trust import load_trust
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from tests.e2e.running import ALICE, PARTNER, WEB, question

__all__ = ["BATCH", "BROKEN", "QUESTIONS", "VERSIONS", "Expected", "comparable", "policy"]

#: How many versions there are; when they are published in turn, each is also published again.
VERSIONS: Final = 4
BROKEN: Final = "language 1\n\nallow everyone\n"

_POLICY: Final = """\
language 1

trust domain prod = "prod.example.org"
trust domain partner = "partner.example.net"

service web.shop {{
    host "web.shop.example.com"

    allow prod/ns/shop/sa/* to GET /v1/items/{{id}} as read-{n}
        set header x-tier = "tier-{n}"
    allow prod/ns/shop/sa/alice to POST /v1/items, GET /v1/export as alice-{n}
    {even} prod/ns/shop/sa/* to GET /v1/even/** as even-{n}
    {odd} prod/ns/shop/sa/* to GET /v1/odd/** as odd-{n}
    deny anyone to any /v1/items/locked as locked-{n}
}}

service pay.shop {{
    {even} prod/ns/shop/sa/web to POST /v1/charges as charges-{n}
}}

caller prod/ns/pdp/sa/pep fronts any service
    may assert any principal of prod, any principal of partner
    may explain
"""

QUESTIONS: Final = (
    question(),
    question(path="/v1/items/locked"),
    question(path="/v1/even/a/b"),
    question(path="/v1/odd/a/b"),
    question(path="/v1/nothing"),
    question(path="/v1/items/%2e%2e/even/a"),
    question(path="/v1/export", principal=ALICE),
    question(path="/v1/even/x", principal=f"spiffe://{PARTNER}/ns/shop/sa/web"),
    question(service=..., host="web.shop.example.com:443", path="/v1/odd/x"),
    question(service="pay.shop", method="POST", path="/v1/charges", principal=WEB),
)
#: All of them at once: the number of this question is that of `QUESTIONS`.
BATCH: Final = {"questions": list(QUESTIONS)}

_SAID: Final = ("decision", "reason", "enforced", "rules", "region", "obligations", "valid_until", "reuse")


def policy(number: int) -> str:
    """The text of a version."""
    words = ("allow", "deny")
    return _POLICY.format(n=number, even=words[number % 2], odd=words[(number + 1) % 2])


def comparable(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What one version always says to one question: all but its id, its age and how long it may be kept."""
    return {name: answer[name] for name in _SAID}


class Expected:
    """The right answers, by the names that revisions have while these roots are trusted, or those."""

    def __init__(self, trusts: Iterable[Mapping[str, Path]]) -> None:
        self._answers: dict[str, list[dict[str, Any]]] = {}
        self.versions: dict[str, int] = {}
        digests = [load_trust(trust).digest for trust in trusts]
        for digest in digests:
            for number in range(VERSIONS):
                self._learn(digest, number)

    def _learn(self, digest: str, number: int) -> None:
        bundle = make_bundle({"main.policy": policy(number).encode()})
        loaded = Loader(circumstances=digest).load(bundle, now=0)
        assert loaded.snapshot is not None, loaded.diagnostics
        asker = Asker(snapshot=loaded.snapshot, supplied=frozenset(), at=None)
        lines = [json.dumps(each).encode() for each in QUESTIONS]
        answers = [json.loads(msgspec.json.encode(asker.answer_line(line))) for line in lines]
        self._answers[loaded.snapshot.revision] = [comparable(answer) for answer in answers]
        self.versions[loaded.snapshot.revision] = number

    def is_right(self, asked: int, body: Mapping[str, Any]) -> bool:
        """Whether an answer is exactly that of the revision that it names, which is one of ours."""
        if asked == len(QUESTIONS):
            answers = body["answers"]
            same = {answer.get("revision") for answer in answers}
            return (
                len(same) == 1
                and len(answers) == len(QUESTIONS)
                and all(self.is_right(number, answer) for number, answer in enumerate(answers))
            )
        known = self._answers.get(body["revision"].partition("~")[0])
        return known is not None and comparable(body) == known[asked]
