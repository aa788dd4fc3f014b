"""`--at INSTANT`, as several commands have it."""

from typing import Any, Final

import click

from pdp.diagnostics import escape
from pdp.lang.patterns import PatternError, instant
from pdp.vocabulary import Millis

__all__ = ["INSTANT"]


class _Instant(click.ParamType[Millis]):
    """A date, or a date and time, as the policy language has it."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Millis:
        try:
            return value if isinstance(value, int) else instant(str(value))
        except PatternError:
            self.fail(
                f"`{escape(str(value))[:40]}` is not an instant such as 2027-03-31T09:00+01:00", param, ctx
            )


INSTANT: Final = _Instant()
