"""Constants that conditions compare with: numbers, addresses and CIDR blocks."""

import re
from ipaddress import ip_network
from typing import Final, NoReturn

from pdp.diagnostics import Span
from pdp.lang import ast
from pdp.lang.patterns.problem import PatternError, fail

__all__ = ["begins_constant", "value_of_word"]

_LEAST: Final = -(1 << 63)
_GREATEST: Final = (1 << 63) - 1
_INTEGER: Final = re.compile(r"-?[0-9]+")
_DECIMAL: Final = re.compile(r"-?[0-9]+\.[0-9]+")
_LIKE_AN_ADDRESS: Final = re.compile(r"-?[0-9a-fA-F.:]+(/[0-9]+)?")


def value_of_word(text: str, span: Span) -> ast.Value:
    """A number, an address or a CIDR block; any other text has to be quoted."""
    if _INTEGER.fullmatch(text):
        number = int(text) if len(text) < 32 else 1 << 64
        if not _LEAST <= number <= _GREATEST:
            help_ = f"write a number from {_LEAST} to {_GREATEST}"
            fail("PDP320", "a number has at most 64 bits", (0, len(text)), help_)
        return ast.IntValue(value=number, span=span)
    if "." in text or ":" in text:
        try:
            ip_network(text, strict=True)
        except ValueError:
            if _LIKE_AN_ADDRESS.fullmatch(text):
                _fail_address(text)
        else:
            return ast.AddressValue(text=text, span=span)
    help_ = f'text is written in quotes: `"{text}"`'
    raise PatternError("PDP322", f"`{text}` is not a value", at=(0, len(text)), help_=help_)


def _fail_address(text: str) -> NoReturn:
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        address, block = ("2001:db8::1", "2001:db8::/32") if ":" in text else ("10.1.2.3", "10.0.0.0/8")
        help_ = f"write an address, such as `{address}`, or a block, such as `{block}`"
        help_ = "a number has no fraction" if _DECIMAL.fullmatch(text) else help_
        fail("PDP321", f"`{text}` is not an address or a CIDR block", (0, len(text)), help_)
    message = f"`{text}` is an address inside a block, not the block"
    fail("PDP321", message, (0, len(text)), f"the block is `{meant}`")


def begins_constant(text: str) -> bool:
    """Whether a word at the place of an operand is a number or an address, not an attribute's name."""
    if text[0].isdigit() or text[0] in "-:":
        return True
    if ":" not in text:
        return False
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True
