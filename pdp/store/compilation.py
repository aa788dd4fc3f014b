"""Bundles to snapshots: parse what changed, check everything, build what is affected.

A `Compilation` keeps what it learned from the last bundle: parsed files by content, lowered files
by environment, indexes of services by their files. What it returns is immutable. It imports the whole
compiler, so nobody imports it but `pdp.store.loader`, once there is something to compile.
"""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeAlias, final

from pdp.analysis.invariants import Checked, Invariants
from pdp.compiler.callers import CallerEntry, lower_callers
from pdp.compiler.checks import check_set
from pdp.compiler.environment import Environment, gather
from pdp.compiler.numbers import Numbers
from pdp.compiler.resolve import Resolver
from pdp.compiler.rows import Unit
from pdp.compiler.tables import TableCache, lower_tables, with_group_files
from pdp.compiler.units import lower_file
from pdp.diagnostics import Diagnostic, Source, Span, has_errors, sort
from pdp.image.reader import Image
from pdp.index.assemble import Assembly, assemble
from pdp.lang.parsed import Parsed
from pdp.store.at_rest import at_rest
from pdp.store.bundle import PolicyBundle
from pdp.store.contents import Content
from pdp.store.parsing import parse_all
from pdp.store.snapshot import Loaded, Snapshot
from pdp.vocabulary import Millis

__all__ = ["Compilation", "decode"]

_TOO_MANY_METHODS: Final = "PDP915"
_NUMBERS_TO_SPARE: Final = 10_000
_ParsedFile: TypeAlias = tuple[Source, Parsed]


@final
@dataclass(slots=True)
class Compilation:
    """Compiles one bundle after another; used by one thread at a time.

    Attributes:
        invariants: As `pdp.store.loader.Loader` has it.
        recall: As it has that.
    """

    invariants: bool
    recall: Callable[[Source], Parsed | None]

    _numbers: Numbers = field(default_factory=Numbers)
    _parsed: dict[str, _ParsedFile] = field(default_factory=dict)
    _texts: dict[str, tuple[Content, Source]] = field(default_factory=dict)
    _checked: "_Checked | None" = None
    _assembly: Assembly | None = None
    _invariants: Invariants = field(default_factory=Invariants)
    _numbered: int = 0
    _generation: int = 0

    def load(self, bundle: PolicyBundle, revision: str, now: Millis) -> Loaded:
        """Compile a bundle. What was learned is kept only while there are no errors.

        Args:
            bundle: The files.
            revision: What they are named by.
            now: The instant from which on invariants have to hold.
        """
        with _collector_paused():
            loaded = self._load(bundle, revision, now)
            for _, source in self._texts.values():
                source.let_go()
            return loaded

    def _load(self, bundle: PolicyBundle, revision: str, now: Millis) -> Loaded:
        self._compact()
        sources, diagnostics = self._read(bundle)
        parsed = self._parse(sources)
        if not parsed and not diagnostics:
            diagnostics.append(_nothing_there())
        diagnostics += [d for item in parsed for d in item.diagnostics]
        environment, found = gather(parsed)
        environment, tables = with_group_files(environment, sources)
        diagnostics += [*found, *tables]
        if self._checked is None or self._checked.environment != environment:
            self._checked = _Checked(environment=environment, resolver=Resolver(environment=environment))
        units, callers, wrong = self._lower(self._checked, parsed, sources)
        diagnostics += wrong
        if self._numbered and any(d.code == _TOO_MANY_METHODS for d in diagnostics):
            self._start_anew()  # perhaps most of them are of versions long gone
            return self._load(bundle, revision, now)
        if has_errors(diagnostics):
            self._checked = None  # an error is found again, not remembered
            return Loaded(snapshot=None, diagnostics=sort(diagnostics), sources=sources)
        assembly = assemble(units, environment, self._numbers, self._assembly)
        diagnostics += assembly.diagnostics
        if assembly.index is None:
            return Loaded(snapshot=None, diagnostics=sort(diagnostics), sources=sources)
        checked = Checked(
            parsed=parsed,
            index=assembly.index,
            sources=assembly.sources,
            environment=self._checked.environment,
            resolver=self._checked.resolver,
            numbers=self._numbers,
        )
        broken = self._invariants.check(checked, now) if self.invariants else []
        diagnostics += broken
        if has_errors(broken):
            return Loaded(snapshot=None, diagnostics=sort(diagnostics), sources=sources)
        self._assembly = assembly
        self._numbered = self._numbered or len(self._numbers.atoms)
        snapshot = Snapshot(
            index=assembly.index,
            callers=callers,
            revision=revision,
            digest=bundle.digest,
            files=tuple(parsed),
            units=tuple(units),
            rules=sum(len(unit.texts.lines) for unit in units),
            generation=self._generation,
        )
        return Loaded(snapshot=snapshot, diagnostics=sort(diagnostics), sources=sources)

    def rest_on(self, snapshot: Snapshot, image: Image) -> Snapshot:
        """As `pdp.store.loader.Loader` has it."""
        assembly = self._assembly
        if assembly is None or assembly.index is not snapshot.index:
            return snapshot  # it is not what the next one goes on from
        index, self._assembly = at_rest(assembly, image.index, self._numbers)
        return replace(snapshot, index=index, image=image)

    def _compact(self) -> None:
        """Start the numbers anew once more than half of them can be of rules long gone."""
        if len(self._numbers.atoms) > 2 * self._numbered + _NUMBERS_TO_SPARE:
            self._start_anew()

    def _start_anew(self) -> None:
        self._numbers, self._checked, self._assembly = Numbers(), None, None
        self._numbered = 0
        self._generation += 1

    def _read(self, bundle: PolicyBundle) -> tuple[dict[str, Source], list[Diagnostic]]:
        """The texts of a bundle; of a file that is not UTF-8 nothing but the error counts."""
        diagnostics = list(bundle.problems)
        kept: dict[str, tuple[Content, Source]] = {}
        for path, content in bundle.files.contents.items():
            known = self._texts.get(path)
            if known is not None and known[0] == content and known[1].readable:
                kept[path] = known
                continue
            _, problem = decode(path, content.read())
            if problem is not None:
                diagnostics.append(problem)
            text = partial(_text, path, content)
            kept[path] = (content, Source(path=path, text=text, readable=problem is None))
        self._texts = kept
        return {path: source for path, (_, source) in kept.items()}, diagnostics

    def _parse(self, sources: Mapping[str, Source]) -> list[Parsed]:
        kept: dict[str, _ParsedFile] = {}
        new: list[Source] = []
        for path, source in sources.items():
            if not path.endswith(".policy"):
                continue
            known = self._parsed.get(path)
            if known is not None and known[0] is source:
                kept[path] = known
            elif (recalled := self.recall(source)) is not None:
                kept[path] = (source, recalled)
            else:
                new.append(source)
        kept |= {source.path: (source, parsed) for source, parsed in zip(new, parse_all(new), strict=True)}
        self._parsed = kept
        return [kept[path][1] for path in sorted(kept)]

    def _lower(
        self, checked: "_Checked", parsed: list[Parsed], sources: Mapping[str, Source]
    ) -> tuple[list[Unit], tuple[CallerEntry, ...], list[Diagnostic]]:
        environment, resolver = checked.environment, checked.resolver
        kept: dict[str, tuple[Parsed, Unit]] = {}
        for item in parsed:
            path = item.file.path
            known = checked.units.get(path)
            if known is not None and known[0] is item:
                kept[path] = known
            else:
                kept[path] = (item, lower_file(item, sources[path], environment, self._numbers, resolver))
                sources[path].let_go()
        checked.units = kept
        units = [unit for _, unit in kept.values()]
        units += lower_tables(parsed, sources, environment, self._numbers, resolver, checked.tables)
        callers, found = lower_callers(parsed, environment, self._numbers, resolver)
        diagnostics = [*found, *(d for unit in units for d in unit.diagnostics)]
        diagnostics += check_set(parsed, environment, units, self._numbers, resolver, sources)
        return units, callers, diagnostics


