"""What a running service prints: paragraphs for people, or one JSON object a line for programs."""

import json
import sys
import threading
from contextlib import suppress
from typing import Any, final

import click

from pdp.cli.policy_set import diagnostic_as_json
from pdp.process.edits import describe
from pdp.store.publish import Accepted, Event
from pdp.store.versions import Versions

__all__ = ["Reporter"]


@final
class Reporter:
    """Prints whole paragraphs, or whole lines, from whichever thread.

    That nobody reads them any more keeps no version from being served.
    """

    def __init__(self, *, as_json: bool, err: bool) -> None:
        """Print JSON or text; to standard error where the decision log has standard output."""
        self._as_json = as_json
        self._err = err
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Tell of anything else."""
        self._print(_json("message", text=text) if self._as_json else text)

    def edited(self, event: Event) -> None:
        """Tell of a saved edit."""
        self._print(_edit(event) if self._as_json else describe(event))

    def serving(self, where: str, versions: Versions) -> None:
        """Tell that questions are answered, and where."""
        snapshot = versions.current.snapshot
        services = len(snapshot.index.services)
        if self._as_json:
            self._print(
                _json(
                    "serving", revision=snapshot.revision, rules=snapshot.rules, services=services, url=where
                )
            )
        else:
            counted = f"{snapshot.rules} rules, {services} services"
            self._print(f"serving revision {snapshot.revision} ({counted}) on {where}")

    def _print(self, text: str) -> None:
        with self._lock, suppress(OSError):
            click.echo(text, err=self._err)
            (sys.stderr if self._err else sys.stdout).flush()


def _json(event: str, **what: Any) -> str:
    return json.dumps({"event": event, **what})


def _edit(event: Event) -> str:
    diagnostics = [diagnostic_as_json(each, event.loaded.sources) for each in event.loaded.diagnostics]
    if not isinstance(event, Accepted):
        return _json("rejected", serving=event.serving, diagnostics=diagnostics)
    found = event.changes
    return _json(
        "accepted",
        revision=event.published.snapshot.revision,
        granted=found.granted,
        revoked=found.revoked,
        notes=list(found.notes),
        diagnostics=diagnostics,
    )
