"""Workloads as an entry names them: one identity, or a pattern over whole segments.

The forms are those of rules, written out: `*` stands for one segment, `**` at the end for any number of
them, none included; of DNS names, `*.` for one label more.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar, final

from pdp.principals import InvalidIdentityError, dns_principal, spiffe_principal

__all__ = ["PatternTree", "WorkloadPattern", "workload_pattern"]

_T = TypeVar("_T")

_SCHEME: Final = "spiffe://"
_DNS: Final = "dns:"
_REST: Final = "**"
_WILD: Final = re.compile(r"\*+")


@final
@dataclass(frozen=True, slots=True)
class WorkloadPattern:
    """A set of workloads.

    Attributes:
        text: As it was written.
        domain: The trust domain; None for a DNS name.
        segments: Of the path, or the labels; None stands for any one.
        rest: Whether any further segments may follow.
    """

    text: str
    domain: str | None
    segments: tuple[str | None, ...]
    rest: bool

    @property
    def exact(self) -> bool:
        """Whether it is one identity."""
        return not self.rest and None not in self.segments

    def holds(self, trust_domain: str, segments: tuple[str, ...]) -> bool:
        """Whether a workload is in it.

        Args:
            trust_domain: Its trust domain; empty for a DNS name.
            segments: Its path, or its labels.
        """
        if trust_domain != (self.domain or ""):
            return False
        known = len(self.segments)
        if len(segments) < known or (len(segments) > known and not self.rest):
            return False
        return all(wanted in {None, found} for wanted, found in zip(self.segments, segments, strict=False))

    def holds_id(self, text: str) -> bool:
        """The same of an identity, by its id."""
        named = dns_principal(text.removeprefix(_DNS)) if text.startswith(_DNS) else spiffe_principal(text)
        return self.holds(named.trust_domain, named.segments)


def workload_pattern(text: str) -> WorkloadPattern:
    """An identity, or a pattern: `spiffe://prod.example.org/ns/shop/**`, `dns:*.example.org`.

    Raises:
        ValueError: It is neither.
    """
    try:
        return _dns(text) if text.startswith(_DNS) else _spiffe(text)
    except InvalidIdentityError as error:
        raise ValueError(str(error)) from error


def _spiffe(text: str) -> WorkloadPattern:
    head, rest = text, False
    if text.startswith(_SCHEME) and text.endswith(f"/{_REST}"):
        head, rest = text.removesuffix(f"/{_REST}"), True
    domain, slash, path = head.removeprefix(_SCHEME).partition("/")
    parts = path.split("/") if slash else []
    if any(_WILD.search(part) and part != "*" for part in (domain, *parts)) or domain == "*":
        raise ValueError(
            "`*` stands for one whole segment of a path, and `**` for all that follow, at the end"
        )
    # What it would be with a name in the place of each pattern has to be the ID of a workload.
    filled = "/".join(["x" if part == "*" else part for part in parts] + (["x"] if rest else []))
    scheme = _SCHEME if head.startswith(_SCHEME) else ""
    principal = spiffe_principal(f"{scheme}{domain}/{filled}")
    segments = tuple(None if part == "*" else part for part in parts)
    return WorkloadPattern(text, principal.trust_domain, segments, rest)


def _dns(text: str) -> WorkloadPattern:
    name = text.removeprefix(_DNS)
    wild = name.startswith("*.")
    principal = dns_principal(name.removeprefix("*."))
    segments = (None, *principal.segments) if wild else principal.segments
    return WorkloadPattern(
        f"{_DNS}*.{principal.id.removeprefix(_DNS)}" if wild else principal.id, None, segments, rest=False
    )


@final
class PatternTree(Generic[_T]):
    """What belongs to patterns, found by a workload: as quick for a thousand patterns as for a few."""

    def __init__(self, patterns: Iterable[tuple[WorkloadPattern, _T]]) -> None:
        """Hold what belongs to each pattern."""
        self._domains: dict[str, _Node[_T]] = {}
        for pattern, value in patterns:
            node = self._domains.setdefault(pattern.domain or "", _Node())
            for segment in pattern.segments:
                node = node.children.setdefault(segment, _Node())
            (node.below if pattern.rest else node.here).append(value)

    def about(self, trust_domain: str, segments: tuple[str, ...]) -> Iterator[_T]:
        """What belongs to each pattern that holds a workload; the arguments are those of `holds`."""
        found = self._domains.get(trust_domain)
        nodes = [] if found is None else [found]
        for segment in segments:
            following = []
            for node in nodes:
                yield from node.below
                following += [child for key in (segment, None) if (child := node.children.get(key))]
            nodes = following
        for node in nodes:
            yield from node.below
            yield from node.here


@final
class _Node(Generic[_T]):
    __slots__ = ("below", "children", "here")

    def __init__(self) -> None:
        self.children: dict[str | None, _Node[_T]] = {}
        self.here: list[_T] = []
        self.below: list[_T] = []
