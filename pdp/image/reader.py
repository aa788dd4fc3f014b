"""Manifests and mapped files to indexes.

A part that was there before is taken over, with all that was made of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from typing import TypeVar, cast, final

from pdp.compiler.callers import CallerEntry
from pdp.compiler.environment import Environment
from pdp.image.environment import read_environment
from pdp.image.keeper import Keeper
from pdp.image.layout import Buffer, ImageError
from pdp.image.manifest import Manifest, Place, ServiceParts
from pdp.image.names import Names
from pdp.image.principals import FlatPrincipals
from pdp.image.rules import RulesPart
from pdp.image.texts import Texts
from pdp.image.walks import Walks
from pdp.index.rule_index import RuleIndex, ServiceIndex
from pdp.paths import Relaxation

__all__ = ["Image", "ImageReader"]

_T = TypeVar("_T")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A version as an image holds it.

    Attributes:
        index: What decisions look up.
        callers: Who may ask.
        rules: How many rules there are.
        digest: Of the files that it was made from.
        manifest: What it is made of.
        files: Where that lies, by the numbers of files.
    """

    index: RuleIndex
    callers: tuple[CallerEntry, ...]
    rules: int
    digest: str
    manifest: Manifest
    files: Mapping[int, Buffer]


@final
class ImageReader:
    """Reads one version after the other; used by one thread at a time."""

    def __init__(self, keeper: Keeper | None = None) -> None:
        """Begin with no parts.

        Args:
            keeper: Bounds what is made of all versions together.
        """
        self._keeper = keeper or Keeper()
        self._parts: dict[Place, object] = {}
        self._services: dict[tuple[ServiceParts, tuple[Place, ...]], ServiceIndex] = {}

    def read(self, manifest: Manifest, files: Mapping[int, Buffer]) -> Image:
        """The version of a manifest.

        Args:
            manifest: The manifest.
            files: Its files by number.

        Raises:
            ImageError: A part is not what was written.
        """
        reading = _Reading(manifest, files, self._keeper, self._parts)
        contents = manifest.contents
        services = {}
        undeclared = contents.undeclared
        found: dict[str, ServiceIndex] = {}
        for parts in (*contents.services, undeclared):
            key = parts, tuple(map(reading.place, (parts.rules, *parts.texts)))
            service = self._services.get(key) or reading.service(parts)
            services[key] = service
            found[parts.name if parts.declared else ""] = service
        names = [reading.part(number, Names) for number in contents.names]
        walks = reading.part(contents.walks, partial(Walks, keeper=self._keeper))
        index = RuleIndex(
            undeclared=found.pop(""),
            services=found,
            principals=FlatPrincipals(names, walks),
            methods=contents.methods,
            hosts=contents.hosts,
            attributes=contents.attributes,
            declared=reading.part(contents.environment, _environment),
        )
        self._parts, self._services = reading.used, services
        return Image(
            index=index,
            callers=contents.callers,
            rules=contents.rules,
            digest=contents.digest,
            manifest=manifest,
            files=dict(files),
        )


@final
class _Reading:
    """One version being read."""

    def __init__(
        self, manifest: Manifest, files: Mapping[int, Buffer], keeper: Keeper, before: Mapping[Place, object]
    ) -> None:
        self._places = {place.part: place for place in manifest.places}
        self._files, self._keeper, self._before = files, keeper, before
        self.used: dict[Place, object] = {}

    def place(self, number: int) -> Place:
        """Where a part lies."""
        try:
            return self._places[number]
        except KeyError as error:
            raise ImageError("a part is missing") from error

    def part(self, number: int, read: Callable[[Buffer, int, int], _T]) -> _T:
        """A part: the one before, or read anew."""
        place = self.place(number)
        found = self.used.get(place) or self._before.get(place)
        if found is None:
            buffer = self._files.get(place.file)
            if buffer is None:
                raise ImageError("a file is missing")
            start, end = place.start, place.start + place.length
            if not 0 <= start <= end <= len(buffer):
                raise ImageError("a part does not lie within its file")
            if sha256(memoryview(buffer)[start:end]).digest() != place.digest:
                raise ImageError("a part is damaged: it is not what was written")
            found = read(buffer, start, place.length)
        self.used[place] = found
        return cast("_T", found)  # a number stands for one kind of part alone

    def service(self, parts: ServiceParts) -> ServiceIndex:
        """The index of a service."""
        rules = self.part(parts.rules, partial(RulesPart, keeper=self._keeper))
        texts = tuple(self.part(number, Texts) for number in parts.texts)
        try:
            relaxations = Relaxation(parts.relaxations)
        except ValueError as error:
            raise ImageError("a service reads its paths in no known way") from error
        return ServiceIndex(
            name=parts.name,
            declared=parts.declared,
            root=rules.states.root,
            columns=rules.columns.telling(texts),
            observe_until=parts.observe_until,
            relaxations=relaxations,
            relaxed=relaxations is not Relaxation.NONE,
            plain=parts.declared and parts.observe_until is None,
        )


def _environment(buffer: Buffer, start: int, length: int) -> Callable[[], Environment]:
    return cache(lambda: read_environment(buffer, start, length))
