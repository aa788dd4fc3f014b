"""Claims as attributes of the policy language: typed, or left out.

A rule reads `user.scope` or `principal.aud`. What the language has a type for comes out with that
type, and any other claim with the type that its value has. A claim of another type than the language's
is left out: a condition that reads it is unknown, which opens nothing.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from pdp.limits import MAX_CONTEXT_ATTRIBUTES
from pdp.vocabulary import AttributeValue

__all__ = ["claim_attributes", "unreadable_claims"]

_STRINGS: Final = frozenset({"aud", "scope", "groups", "roles"})
_STRING: Final = frozenset({"iss", "sub", "azp", "email"})
_BOOL: Final = frozenset({"email_verified"})
_KNOWN: Final = _STRINGS | _STRING | _BOOL
#: What can be written after the dot; a claim with another name cannot be read by any rule.
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def unreadable_claims(claims: Mapping[str, Any], found: Mapping[str, AttributeValue]) -> frozenset[str]:
    """Claims that are there and that `claim_attributes` has not found, though a rule could name them."""
    return frozenset(name for name in claims if name not in found and _NAME.fullmatch(name))


def claim_attributes(claims: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """The claims that rules can read, by name, without the family before it."""
    found: dict[str, AttributeValue] = {}
    first = [name for name in claims if name in _KNOWN]  # whatever else stands before them
    for name in [*first, *(name for name in claims if name not in _KNOWN)]:
        value = claims[name]
        if len(found) == MAX_CONTEXT_ATTRIBUTES:
            break
        if _NAME.fullmatch(name) and (typed := _typed(name, value)) is not None:
            found[name] = typed
    return found


def _typed(name: str, value: Any) -> AttributeValue | None:
    if name == "scope" and isinstance(value, str):
        return tuple(value.split(" ")) if value else ()  # RFC 8693 section 4.2: a list with spaces between
    if name == "aud" and isinstance(value, str):
        return (value,)  # RFC 7519 section 4.1.3: one may stand without a list
    if isinstance(value, list):
        listed = all(isinstance(each, str) for each in value)
        return tuple(value) if listed and name not in _STRING | _BOOL else None
    if isinstance(value, bool):
        return None if name in _STRING | _STRINGS else value
    if isinstance(value, str):
        return None if name in _STRINGS | _BOOL else value
    if isinstance(value, int):
        return None if name in _STRING | _STRINGS | _BOOL else value
    return None
