"""What is told of a saved edit: a line for a version that is served, the diagnostics for another."""

from dataclasses import replace

from msgspec import structs

from pdp.diagnostics import Diagnostic, Severity, escape, render
from pdp.store.problems import WHOLE_SET
from pdp.store.publish import Accepted, Event
from pdp.store.snapshot import Loaded

__all__ = ["describe", "outcome", "shown"]


def describe(event: Event) -> str:
    """One line for a version that is served; the diagnostics and one line for one that is not."""
    if isinstance(event, Accepted):
        notes = sum(d.severity is not Severity.NOTE for d in event.loaded.diagnostics)
        warned = f", {notes} warnings (see `pdp check`)" if notes else ""
        revision = event.published.snapshot.revision
        return f"revision {revision}: {escape(str(event.changes))}{warned}"
    return f"{shown(event.loaded, Severity.ERROR)}still serving {event.serving}"


def outcome(event: Event) -> str:
    """What became of a version that was offered, in the word that metrics have for it."""
    if not isinstance(event, Accepted):
        return "rejected"
    return "accepted" if event.changed else "unchanged"


def shown(loaded: Loaded, least: Severity) -> str:
    """The diagnostics of a severity or worse, as text."""
    found = (_placed(d) for d in loaded.diagnostics if d.severity <= least)
    return "".join(render(d, loaded.sources) + "\n" for d in found)


def _placed(diagnostic: Diagnostic) -> Diagnostic:
    """The same; one that is about no file says so instead of `.`."""
    if diagnostic.span.file != WHOLE_SET:
        return diagnostic
    return replace(diagnostic, span=structs.replace(diagnostic.span, file="policy set"))
