"""Structured fields, as far as RFC 9440 needs them: Byte Sequences, alone and in a List.

RFC 9440 is written upon RFC 8941; RFC 9651, which came after it, changes nothing in these types, and forbids
a field that is defined upon the older one to use the newer types (section 2). So those are refused here.

Parameters are read and ignored. RFC 9440 defines none, and does not forbid them; an Item may carry some for
later extensions, and it is discouraged to refuse unknown ones (RFC 9651, section 2).

Narrower than the parser of RFC 9651, section 4.2.7: base64 without its padding, or with bits left over that
are not zero, is refused. Parsers should take it, but for the sake of libraries that cannot tell; serialisers
have to write the one and should write the other (section 4.1.8), and each certificate is written in one way
here.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from pdp.identity.forwarded.chain import check_count
from pdp.identity.forwarded.encodings import decode_base64
from pdp.identity.forwarded.refusal import invalid

__all__ = ["byte_sequence", "byte_sequences"]

_BYTES: Final = re.compile(r":([A-Za-z0-9+/=]*):")  # RFC 9651, section 4.2.7
_COMMA: Final = re.compile(r"[ \t]*,[ \t]*")  # section 4.2.1, steps 2.2 to 2.5
# RFC 9651, sections 4.2.3.2 and 4.2.3.3; of values, in this order, sections 4.2.4 to 4.2.8.
_PARAMETER: Final = re.compile(
    r"""; [ ]* [a-z*][a-z0-9_.*-]*
        (?: = (?: -?[0-9]{1,12}\.[0-9]{1,3}                       # a Decimal
                | -?[0-9]{1,15}                                   # an Integer
                | " (?: [ !\#-\[\]-~] | \\["\\] )* "              # a String
                | [A-Za-z*][A-Za-z0-9!\#$%&'*+.^_`|~:/-]*         # a Token
                | :(?: [A-Za-z0-9+/]{4} )*
                   (?: [A-Za-z0-9+/]{2}== | [A-Za-z0-9+/]{3}= )?: # a Byte Sequence
                | \?[01] ) )?                                     # a Boolean
    """,
    re.VERBOSE,
)


def byte_sequence(name: bytes, text: str) -> bytes:
    """The value of a field that is one Byte Sequence (RFC 9651, section 4.2.3).

    Args:
        name: The field's name, for what is said of it.
        text: The value of the field, in ASCII.

    Raises:
        ForwardedError: It is not one.
    """
    text = text.strip(" ")  # section 4.2, steps 2 and 6: spaces alone
    found, at = _member(name, text, 0)
    if _COMMA.match(text, at):
        raise invalid(name, "it is a list, where one certificate is expected")
    if at != len(text):
        raise invalid(name, "there is more in it than a Byte Sequence")
    return decode_base64(name, found)


def byte_sequences(name: bytes, lines: Sequence[str], *, besides: int) -> tuple[bytes, ...]:
    """The values of a field that is a List of Byte Sequences (RFC 9651, section 4.2.1).

    Each line has to be such a list by itself, which section 4.2 leaves to parsers: joined, the quotes of two
    lines could make a String of what is between them.

    Args:
        name: The field's name, for what is said of it.
        lines: The values of the field's lines, in ASCII.
        besides: How many certificates there are besides, in other fields.

    Raises:
        ForwardedError: A line is not such a list, or together they are longer than a chain may be.
    """
    members = [member for line in lines for member in _members(name, line.strip(" "))]
    check_count(name, besides + len(members))
    return tuple(decode_base64(name, member) for member in members)


def _members(name: bytes, text: str) -> Iterator[str]:
    at = 0
    while True:
        member, at = _member(name, text, at)
        yield member
        if at == len(text):
            return
        comma = _COMMA.match(text, at)
        if comma is None:
            raise invalid(name, "there is more in it than Byte Sequences and commas")
        at = comma.end()


def _member(name: bytes, text: str, at: int) -> tuple[str, int]:
    """What stands between the colons of the Byte Sequence at a place, and where the next thing is."""
    found = _BYTES.match(text, at)
    if found is None:
        raise invalid(name, "it is not a Byte Sequence: base64 between two colons")
    at = found.end()
    while parameter := _PARAMETER.match(text, at):
        at = parameter.end()
    return found[1], at
