"""The lines of one header, before anything is made of them.

This module holds what every form asks of a header, whatever is in it: that it is there, as often as the form
has it, within a bound, and in visible ASCII. What a value means is the business of the forms.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from pdp.identity.forwarded.refusal import invalid, missing
from pdp.limits import MAX_HEAD_BYTES

__all__ = ["Headers", "all_lines", "as_bytes", "lines_of", "lines_of_object", "only_line"]

#: Names and values as they arrived, every line of its own.
Headers: TypeAlias = Sequence[tuple[bytes, bytes]]

_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110, section 5.5: all but the tab
# What Caddy, nginx, HAProxy, Apache and Envoy put values into, with the colon that RFC 9440 wants before one.
# In the middle of a value the forms themselves refuse these characters; this tells operators what is wrong.
_PLACEHOLDER: Final = re.compile(rb":?(?:\{|\$|%\[|%\{|%[A-Z_]+[%(])")


def lines_of_object(given: Mapping[str, str | Sequence[str]]) -> Headers:
    """The lines that an object of headers stands for: a value for each name, or several, a line for each.

    What is beyond ASCII stays so, whatever it was: the forms refuse it.
    """
    lines = ((name, (value,) if isinstance(value, str) else value) for name, value in given.items())
    return [(as_bytes(name), as_bytes(value)) for name, values in lines for value in values]


def as_bytes(text: str) -> bytes:
    """A name or a value as bytes."""
    return text.encode("utf-8", "surrogatepass")


def lines_of(headers: Headers, name: bytes) -> tuple[bytes, ...]:
    """The values of every line of one name, in their order.

    Args:
        headers: The headers of a request.
        name: The name, in lower case. One that arrived in capitals is the same (RFC 9110, section 5.1).
    """
    return tuple(value for found, value in headers if found.lower() == name)


def only_line(name: bytes, lines: Sequence[bytes]) -> str:
    """The value of a header that has exactly one line (RFC 9110, section 5.5: a singleton field).

    Args:
        name: The header's name, for what is said of it.
        lines: The values of every line of that name.

    Raises:
        ForwardedError: There is none, or more than one, or its value is none of any form.
    """
    if not lines:
        raise missing(name)
    if len(lines) > 1:
        raise invalid(name, "it stands there more than once")
    return _readable(name, *lines)


def all_lines(name: bytes, lines: Sequence[bytes]) -> tuple[str, ...]:
    """The values of a header that is a list, which may be spread over lines (RFC 9110, section 5.3).

    Args:
        name: The header's name, for what is said of it.
        lines: The values of every line of that name.

    Raises:
        ForwardedError: A value is none of any form, or all together are longer than one may be.
    """
    _check_size(name, sum(map(len, lines)))
    return tuple(_readable(name, line) for line in lines)


def _readable(name: bytes, value: bytes) -> str:
    _check_size(name, len(value))
    if not value.strip(b" \t"):
        raise invalid(name, "it is empty")
    if not value.isascii():
        raise invalid(name, "it has a character beyond ASCII")
    if _CONTROL.search(value):
        raise invalid(name, "it has a control character")
    if _PLACEHOLDER.match(value):
        raise invalid(name, "it is a placeholder that the proxy did not fill in")
    return value.decode("ascii")


def _check_size(name: bytes, size: int) -> None:
    if size > MAX_HEAD_BYTES:
        raise invalid(name, f"it has more than {MAX_HEAD_BYTES} bytes")
