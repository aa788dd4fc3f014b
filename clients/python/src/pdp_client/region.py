"""Regions, and which requests lie in one: the rule of `docs/caching.md` of pdp, word for word.

This is the definition. `pdp_client.region_index` finds the same by look-ups, and is held to it by a test.
What of a request counts is put together by `pdp_client.plain`.
"""

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from pdp_client.question import AttributeValue

__all__ = ["Asked", "Excluding", "PathStep", "Pin", "Region", "admits", "contains", "pin", "pin_of"]


class Excluding(msgspec.Struct, frozen=True):
    """Any one segment that is not empty, but those listed."""

    segments: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()


#: A segment; or None for any one that is not empty; or any one but those listed.
PathStep: TypeAlias = str | Excluding | None

#: A value as it is compared. The type is part of it: to Python 1 and True are equal.
Pin: TypeAlias = str | tuple[str | int, ...] | None


class Region(msgspec.Struct, frozen=True, kw_only=True):
    """The requests over which an answer holds.

    Attributes:
        service: The service, by name.
        principal: The principal's id, or None: the answer did not read it.
        method: The method, or None: the answer did not read it.
        path: One step for each segment of the path.
        rest: Whether any further segments may follow.
        context: The attributes that were read, with their values.
        evidence: Members of the question that were proven: `principal`, `user`.
    """

    service: str
    principal: str | None
    method: str | None
    path: tuple[PathStep, ...]
    rest: bool
    context: Mapping[str, Pin]
    evidence: tuple[str, ...] = ()


class Asked(msgspec.Struct, frozen=True, gc=False):
    """What of a plain request counts for membership.

    Attributes:
        service: The service by name, or None where it was asked by host.
        host: The host in the words of the question, or None.
        principal: The principal's id; None where it is to be proven.
        proof: A digest of the evidence for the principal, or None where it is named.
        user: The user's attributes, as they are compared.
        user_proof: A digest of the evidence for the user, or None.
        method: The method.
        segments: The path's segments.
        context: Attributes by name.
    """

    service: str | None
    host: str | None
    principal: str | None
    proof: bytes | None
    user: Mapping[str, Pin]
    user_proof: bytes | None
    method: str
    segments: list[str]
    context: Mapping[str, AttributeValue]


def pin(value: AttributeValue) -> Pin:
    """A value as it is compared. An empty list is absent; lists are compared in order."""
    if value is None or value.__class__ is str:
        return value
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, int):
        return ("int", value)
    if isinstance(value, str):
        return str(value)
    return ("list", *value) if value else None


#: What is the user's own, whatever the context says.
_OF_THE_USER = frozenset({"user.iss", "user.sub", "user.groups"})


def pin_of(asked: Asked, name: str) -> Pin:
    """The value of an attribute in a request."""
    if name in _OF_THE_USER:
        return asked.user.get(name)
    return pin(asked.context.get(name))


def contains(region: Region, asked: Asked, answered: Asked) -> bool:
    """Whether a plain request lies in the region of the answer to another.

    Args:
        region: The region.
        asked: The request.
        answered: The request whose answer it is: evidence is compared with its.
    """
    return (
        (region.service == asked.service if answered.host is None else answered.host == asked.host)
        and _is_same_evidence(region, asked, answered)
        and (region.principal is None or asked.proof is not None or region.principal == asked.principal)
        and (region.method is None or region.method == asked.method)
        and _is_on(region, asked.segments)
        and all(
            pin_of(asked, name) == value
            for name, value in region.context.items()
            if not is_proven(name, region.evidence)
        )
    )


def is_proven(name: str, evidence: tuple[str, ...]) -> bool:
    """Whether an attribute comes out of evidence: the very same evidence has the very same value."""
    return name.partition(".")[0] in evidence


def _is_same_evidence(region: Region, asked: Asked, answered: Asked) -> bool:
    """Evidence that is named is the very same; evidence that is not named is not there."""
    proof = answered.proof if "principal" in region.evidence else None
    user = answered.user_proof if "user" in region.evidence else None
    if ("principal" in region.evidence and proof is None) or ("user" in region.evidence and user is None):
        return False
    return asked.proof == proof and asked.user_proof == user


def _is_on(region: Region, segments: list[str]) -> bool:
    if len(segments) < len(region.path) or (len(segments) > len(region.path) and not region.rest):
        return False
    return all(admits(step, segment) for step, segment in zip(region.path, segments, strict=False))


def admits(step: PathStep, segment: str) -> bool:
    """Whether a step admits a segment."""
    if isinstance(step, str):
        return step == segment
    if not segment:
        return False
    return step is None or not (
        segment in step.segments
        or (step.prefixes and segment.startswith(step.prefixes))
        or (step.suffixes and segment.endswith(step.suffixes))
    )
