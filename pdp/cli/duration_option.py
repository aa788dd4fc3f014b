"""Durations as commands have them: a whole number and its unit."""

import re
from datetime import timedelta
from typing import Any, Final, final

import click

from pdp.diagnostics import escape

__all__ = ["DURATION"]

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION: Final = re.compile(r"([0-9]{1,9})([smhd])", re.ASCII)


@final
class _Duration(click.ParamType[timedelta]):
    """A whole number of seconds, minutes, hours or days."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        match = _DURATION.fullmatch(str(value))
        if match is None:
            self.fail(
                f"`{escape(str(value))[:40]}` is not a duration such as 90s, 30m, 24h or 7d", param, ctx
            )
        return timedelta(**{_UNITS[match[2]]: int(match[1])})


DURATION: Final = _Duration()
