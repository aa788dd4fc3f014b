"""What becomes of a question: settled under one version, and then answered at one instant.

What is settled holds as long as its version is served and its decision is valid, so it may be answered again
(`pdp.adapters.remembered`). Everything that the clock, the quarantine or the age of the version has a say in
is part of the answer alone.
"""

from typing import NamedTuple

from pdp.identity.quarantine.entries import Entry
from pdp.service.proof import Proof
from pdp.store.versions import Published
from pdp.vocabulary import Decision, Millis, Request

__all__ = ["Answered", "Seen", "Settled"]


class Seen(NamedTuple):
    """What a proxy asks about, and what it can know of that.

    Attributes:
        families: Families of attributes of which it has all that there are: of these alone what is not given
            is absent, and only where its entry supplies them. Others are neither there nor absent.
        everything: Whether it asks about all requests that could come over a connection: allowed only where
            the answer holds for every method and path, whatever these say.
    """

    families: frozenset[str]
    everything: bool = False


class Settled(NamedTuple):
    """A permitted question, decided under one version.

    Attributes:
        request: The request as it was decided, the caller's supplied families included.
        decision: The decision; at and after its `valid_until` it has to be made anew.
        published: The version.
        proof: What the question's evidence proved.
        may_explain: Whether the caller may learn more of rules than their names and places.
    """

    request: Request
    decision: Decision
    published: Published
    proof: Proof
    may_explain: bool


class Answered(NamedTuple):
    """An answer, given at one instant.

    Attributes:
        settled: What it rests on.
        decision: The decision, with all that the instant has to do with it.
        decision_id: The answer's name.
        now: The instant.
        age_seconds: How long ago the source last confirmed the version.
        max_age_ms: The operator's limit on reuse, the expiry of the caller and of evidence, and what is
            left until the version is stale.
        quarantined: The entry for which it was denied, if it was.
    """

    settled: Settled
    decision: Decision
    decision_id: str
    now: Millis
    age_seconds: int
    max_age_ms: Millis
    quarantined: Entry | None

    @property
    def request(self) -> Request:
        """The request as it was decided."""
        return self.settled.request

    @property
    def published(self) -> Published:
        """The version."""
        return self.settled.published

    @property
    def may_explain(self) -> bool:
        """Whether the caller may learn more of rules than their names and places."""
        return self.settled.may_explain
