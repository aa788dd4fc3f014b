"""Characters that no reader sees: none may stand in a policy, comments and text in quotes included.

Whoever reviews a change has to see what it says. A character without a shape, or one that
reorders what is shown after it, makes the text that is read another one than the text that
counts (Trojan Source, CVE-2021-42574). So does one at which some editors end a line and we do not.

They are added last to what is wrong with a text, so its bound is kept here as well.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from pdp.diagnostics import Diagnostic, Source, Span, sort
from pdp.limits import MAX_ERRORS_PER_FILE

__all__ = ["all_mistakes", "hidden_characters"]

# Controls but for tab, line ends and NUL, which makes a file no text (PDP102); what Unicode lets a
# program ignore (UAX 44, section 5.3: Default_Ignorable_Code_Point); the separators of lines and
# paragraphs; shorthand and annotations.
_HIDDEN: Final = re.compile(
    "[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_QUOTED: Final = re.compile(r'"(?:[^"\\\r\n]|\\.)*')


def hidden_characters(source: Source) -> list[Diagnostic]:
    """One diagnostic for each, up to one more than the bound of a file."""
    found: list[Diagnostic] = []
    for match in _HIDDEN.finditer(source.text):
        if len(found) > MAX_ERRORS_PER_FILE:
            break
        name = unicodedata.name(match[0], "a control character").lower()
        found.append(
            Diagnostic(
                code="PDP110",
                message=f"a character that is not seen: U+{ord(match[0]):04X}, {name}",
                span=Span(file=source.path, start=match.start(), end=match.end()),
                help="delete it: what a reader sees has to be what counts",
            )
        )
    return found


def all_mistakes(source: Source, found: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """What was found in a text and its hidden characters, by position and up to the bound of a file.

    What only follows from a hidden character is left out.
    """
    hidden = hidden_characters(source)
    places = [diagnostic.span.start for diagnostic in hidden]
    every = sort([*hidden, *(other for other in found if not _holds(other.span, places, source.text))])
    if len(every) <= MAX_ERRORS_PER_FILE:
        return every
    kept = every[:MAX_ERRORS_PER_FILE]
    message = f"there are more than {MAX_ERRORS_PER_FILE} mistakes in this file: the others are not shown"
    help_ = "correct these first"
    more = Diagnostic(code="PDP920", message=message, span=kept[-1].span, help=help_)
    return (*kept, more)


def _holds(span: Span, places: list[int], text: str) -> bool:
    """Whether one of the places lies in a span; a quote at its start stands for all that is quoted."""
    end = max(span.end, span.start + 1)
    if places and text.startswith('"', span.start) and (quoted := _QUOTED.match(text, span.start)):
        end = max(end, quoted.end())
    index = bisect_left(places, span.start)
    return index < len(places) and places[index] < end
