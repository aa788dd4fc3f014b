"""pdp's decision itself, by the index as it is built and by its image; nothing is remembered."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from loadtests.bench.peers.inside import Ask
from loadtests.bench.peers.pdp_policies import policies
from loadtests.bench.peers.rules import Question, rules
from pdp.engine.decide import decide
from pdp.index.rule_index import RuleIndex
from pdp.principals import spiffe_principal
from pdp.process.images import ImageShelf, Unpacker
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from pdp.store.snapshot import Snapshot
from pdp.vocabulary import FAMILIES, Effect, Request

__all__ = ["INDEX", "loaded", "prepare", "works"]

INDEX: Final = "pdp decide()"
IMAGE: Final = "pdp decide(), image"
WORKS: Final = (INDEX, IMAGE)
NOW: Final = 1_767_225_600_000


def loaded(count: int) -> Snapshot:
    """The compiled form of so many rules."""
    texts = policies(rules(count))
    found = Loader().load(make_bundle({path: text.encode() for path, text in texts.items()}), now=NOW)
    assert found.snapshot is not None, found.diagnostics
    return found.snapshot


def prepare(question: Question) -> Request:
    """The question as the service makes it of what it was sent."""
    return Request(
        principal=spiffe_principal(question.principal),
        service=question.service,
        method=question.method,
        path=question.path,
        now=NOW,
        supplied=FAMILIES,
    )


def works(count: int, names: Sequence[str]) -> dict[str, tuple[Ask, Callable[[Question], Any]]]:
    """Both, of one compiled set."""
    snapshot = loaded(count)
    found = {}
    if INDEX in names:
        found[INDEX] = (by(snapshot.index), prepare)
    if IMAGE in names:
        found[IMAGE] = (by(Unpacker().unpack(ImageShelf().pack(snapshot).files).index), prepare)
    return found


def by(index: RuleIndex) -> Ask:
    """Ask this index."""
    return lambda request: decide(index, request).effect is Effect.ALLOW
