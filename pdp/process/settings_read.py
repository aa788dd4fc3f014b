"""Settings that were read again: what was found, what became of it, and how people are told.

When they are read is the business of `pdp.process.hangup`, which of them hold that of `pdp.config.reread`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias, final

from pdp.config.model import Settings
from pdp.diagnostics import Diagnostic, Source, escape, render

__all__ = ["Found", "SettingsAccepted", "SettingsEvent", "SettingsRejected", "describe_settings"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What reading the settings again came to.

    Attributes:
        settings: The settings; None where something is wrong with them.
        diagnostics: What is wrong or doubtful.
        sources: The texts to show that with.
        trouble: Why there is nothing to show: the file could not be read. Safe to print.
    """

    settings: Settings | None
    diagnostics: tuple[Diagnostic, ...] = ()
    sources: Mapping[str, Source] = field(default_factory=lambda: MappingProxyType({}))
    trouble: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsAccepted:
    """They were read without a mistake.

    Attributes:
        found: What was read.
        applied: The settings that changed and hold now, by name.
        kept: Those that changed and take a restart.
    """

    found: Found
    applied: tuple[str, ...]
    kept: tuple[str, ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsRejected:
    """Nothing of them holds.

    Attributes:
        found: What was read, with what is wrong.
        defect: How pdp itself failed, if it did. Safe to print.
    """

    found: Found
    defect: str = ""


SettingsEvent: TypeAlias = SettingsAccepted | SettingsRejected


def describe_settings(event: SettingsEvent) -> str:
    """What is wrong or doubtful, and one line of what became of it."""
    found = event.found
    lines = [render(each, found.sources).rstrip("\n") for each in found.diagnostics]
    if found.trouble:
        lines.append(found.trouble)
    return "\n".join([*lines, _outcome(event)])


def _outcome(event: SettingsEvent) -> str:
    if isinstance(event, SettingsRejected):
        if event.defect:
            return f"the settings were not read again, by a defect of pdp: {event.defect}"
        return "the settings are as before"
    parts = []
    if event.applied:
        parts.append(f"{escape(', '.join(event.applied))} changed")
    if event.kept:
        takes = "takes" if len(event.kept) == 1 else "take"
        parts.append(f"{escape(', '.join(event.kept))} {takes} a restart")
    return f"settings read again: {'; '.join(parts) or 'nothing changed'}"