@final
@dataclass(slots=True, kw_only=True)
class _Checked:
    """What holds as long as the declarations stay as they are."""

    environment: Environment
    resolver: Resolver
    units: dict[str, tuple[Parsed, Unit]] = field(default_factory=dict)
    tables: TableCache = field(default_factory=dict)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Building makes millions of objects and no cycles: looking for some costs as much as the building.

    What was built lives long, so it is put where the collector does not look again: going through a
    large index would stop the process for seconds. Without cycles it is still freed when unused.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


def _nothing_there() -> Diagnostic:
    """An empty directory is a mount that failed or a checkout gone wrong: nobody denies everything so."""
    message = "there is no `.policy` file"
    help_ = "to deny everything, keep a file that says nothing but `language 1`"
    return Diagnostic(code="PDP918", message=message, span=Span(file=".", start=0, end=0), help=help_)


def _text(path: str, content: Content) -> str:
    return decode(path, content.read())[0]


def decode(path: str, content: bytes) -> tuple[str, Diagnostic | None]:
    """A file's text, and what keeps it from being read; the text then serves to show the place."""
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        text = content.decode("utf-8", "replace").removeprefix("\ufeff")
        at = len(content[: error.start].decode("utf-8").removeprefix("\ufeff"))
        message = f"the file is not UTF-8: byte {error.start} is {content[error.start]:#04x}"
        help_ = "save it as UTF-8"
    else:
        at, message = text.find("\0"), "the file holds a NUL character"
        help_ = "delete it; where there are many, save the file as UTF-8"
        if at < 0:
            return text, None
    span = Span(file=path, start=at, end=at + 1)
    return text, Diagnostic(code="PDP102", message=message, span=span, help=help_)
