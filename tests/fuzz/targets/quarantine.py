"""Lists of who is quarantined, as operators and programs write them."""

import json
import re
from collections.abc import Hashable
from datetime import datetime
from typing import Any, Final

from pdp.diagnostics import escape
from pdp.identity.quarantine.entries import TARGETS as NAMED
from pdp.identity.quarantine.lists import Quarantine, QuarantineError, read_quarantine, write_quarantine
from pdp.limits import MAX_QUARANTINE_SECONDS
from tests.fuzz.engine import Target, wording
from tests.fuzz.mutate import ODD_TEXT, Mutator

__all__ = ["TARGETS"]

_PROD: Final = "spiffe://prod.example.org"
_WORKLOADS: Final = (
    f"{_PROD}/ns/shop/sa/web", f"{_PROD}/ns/shop", f"{_PROD}/ns", f"{_PROD}/ns/shop/sa/web/x", "spiffe://x/ns/shop",
    "dns:db.example.org", "dns:a.db.example.org", "dns:example.org",
)  # fmt: skip


def _entry(id_: str, **named: str) -> dict[str, str]:
    since, until = "2026-11-22T09:00:00Z", "2026-11-23T09:00:00.5Z"
    return {"id": id_, "who": "ops", "why": "key on a forum", "since": since, "until": until, **named}


_SEEDS: Final = (
    json.dumps({"entries": [_entry("a", spiffe_id=f"{_PROD}/ns/*/sa/web"), _entry("b", dns="*.x.org")]}),
    json.dumps({"entries": [_entry("a", spiffe_id=f"{_PROD}/ns/**"), _entry("b", dns="db.example.org")]}),
    json.dumps({"entries": [_entry("a", serial="0A:1b", trust_domain="prod.example.org")]}),
    json.dumps({"entries": [_entry("a", jti="x", issuer="https://a"), _entry("b", sub="y", issuer="https://a")]}),
    '{"entries": []}',
)  # fmt: skip
_EXTRA: Final = (
    '"spiffe_id":', '"dns":', '"serial":', '"trust_domain":', '"jti":', '"sub":', '"issuer":', '"id":', "**",
    "*", "/*", "/**", "*.", "spiffe://", "prod.example.org", "2026-11-22T09:00:00Z", "9999-12-31T23:59:59Z",
    "2026-02-30T00:00:00Z", '"entries":', "null", "[]", "\\u0000", "0a", "..",
)  # fmt: skip


def _list(text: str) -> Hashable:
    """A list: refused as a whole, or as a second reader finds it; and the same once it was written again."""
    try:
        found = read_quarantine(text.encode("utf-8", "surrogatepass"))
    except QuarantineError as error:
        assert str(error) == escape(str(error))
        return wording(str(error))
    entries = json.loads(text)["entries"]
    assert len(entries) == len({entry["id"] for entry in entries}) == len(found.entries)
    for said in entries:
        _require(said, found)
    again = read_quarantine(write_quarantine(found.entries))
    assert (again, again.digest) == (found, found.digest)
    return tuple(sorted(entry.target[0] for entry in found.entries))


def _require(said: dict[str, Any], found: Quarantine) -> None:
    """One entry means what it says, and nothing else."""
    assert sum(name in said for name in NAMED) == 1
    assert all(isinstance(text, str) and text and text.isprintable() for text in said.values())
    since, until = (datetime.fromisoformat(said[name]).timestamp() for name in ("since", "until"))
    assert 0 < until - since <= MAX_QUARANTINE_SECONDS
    alone = Quarantine(tuple(entry for entry in found.entries if entry.id == said["id"]))
    now = int(since * 1000)
    for id_ in _WORKLOADS:
        domain, _, rest = id_.removeprefix("spiffe://").partition("/")
        segments = tuple(rest.split("/")) if id_.startswith("spiffe://") else tuple(id_[4:].split("."))
        held = alone.workload(id_, domain if id_.startswith("spiffe://") else "", segments, now) is not None
        assert held == _means(said, id_), (said, id_)


def _means(said: dict[str, Any], id_: str) -> bool:
    """Whether an entry is about a workload, by a regular expression."""
    if "spiffe_id" in said:
        pattern = re.escape(said["spiffe_id"])
        pattern = re.sub(r"/\\\*\\\*$", "(?:/[^/]+)*", pattern).replace(r"\*", "[^/]+")
        return re.fullmatch(pattern, id_) is not None
    if "dns" in said:
        name = said["dns"].lower().removesuffix(".")
        return re.fullmatch("dns:" + re.escape(name).replace(r"\*", "[^.]+"), id_) is not None
    return False


TARGETS: Final = (
    Target(
        name="quarantine",
        seeds=_SEEDS,
        mutate=Mutator(
            _SEEDS, r'"(?:[^"\\]|\\.)*"|[\[\]{}:,/*.]|[\w+-]+', ODD_TEXT, extra=_EXTRA, largest=20_000
        ),
        check=_list,
        examples=1500,
    ),
)
