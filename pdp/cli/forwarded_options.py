"""`--forwarded FORM --header 'NAME: VALUE'`, and the same in a line of a file: the headers of a request.

What they mean in a form is the business of `pdp.identity.forwarded`; here they only become lines.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import click

from pdp.identity.forwarded.forms import ForwardedForm
from pdp.identity.forwarded.lines import Headers

__all__ = ["FORMS", "form_of", "header_lines", "lines_of_object"]

#: How forms are named.
FORMS: Final = tuple(form.value for form in ForwardedForm)

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
        found.append((_bytes(name), _bytes(value.strip(" \t"))))
    return found


def lines_of_object(given: Mapping[str, str | Sequence[str]]) -> Headers:
    """The lines that an object of headers stands for: a value for each name, or several, a line for each.

    Raises:
        ValueError: A name is not one of a header.
    """
    for name in given:
        if not _NAME.fullmatch(name):
            raise ValueError("a name in `headers` is not one of a header")
    lines = ((name, [value] if isinstance(value, str) else value) for name, value in given.items())
    return [(_bytes(name), _bytes(value)) for name, values in lines for value in values]


def form_of(given: str) -> ForwardedForm:
    """The form of this name.

    Raises:
        ValueError: There is none.
    """
    if given not in FORMS:
        raise ValueError(f"`forwarded` is one of {', '.join(FORMS)}")
    return ForwardedForm(given)


def _bytes(text: str) -> bytes:
    """What is beyond ASCII stays so, whatever it was: the forms refuse it."""
    return text.encode("utf-8", "surrogatepass")
