"""Regions, found by look-ups: by what they fix, and not one after the other.

Regions that fix the same coordinates (the same positions of the path, the principal or not, the same
attributes) have one *shape*. A shape is a dictionary whose keys are what its regions fix; so a look-up is
one probe for each shape of the service, and policies make few. What is not fixed but bounded, segments that
a step excludes, is tested where a probe found something.

INVARIANT: an entry is found for a request only if `pdp_client.region.contains` says that it is a member;
tests hold the two together. Time, bounds and threads are `pdp_client.cache`'s business.
"""

from collections.abc import Callable, Hashable, Iterator
from operator import itemgetter
from typing import Final, TypeAlias, final

from pdp_client.decision import Decision
from pdp_client.limits import MAX_ALIKE, MAX_SHAPES
from pdp_client.region import Asked, PathStep, Region, admits, is_proven, pin_of

__all__ = ["Entry", "RegionIndex"]

#: What tells shapes apart: positions that are fixed, how many steps, whether more may follow, principal,
#: method, the evidence that is named, the attributes.
_Form: TypeAlias = tuple[tuple[int, ...], int, bool, bool, bool, tuple[str, ...], tuple[str, ...]]
#: Whom a service or a host is looked for by.
_Target: TypeAlias = tuple[str | None, str | None]


@final
class Entry:
    """An answer that is kept: for which requests, and until when."""

    __slots__ = ("answer", "bounded", "expires", "home", "key", "region")

    def __init__(self, region: Region, answer: Decision, expires: float) -> None:
        self.region = region
        self.answer = answer
        self.expires = expires
        #: Steps that are not one segment, each with its position.
        self.bounded: tuple[tuple[int, PathStep], ...] = tuple(
            (at, step) for at, step in enumerate(region.path) if not isinstance(step, str)
        )
        self.home: _Shape | None = None
        self.key: Hashable = None


@final
class _Shape:
    """The regions of one target that fix the same coordinates."""

    __slots__ = ("evidence", "form", "has_more", "method", "names", "principal", "select", "table", "target")

    def __init__(self, form: _Form, target: _Target) -> None:
        positions, _, _, self.principal, self.method, self.evidence, self.names = form
        self.form = form
        self.target = target
        #: Whether its regions fix anything besides path, principal and method.
        self.has_more = bool(self.evidence or self.names)
        self.select: Callable[[list[str]], object] = itemgetter(*positions) if positions else _nothing
        self.table: dict[Hashable, list[Entry]] = {}

    def key(self, asked: Asked) -> Hashable:
        """What a request has where the regions of this shape are fixed."""
        principal = asked.principal if self.principal else None
        method = asked.method if self.method else None
        if not self.has_more:
            return self.select(asked.segments), principal, method
        proof = asked.proof or principal
        pins = tuple([pin_of(asked, name) for name in self.names])
        return self.select(asked.segments), proof, method, asked.user_proof, pins


_NONE: Final = ()


def _evidence_in(asked: Asked) -> tuple[str, ...]:
    """Members of a request that evidence is presented for."""
    proven = ("principal",) if asked.proof is not None else ()
    return (*proven, "user") if asked.user_proof is not None else proven


def _nothing(_: list[str]) -> None:
    return None


@final
class _Shapes:
    """The shapes of one target, by what they are probed for: the number of segments, and evidence."""

    __slots__ = ("all", "near")

    def __init__(self) -> None:
        self.all: dict[_Form, _Shape] = {}
        self.near: dict[object, tuple[_Shape, ...]] = {}

    def find(self, length: int, evidence: tuple[str, ...], key: object) -> tuple[_Shape, ...]:
        """Those that a path of so many segments can be of, where this evidence is presented."""
        found = self.near[key] = tuple(
            shape
            for (_, steps, rest, *_more), shape in self.all.items()
            if shape.evidence == evidence and (steps == length or (rest and steps < length))
        )
        return found


@final
class RegionIndex:
    """Entries by region. Not for several threads at once."""

    def __init__(self) -> None:
        self._targets: Final[dict[_Target, _Shapes]] = {}

    def find(self, asked: Asked, now: float) -> Entry | None:
        """An entry in whose region a request lies, and that has not ended."""
        shapes = self._targets.get((asked.service, asked.host))
        if shapes is None:
            return None
        segments = asked.segments
        length = len(segments)
        evidence = _NONE if asked.proof is None and asked.user_proof is None else _evidence_in(asked)
        key: object = (length, evidence) if evidence else length
        near = shapes.near.get(key)
        if near is None:
            near = shapes.find(length, evidence, key)
        for shape in near:
            alike = shape.table.get(shape.key(asked))
            if alike is None:
                continue
            for entry in alike:
                if entry.expires > now and (not entry.bounded or _within(entry, segments)):
                    return entry
        return None

    def add(self, entry: Entry, asked: Asked) -> list[Entry] | None:
        """Add an entry for the answer to a request; those that make room for it, or None if there is none."""
        target = (asked.service, asked.host)
        form = _form(entry.region)
        shapes = self._targets.get(target) or _Shapes()
        shape = shapes.all.get(form)
        if shape is None:
            if len(shapes.all) >= MAX_SHAPES:
                return None
            shape = shapes.all[form] = _Shape(form, target)
            shapes.near.clear()
            self._targets[target] = shapes
        entry.home, entry.key = shape, shape.key(asked)
        alike = shape.table.setdefault(entry.key, [])
        gone = [other for other in alike if other.bounded == entry.bounded]
        if not gone and len(alike) >= MAX_ALIKE:
            gone = alike[:1]
        for other in gone:
            alike.remove(other)
            other.home = None
        alike.append(entry)
        return gone

    def remove(self, entry: Entry) -> None:
        """Forget an entry that was added."""
        shape = entry.home
        if shape is None:
            return
        alike = shape.table[entry.key]
        alike.remove(entry)
        entry.home = None
        if alike:
            return
        del shape.table[entry.key]
        if not shape.table:
            shapes = self._targets[shape.target]
            del shapes.all[shape.form]
            shapes.near.clear()
            if not shapes.all:
                del self._targets[shape.target]

    def __iter__(self) -> Iterator[Entry]:
        """All entries."""
        for shapes in self._targets.values():
            for shape in shapes.all.values():
                for alike in shape.table.values():
                    yield from alike


def _form(region: Region) -> _Form:
    positions = tuple(at for at, step in enumerate(region.path) if isinstance(step, str))
    names = tuple(sorted(name for name in region.context if not is_proven(name, region.evidence)))
    return (
        positions,
        len(region.path),
        region.rest,
        region.principal is not None,
        region.method is not None,
        tuple(sorted(set(region.evidence))),
        names,
    )


def _within(entry: Entry, segments: list[str]) -> bool:
    # Not with `all`: a generator takes longer than most of what is looked at here.
    for at, step in entry.bounded:  # noqa: SIM110
        if not admits(step, segments[at]):
            return False
    return True
