"""What a running service prints: paragraphs for people, or one JSON object a line for programs.

Whoever has something to tell never waits for whoever reads it: a thread prints what is queued.
"""

import json
from typing import Any, Self, final

from pdp.cli.diagnostic_json import diagnostic_as_json
from pdp.cli.outbox import Outbox
from pdp.cli.output import counted
from pdp.process.edits import describe
from pdp.process.settings_read import SettingsAccepted, SettingsEvent, describe_settings
from pdp.store.publish import Accepted, Event
from pdp.store.versions import Versions

__all__ = ["Reporter"]


@final
class Reporter:
    """Prints whole paragraphs, or whole lines, for whichever thread, until it is left.

    That nobody reads them, or that they are read slowly, keeps no version from being served.
    """

    def __init__(self, *, as_json: bool, err: bool) -> None:
        """Print JSON or text; to standard error where the decision log has standard output."""
        self._as_json = as_json
        self._outbox = Outbox(err=err, untold=self._untold)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._outbox.close()

    def say(self, text: str) -> None:
        """Tell of anything else."""
        self._outbox.put(_json("message", text=text) if self._as_json else text)

    def edited(self, event: Event) -> None:
        """Tell of a saved edit."""
        self._outbox.put(_edit(event) if self._as_json else describe(event))

    def settings_read(self, event: SettingsEvent) -> None:
        """Tell of settings that were read again."""
        self._outbox.put(_settings(event) if self._as_json else describe_settings(event))

    def serving(self, where: str, versions: Versions) -> None:
        """Tell that questions are answered, and where."""
        snapshot = versions.current.snapshot
        services = len(snapshot.index.services)
        if self._as_json:
            self._outbox.put(
                _json(
                    "serving", revision=snapshot.revision, rules=snapshot.rules, services=services, url=where
                )
            )
        else:
            told = f"{counted(snapshot.rules, 'rule')}, {counted(services, 'service')}"
            self._outbox.put(f"serving revision {snapshot.revision} ({told}) on {where}")

    def _untold(self, count: int) -> str:
        text = f"{count} messages were not told: nobody read them in time"
        return _json("message", text=text) if self._as_json else text


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


def _settings(event: SettingsEvent) -> str:
    found = event.found
    diagnostics = [diagnostic_as_json(each, found.sources) for each in found.diagnostics]
    if isinstance(event, SettingsAccepted):
        return _json("settings_accepted", applied=event.applied, restart=event.kept, diagnostics=diagnostics)
    return _json("settings_rejected", trouble=event.defect or found.trouble or None, diagnostics=diagnostics)
