"""What backends make of a target: every path that some server would serve for the bytes that arrived.

Deliberately wide. Each step below is something that servers and frameworks are known to do; they are applied
in any order, as often as they change anything, up to a bound. Whether one of the readings is denied is asked
of the reference interpreter, which shares nothing with the engine.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final
from unicodedata import normalize

from pdp.diagnostics import Source
from pdp.lang.parser import parse
from pdp.principals import spiffe_principal
from pdp.vocabulary import Effect, Reason, Request
from tests.reference.interpreter import Interpreter

__all__ = ["Denied", "readings"]

_ROUNDS: Final = 3
_LOOKALIKES: Final = "[\u2044\u2215\u2216\u00a5\u20a9\uff3c\uff0f]"


def _decoded(path: str) -> str:
    """Decoded once; what is not UTF-8 becomes Latin-1, as some servers have it."""
    raw = re.sub(
        rb"%([0-9A-Fa-f]{2})",
        lambda found: bytes([int(found[1], 16)]),
        path.encode("utf-8", "surrogateescape"),
    )
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _without_dots(path: str) -> str:
    kept: list[str] = []
    for segment in path.split("/"):
        bare = segment.partition(";")[0].strip()
        if bare == "..":
            del kept[max(1, len(kept) - 1) :]
        elif bare != ".":
            kept.append(segment)
    return "/".join(kept) or "/"


def _overlong(path: str) -> str:
    """Old decoders: two bytes for a slash or a dot."""
    return re.sub(r"(?i)%c0%af", "/", re.sub(r"(?i)%c0%ae", ".", path))


STEPS: Final[Sequence[Callable[[str], str]]] = (
    _decoded,
    _overlong,
    _without_dots,
    lambda path: re.sub("/{2,}", "/", path),
    lambda path: path.replace("\\", "/"),
    lambda path: re.sub(";[^/]*", "", path),
    lambda path: path.partition("#")[0],
    lambda path: path.partition("?")[0],
    lambda path: path.partition("\0")[0],
    lambda path: re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*", "", path),
    lambda path: re.sub(r"^//[^/]*", "", path),
    lambda path: path if path.startswith("/") else "/" + path,
    lambda path: re.sub(r"[\s\x00-\x1f\x7f\xa0\xad\u200b-\u200f\u2028\u2029\ufe0f\ufeff]", "", path),
    lambda path: re.sub(_LOOKALIKES, "/", path),
    lambda path: normalize("NFKC", path),
    lambda path: re.sub("%u([0-9A-Fa-f]{4})", lambda found: chr(int(found[1], 16)), path),
)


def readings(target: bytes, *more: Callable[[str], str]) -> set[str]:
    """All paths that the bytes of a target can come to; `more` are steps of this backend."""
    found = new = {target.decode("utf-8", "surrogateescape").partition("?")[0]}
    for _ in range(_ROUNDS):
        new = {step(path) for path in new for step in (*STEPS, *more)} - found
        found = found | new
    return {path for path in found if path.startswith("/")}


class Denied:
    """Which readings a policy set denies by a rule, by the reference interpreter."""

    def __init__(self, policies: dict[str, str], principal: str, service: str) -> None:
        parsed = [parse(Source(path=name, text=text)) for name, text in policies.items()]
        self._interpreter = Interpreter([one.file for one in parsed])
        self._principal, self._service = spiffe_principal(principal), service

    def among(self, paths: set[str], method: str = "GET") -> set[str]:
        return {path for path in paths if self._is_denied(path, method)}

    def _is_denied(self, path: str, method: str) -> bool:
        request = Request(
            principal=self._principal, service=self._service, method=method, path=path, now=1_800_000_000_000
        )
        verdict = self._interpreter.decide(request)
        return verdict.effect is Effect.DENY and verdict.reason is Reason.DENIED_BY_RULE
