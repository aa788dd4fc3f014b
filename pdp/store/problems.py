"""What keeps a policy set from being read, in words.

Found while listing it by `pdp.store.tree`, while reading it by `pdp.store.bundle`.
"""

from typing import Final

from pdp.diagnostics import Diagnostic, Span, escape

__all__ = ["UNREADABLE", "WHOLE_SET", "problem", "reason"]

#: The `Span.file` of a problem that is not about one file.
WHOLE_SET: Final = "."

#: What to do about what may not be read, or cannot.
UNREADABLE: Final = "make it readable to the account that pdp runs as"


def problem(code: str, file: str, message: str, help_text: str = "") -> Diagnostic:
    """An error about one file, or about the `WHOLE_SET`; its name is made printable."""
    return Diagnostic(
        code=code, message=message, span=Span(file=escape(file), start=0, end=0), help=help_text
    )


def reason(error: OSError | ValueError) -> str:
    """Why the operating system refused, in its own words; a `ValueError` is a name that it cannot take."""
    text = getattr(error, "strerror", None) or "the name is not valid"
    return text[0].lower() + text[1:]
