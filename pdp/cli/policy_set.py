"""A policy set as commands use it: loaded, with its places as paths that lead there.

Inside the set, files are named relative to it. A path that a person can open from where the
command runs begins with what the command was given; `Reading.shown` makes the one into the other.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, final

import click
from msgspec import structs

from pdp.cli.diagnostic_json import diagnostic_as_json
from pdp.cli.output import CannotError, counted, show_diagnostics
from pdp.diagnostics import Diagnostic, Severity, Source, Span
from pdp.store.bundle import read_bundle
from pdp.store.loader import Loader
from pdp.store.problems import WHOLE_SET
from pdp.store.snapshot import Loaded, Snapshot
from pdp.vocabulary import Millis

__all__ = ["POLICIES", "PolicySet", "Reading", "load", "require"]

#: The type of the argument `POLICIES`.
POLICIES: Final = click.Path(exists=True, path_type=Path)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A policy set as it was found, fit to be served or not.

    Attributes:
        root: The directory or file as it was named.
        loaded: What it came to; places in it are relative to the set.
        unreadable: Whether parts of it could not be read, so that the set is not known whole.
    """

    root: Path
    loaded: Loaded
    unreadable: bool

    @property
    def policy_files(self) -> int:
        """How many policy files there are."""
        return sum(path.endswith(".policy") for path in self.loaded.sources)

    def shown(self, file: str) -> str:
        """A file of the set by a path that leads there from where the command runs."""
        return str(self.root) if file == WHOLE_SET or self.root.is_file() else str(self.root / file)

    def for_people(self) -> tuple[list[Diagnostic], dict[str, Source]]:
        """Diagnostics and sources under the paths of `shown`."""
        sources = {
            self.shown(path): Source(path=self.shown(path), text=source.text)
            for path, source in self.loaded.sources.items()
        }
        return [self._relocated(diagnostic) for diagnostic in self.loaded.diagnostics], sources

    def _relocated(self, diagnostic: Diagnostic) -> Diagnostic:
        related = tuple((self._span(span), text) for span, text in diagnostic.related)
        return replace(diagnostic, span=self._span(diagnostic.span), related=related)

    def _span(self, span: Span) -> Span:
        return structs.replace(span, file=self.shown(span.file))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySet:
    """A policy set without errors.

    Attributes:
        reading: Where it came from.
        snapshot: What it was compiled to.
    """

    reading: Reading
    snapshot: Snapshot


def load(policies: Path, now: Millis) -> Reading:
    """Read and compile a policy set as of an instant. Never raises for what is in it."""
    bundle = read_bundle(policies)
    return Reading(root=policies, loaded=Loader().load(bundle, now=now), unreadable=bool(bundle.problems))


def require(policies: Path, now: Millis) -> PolicySet:
    """Load a policy set that questions can be asked of.

    Raises:
        CannotError: It has errors; they were shown, or are part of the JSON object.
    """
    reading = load(policies, now)
    if reading.loaded.snapshot is not None:
        return PolicySet(reading=reading, snapshot=reading.loaded.snapshot)
    diagnostics, sources = reading.for_people()
    errors = [found for found in diagnostics if found.severity is Severity.ERROR]
    listed = [diagnostic_as_json(found, sources) for found in errors]
    message = f"the policy set has {counted(len(errors), 'error')} and cannot be used"
    problem = CannotError("bad_policy", message, diagnostics=listed)
    if not problem.as_json:
        show_diagnostics(errors, sources)
    raise problem
