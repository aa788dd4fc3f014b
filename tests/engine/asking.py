"""Policy text to an index, and short ways to ask it, for tests of single rules of the engine."""

from collections.abc import Callable

from pdp.engine.decide import decide
from pdp.index.rule_index import RuleIndex
from pdp.principals import ANONYMOUS, Principal, dns_principal, spiffe_principal
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from pdp.store.snapshot import Snapshot
from pdp.vocabulary import AttributeValue, Decision, Millis, Request, User

__all__ = ["NOW", "SECOND", "ask", "decided", "index_of", "names", "snapshot_of", "who"]

NOW = 1_795_305_600_000  # 2026-11-22T00:00:00Z, a Sunday
SECOND = 1000
HEAD = """\
language 1
trust domain prod = "prod.test"
trust domain dev = "dev.test"
issuer corp = "https://corp.test"
"""


class Form:
    """What becomes of every snapshot: `conftest.py` has the tests of the engine asked in two forms."""

    of: Callable[[Snapshot], Snapshot] = staticmethod(lambda snapshot: snapshot)


def snapshot_of(*texts: str, head: str = HEAD) -> Snapshot:
    """The compiled form of files with these texts, the usual declarations before the first."""
    files = {f"f{number}.policy": f"language 1\n{text}".encode() for number, text in enumerate(texts[1:], 1)}
    files["f0.policy"] = (head + texts[0]).encode()
    loaded = Loader().load(make_bundle(files), now=NOW)
    assert loaded.snapshot is not None, loaded.diagnostics
    return Form.of(loaded.snapshot)


def index_of(*texts: str, head: str = HEAD) -> RuleIndex:
    """The index of files with these texts."""
    return snapshot_of(*texts, head=head).index


def who(text: str) -> Principal:
    """`prod/a/b` is a workload of `prod.test`, `dns:vm.test` a machine, `-` nobody."""
    if text == "-":
        return ANONYMOUS
    if text.startswith("dns:"):
        return dns_principal(text.removeprefix("dns:"))
    domain, _, path = text.partition("/")
    return spiffe_principal(f"spiffe://{domain}.test/{path}")


def ask(
    text: str,
    *,
    service: str = "s",
    user: User | None = None,
    now: Millis = NOW,
    supplied: frozenset[str] = frozenset(),
    context: dict[str, AttributeValue | None] | None = None,
) -> Request:
    """A question such as `prod/a GET /x`."""
    principal, method, path = text.split(" ", 2)
    return Request(
        principal=who(principal),
        service=service,
        method=method,
        path=path,
        now=now,
        user=user,
        context=context or {},
        supplied=supplied,
    )


def decided(index: RuleIndex, request: Request) -> tuple[str, str, tuple[str, ...]]:
    """Effect, reason, and the names of the deciding rules without their service."""
    decision = decide(index, request)
    return decision.effect.value, decision.reason.value, names(index, request.service, decision)


def names(index: RuleIndex, service: str, decision: Decision) -> tuple[str, ...]:
    """The names of the deciding rules without their service."""
    return tuple(index.rule(service, rule).name.rpartition("/")[2] for rule in decision.rules)
