"""The rules and the questions that everyone is measured with, in no engine's language.

Ten rules are a group: what one principal may do with one service. Eight allow, by patterns whose `{id}`
is any one segment; one denies a part of what another of the ten allows; one denies what nothing allows.
What a question has to be answered with is known from how it was made, without asking any engine. How
each peer writes these rules down is left to its own module.
"""

from collections.abc import Iterator
from math import isqrt
from random import Random
from typing import Final, NamedTuple

__all__ = ["DOMAIN", "GROUP", "Question", "Rule", "questions", "rules"]

DOMAIN: Final = "prod.example.org"
GROUP: Final = 10
_SERVICES: Final = 100
_KINDS: Final = 100  # resources of a service: principals share them, as they do in life
_PARTS: Final = ("lines", "audit", "history")


class Rule(NamedTuple):
    """One rule: `path` is a pattern, in which `{id}` and `{part}` are any one segment."""

    allows: bool
    principal: str
    service: str
    method: str
    path: str


class Question(NamedTuple):
    """One question, and the answer to it.

    Attributes:
        kind: `allowed`, `no match`, `denied` where nothing allows it, `overridden` where something does.
    """

    principal: str
    service: str
    method: str
    path: str
    allowed: bool
    kind: str


class _Group(NamedTuple):
    principal: str
    service: str
    first: int

    def kind(self, number: int) -> str:
        return f"r{(self.first + number) % _KINDS}"


def _group(number: int, count: int) -> _Group:
    services = max(1, min(_SERVICES, isqrt(count)))
    service, workload = number % services, number // services
    return _Group(
        principal=f"spiffe://{DOMAIN}/ns/n{workload % 50}/sa/w{workload}",
        service=f"s{service}",
        first=7 * workload + service,
    )


def rules(count: int) -> Iterator[Rule]:
    """So many rules, a multiple of ten."""
    groups = count // GROUP
    for number in range(groups):
        group = _group(number, groups)
        who = (group.principal, group.service)
        for kind in range(6):
            yield Rule(True, *who, "GET", f"/v1/{group.kind(kind)}/{{id}}")
        yield Rule(True, *who, "POST", f"/v1/{group.kind(0)}/{{id}}/notes")
        yield Rule(True, *who, "GET", f"/v1/{group.kind(0)}/{{id}}/{{part}}")
        yield Rule(False, *who, "GET", f"/v1/{group.kind(0)}/{{id}}/secret")
        yield Rule(False, *who, "DELETE", f"/v1/{group.kind(1)}/{{id}}")


def questions(count: int, number: int = 10_000, seed: int = 1) -> list[Question]:
    """So many questions about so many rules: of ten, seven are allowed, two match nothing, one is denied."""
    random = Random(seed)
    groups = count // GROUP
    asked = []
    for turn in range(number):
        group = _group(random.randrange(groups), groups)
        match turn % 10:
            case 0 | 1:
                asked.append(_unmatched(group, random))
            case 2:
                asked.append(_denied(group, random, overrides=turn % 20 == 2))
            case _:
                asked.append(_allowed(group, random))
    random.shuffle(asked)
    return asked


def _item(random: Random) -> str:
    return f"i{random.randrange(10_000_000)}"


def _allowed(group: _Group, random: Random) -> Question:
    kind, item = random.randrange(8), _item(random)
    method, path = "GET", f"/v1/{group.kind(kind)}/{item}"
    if kind == 6:
        method, path = "POST", f"/v1/{group.kind(0)}/{item}/notes"
    if kind == 7:
        path = f"/v1/{group.kind(0)}/{item}/{random.choice(_PARTS)}"
    return Question(group.principal, group.service, method, path, True, "allowed")


def _denied(group: _Group, random: Random, *, overrides: bool) -> Question:
    item = _item(random)
    if overrides:
        path = f"/v1/{group.kind(0)}/{item}/secret"
        return Question(group.principal, group.service, "GET", path, False, "overridden")
    path = f"/v1/{group.kind(1)}/{item}"
    return Question(group.principal, group.service, "DELETE", path, False, "denied")


def _unmatched(group: _Group, random: Random) -> Question:
    """A stranger, another method, a resource that is not theirs, or a segment too many."""
    item = _item(random)
    who, method, path = group.principal, "GET", f"/v1/{group.kind(2)}/{item}"
    match random.randrange(4):
        case 0:
            who = f"spiffe://{DOMAIN}/ns/other/sa/x{random.randrange(1000)}"
        case 1:
            method = "PATCH"
        case 2:
            path = f"/v1/{group.kind(50)}/{item}"
        case _:
            path = f"/v1/{group.kind(2)}/{item}/lines/more"
    return Question(who, group.service, method, path, False, "no match")
