"""`--forwarded FORM --header 'NAME: VALUE'`, and the same in a line of a file: the headers of a request.

What they mean in a form is the business of `pdp.identity.forwarded`; here they only become lines.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import click

from pdp.identity.forwarded.forms import FORMS
from pdp.identity.forwarded.lines import Headers, as_bytes, lines_of_object
from pdp.vocabulary import EvidenceKind

__all__ = ["checked_lines", "form_of", "header_lines"]

_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, section 5.6.2


def header_lines(given: Sequence[str]) -> Headers:
    """The lines that `--header` gives, in their order; the spaces around a value do not belong to it.

    Raises:
        BadParameter: One is not `NAME: VALUE`.
    """
    found = []
    for line in given:
        name, colon, value = line.partition(":")
        if not colon or not _NAME.fullmatch(name):
            message = "write 'NAME: VALUE', such as 'ssl-client-verify: SUCCESS'"
            raise click.BadParameter(message, param_hint="--header")
        found.append((as_bytes(name), as_bytes(value.strip(" \t"))))
    return found


def checked_lines(given: Mapping[str, str | Sequence[str]]) -> Headers:
    """The lines of an object of headers.

    Raises:
        ValueError: A name is not one of a header.
    """
    for name in given:
        if not _NAME.fullmatch(name):
            raise ValueError("a name in `headers` is not one of a header")
    return lines_of_object(given)


def form_of(given: str) -> EvidenceKind:
    """The form of this name.

    Raises:
        ValueError: There is none.
    """
    if given not in FORMS:
        raise ValueError(f"`forwarded` is one of {', '.join(FORMS)}")
    return FORMS[given]
