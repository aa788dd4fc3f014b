"""Versions to parts: what did not change since the last version is not written again.

What has not changed is known by being the very same object: that is how `pdp.index.assemble` and the loader
take over what they keep. A part is written once and never changes.
"""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Final, NamedTuple, TypeAlias, final

from pdp.compiler.callers import CallerEntry
from pdp.compiler.environment import Environment
from pdp.compiler.rule_texts import RuleTexts
from pdp.image.environment import write_environment
from pdp.image.manifest import Contents, ServiceParts
from pdp.image.names import write_names
from pdp.image.rules import write_rules
from pdp.image.texts import write_texts
from pdp.image.walks import write_walks
from pdp.index.columns import BuiltColumns
from pdp.index.principals import PatternTable, PrincipalTable
from pdp.index.rule_index import RuleIndex, ServiceIndex

__all__ = ["ImageWriter"]

#: Takes the bytes of a part and gives its number.
_Part: TypeAlias = Callable[[bytes], int]
#: A part of named principals is written again, with newer ones, unless it is so many times larger than they.
_GROWTH: Final = 8


@final
class ImageWriter:
    """Writes one version after the other; used by one thread at a time.

    Attributes:
        new: The parts that the last version has and the one before had not, by number.
    """

    def __init__(self) -> None:
        self.new: dict[int, bytes] = {}
        self._numbers = count(1)
        self._services: dict[int, _Service] = {}
        self._texts: dict[int, tuple[RuleTexts, int]] = {}
        self._names = _NamesWriter()
        self._walks: tuple[PatternTable, int] | None = None
        self._environment: tuple[Environment, int] | None = None

    def write(self, index: RuleIndex, callers: tuple[CallerEntry, ...], rules: int, digest: str) -> Contents:
        """Write a version as it was built.

        Args:
            index: Its index.
            callers: Who may ask.
            rules: How many rules there are.
            digest: Of the files that it was made from.

        Raises:
            OverflowError: There is more of something than an image can hold.
        """
        self.new = {}
        table = index.principals
        assert isinstance(table, PrincipalTable)  # noqa: S101 - as it was built
        services_before, texts_before = self._services, self._texts
        self._services, self._texts = {}, {}
        walks = self._write_walks(table)  # before the names, which begin anew with them
        services = tuple(
            self._service(service, services_before, texts_before) for service in index.services.values()
        )
        return Contents(
            services=services,
            undeclared=self._service(index.undeclared, services_before, texts_before),
            walks=walks,
            names=tuple(self._names.write(table, self._part)),
            environment=self._write_environment(index.environment),
            methods=dict(index.methods),
            hosts=dict(index.hosts),
            attributes=dict(index.attributes),
            callers=callers,
            rules=rules,
            digest=digest,
        )

    def _part(self, content: bytes) -> int:
        number = next(self._numbers)
        self.new[number] = content
        return number

    def _service(
        self,
        service: ServiceIndex,
        services_before: "dict[int, _Service]",
        texts_before: dict[int, tuple[RuleTexts, int]],
    ) -> ServiceParts:
        written = services_before.get(id(service))
        if written is None:
            columns = service.columns
            assert isinstance(columns, BuiltColumns)  # noqa: S101 - as it was built
            rules = self._part(write_rules(service))
            texts = tuple(unit.texts for unit in columns.units)
            numbers = tuple(self._write_texts(each, texts_before) for each in texts)
            parts = ServiceParts(
                service.name, rules, numbers, service.declared, service.observe_until,
                service.relaxations.value,
            )  # fmt: skip
            written = _Service(service, texts, parts)
        self._services[id(service)] = written
        for each, number in zip(written.texts, written.parts.texts, strict=True):
            self._texts[id(each)] = each, number
        return written.parts

    def _write_texts(self, texts: RuleTexts, before: dict[int, tuple[RuleTexts, int]]) -> int:
        key = id(texts)
        written = self._texts.get(key) or before.get(key) or (texts, self._part(write_texts(texts)))
        self._texts[key] = written
        return written[1]

    def rest_on(self, index: RuleIndex) -> None:
        """Whoever goes on from the last version takes over what was read of it, not what was built."""
        read = {service.name: service for service in (*index.services.values(), index.undeclared)}
        self._services = {
            id(service): _Service(service, written.texts, written.parts)
            for written in self._services.values()
            for service in (read[written.parts.name],)
        }
        self.new = {}

    def _write_walks(self, table: PrincipalTable) -> int:
        if self._walks is None or self._walks[0] is not table.patterns:
            self._walks = table.patterns, self._part(write_walks(table))
            self._names = _NamesWriter()  # sets refer to the first part of those who are named
        return self._walks[1]

    def _write_environment(self, environment: Environment) -> int:
        if self._environment is None or self._environment[0] != environment:
            self._environment = environment, self._part(write_environment(environment))
        return self._environment[1]


class _Service(NamedTuple):
    """A service's index, what people are told of its rules, and the parts that were written of both."""

    service: ServiceIndex
    texts: tuple[RuleTexts, ...]
    parts: ServiceParts


@final
class _NamesWriter:
    """The parts of named principals: each holds those that came after the one before it."""

    def __init__(self) -> None:
        self._layers: list[tuple[int, int, int]] = []  # part, from which atom on, how many principals
        self._atoms = 0

    def write(self, table: PrincipalTable, part: _Part) -> Iterator[int]:
        """The parts of a table that has the same patterns as the last one, oldest first."""
        atoms = table.numbers()
        if not self._layers or len(atoms) > self._atoms:
            first, size = self._atoms, len(atoms) - self._atoms
            while self._layers and self._layers[-1][2] < _GROWTH * size:
                _, first, more = self._layers.pop()
                size += more
            self._layers.append(self._layer(table, first, part))
            self._atoms = len(atoms)
        return (number for number, _, _ in self._layers)

    def _layer(self, table: PrincipalTable, first: int, part: _Part) -> tuple[int, int, int]:
        numbered = list(table.numbers().named_after(first))
        known = table.known if not self._layers else {name: table.known[name] for name, _ in numbered}
        return part(write_names(known, numbered)), first, len(known)
