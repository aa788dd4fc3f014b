"""The corpus of paths, sent as raw bytes through a proxy; and whether anything denied got through."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.e2e.proxies.client import HOST, get
from tests.e2e.proxies.edges import WEB, Edge
from tests.e2e.proxies.over_http2 import MOST, ask
from tests.e2e.proxies.readings import Denied, readings

__all__ = ["FOLDING", "MORE", "TARGETS", "Crossing", "bypasses", "cross", "cross_over_http2"]

FOLDING: Final = "folding.example.com"
# A backend that ignores the case of letters, beside the service of the sample.
MORE: Final = """\
language 1

service folding {
    host "folding.example.com"
    paths may have any-case
    allow prod/ns/checkout/sa/* to any /**
    deny anyone to any /admin/** as no-admin-either
}

"""


def _text(written: Any) -> str:
    if isinstance(written, str):
        return written
    return "".join(part if isinstance(part, str) else part[0] * part[1] for part in written)


def _targets() -> tuple[bytes, ...]:
    file = Path(__file__).parents[2] / "corpus" / "paths.jsonl"
    cases = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    paths = [_text(case["input"]) for case in cases if case["kind"] == "path"]
    return tuple(dict.fromkeys(path.encode("utf-8", "surrogateescape") for path in paths))


TARGETS: Final = _targets()
assert len(TARGETS) > 200, "no paths found: this would pass by testing nothing"


@dataclass(frozen=True)
class Crossing:
    """A target that was sent, one that arrived of it, and by which decision."""

    sent: bytes
    arrived: bytes
    decision: str


def cross(edge: Edge, host: str = HOST) -> list[Crossing]:
    """Send the whole corpus; what got through."""
    found = []
    for target in TARGETS:
        _, arrived = edge.send(get(target, host=host), name=host, wait=5)
        found += [Crossing(target, one.target, *one.values("x-pdp-decision-id")) for one in arrived]
    return found


def cross_over_http2(edge: Edge) -> list[Crossing]:
    """The same over HTTP/2, where a path may hold what would end a line of HTTP/1.1."""
    found = []
    for target in (target for target in TARGETS if len(target) < MOST):
        edge.upstream.take()
        ask(edge.pki, edge.places.listen, target)
        arrived = edge.upstream.take()
        found += [Crossing(target, one.target, *one.values("x-pdp-decision-id")) for one in arrived]
    return found


def bypasses(edge: Edge, crossed: list[Crossing], service: str = "payments") -> dict[Crossing, set[str]]:
    """What got through although some backend would serve a path of it that the policy denies."""
    folder = edge.folder / "policies"
    policies = {file.name: file.read_text(encoding="utf-8") for file in sorted(folder.iterdir())}
    denied = Denied(policies, WEB, service)
    fold = (str.lower,) if service == "folding" else ()
    found = {one: denied.among(readings(one.arrived, *fold)) for one in crossed}
    return {one: paths for one, paths in found.items() if paths}
