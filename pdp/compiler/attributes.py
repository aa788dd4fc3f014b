"""The attributes that conditions may read, and how their values are normalised."""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from pdp.diagnostics import did_you_mean
from pdp.lang.ast import AttributeType

__all__ = ["BUILT_IN", "address", "attribute_type", "how_to_write", "known_type", "type_problem"]

_STRING = AttributeType.STRING
_STRINGS = AttributeType.STRINGS

_SHORT: Final = 72  # characters of a name that is remembered

BUILT_IN: Final[Mapping[str, AttributeType]] = {
    "source.ip": AttributeType.ADDRESS,
    "tls.version": _STRING,
    "tls.cipher": _STRING,
    "tls.sni": _STRING,
    "tls.alpn": _STRING,
    "request.host": _STRING,
    "request.scheme": _STRING,
    "request.port": AttributeType.INT,
    "user.iss": _STRING,
    "user.sub": _STRING,
    "user.azp": _STRING,
    "user.email": _STRING,
    "user.email_verified": AttributeType.BOOL,
    "user.aud": _STRINGS,
    "user.scope": _STRINGS,
    "user.groups": _STRINGS,
    "user.roles": _STRINGS,
    "principal.iss": _STRING,
    "principal.sub": _STRING,
    "principal.aud": _STRINGS,
    "principal.scope": _STRINGS,
}


def known_type(name: str, declared: Mapping[str, AttributeType]) -> AttributeType | None:
    """The type of an attribute, or None for a name that no rule can read; at once, whatever the name."""
    if name.startswith("header."):
        known = _is_short_header(name) if len(name) <= _SHORT else _is_header(name)
        return _STRINGS if known else None
    return BUILT_IN.get(name) or declared.get(name)


def _is_header(attribute: str) -> bool:
    name = attribute.removeprefix("header.")
    return bool(name) and name == name.lower() and "_" not in name and "." not in name


_is_short_header: Final = lru_cache(maxsize=4096)(_is_header)  # the same few in each question


def attribute_type(name: str, declared: Mapping[str, AttributeType]) -> AttributeType | str:
    """The same with a help line for a name that is not known, for authors: it takes a while to find."""
    known = known_type(name, declared)
    if known is not None:
        return known
    if name.startswith("header."):
        meant = f"header.{name.removeprefix('header.').lower().replace('_', '-')}"
        return f"a header is written in lower case, with `-` and without `_`: `{meant}`"
    return did_you_mean(name, [*BUILT_IN, *declared])


def how_to_write(type_: AttributeType) -> str:
    """A help line for a constant that should be of this type."""
    match type_:
        case AttributeType.STRING | AttributeType.STRINGS:
            return 'write text in quotes: `"..."`'
        case AttributeType.INT:
            return "write a whole number without quotes, such as `8443`"
        case AttributeType.BOOL:
            return "write `true` or `false` without quotes"
        case AttributeType.ADDRESS:
            return "write an address without quotes, such as `10.1.2.3`"


@lru_cache(maxsize=4096)
def address(text: object) -> IPv4Address | IPv6Address | None:
    """An address with `::ffff:a.b.c.d` as IPv4, or None for what is not one."""
    if not isinstance(text, str) or "%" in text:
        return None
    try:
        found = ip_address(text)
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found


def type_problem(type_: AttributeType, value: object) -> str:
    """What is wrong with a value of an attribute of this type, or `""`."""
    fits = False
    match type_:
        case AttributeType.STRING:
            fits = isinstance(value, str)
        case AttributeType.STRINGS:
            fits = isinstance(value, str) or (
                isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
            )
        case AttributeType.INT:
            fits = isinstance(value, int) and not isinstance(value, bool) and -(1 << 63) <= value < 1 << 63
        case AttributeType.BOOL:
            fits = isinstance(value, bool)
        case AttributeType.ADDRESS:
            fits = isinstance(value, str) and address(value) is not None
    return "" if fits else f"is not of type `{type_.value}`"
