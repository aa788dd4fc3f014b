"""A question that cannot be asked, and what is said of the sender's own text in it."""

import re
from typing import Final, final

from pdp.diagnostics import escape

__all__ = ["BadQuestionError", "clean", "shortened", "shown"]

# C0, DEL, C1, and lone surrogates: nothing that names a workload, service or method holds them.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SHOWN: Final = 80  # characters of the sender's own text in a message


@final
class BadQuestionError(ValueError):
    """A question that cannot be asked.

    Attributes:
        code: Stable snake_case name, documented in `docs/api.md`.
        message: One sentence for whoever asked, safe to print.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def clean(field: str, text: str, *, code: str = "") -> str:
    """The text, if a log line or a comparison can hold it.

    Args:
        field: Where it stands in the question, for what is said of it.
        text: The text.
        code: Of the error; by default `invalid_` and the first part of `field`.

    Raises:
        BadQuestionError: It cannot.
    """
    found = _CONTROL.search(text) if not (text.isascii() and text.isprintable()) else None
    if found is None:
        return text
    kind = "half of a surrogate pair" if found[0] >= "\ud800" else "a control character"
    raise BadQuestionError(code or f"invalid_{field.partition('.')[0]}", f"`{field}` holds {kind}")


def shown(text: str) -> str:
    """The sender's own text in a message: quoted, short, and safe to print."""
    return f"`{shortened(text)}`"


def shortened(text: str) -> str:
    """The same without quotes, of a message that has the sender's text in it."""
    return escape(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
