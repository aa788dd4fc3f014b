"""Many requests, with what the reference interpreter says of them, and a look at whether `pdp` agrees.

The cases are made once, before any mutant is loaded; checking them then costs well under a second.
Besides the answers, the regions are checked: no request in one may have another answer.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

import msgspec

from pdp.lang import ast
from pdp.vocabulary import Region, Request
from tests.reference import interpreter
from tests.reference.strategies import random_policy_set, random_request

__all__ = ["Case", "agrees", "make_cases"]

_SEED = 20_261_121
_SETS = 100
_REQUESTS = 40
_TRIES = 3  # for each region
_USER = frozenset({"user.iss", "user.sub", "user.groups"})
_SEGMENTS = ("a", "b", "ab", "ba", "x.png", "ab.png", "zz", "secret", "")


@dataclass(frozen=True, slots=True)
class Case:
    """One policy set, requests about it, and the oracle's answers to them."""

    files: tuple[ast.File, ...]
    requests: list[Request]
    verdicts: list[tuple[object, ...]]


def make_cases() -> list[Case]:
    """The same cases every time. Reads no module that is mutated."""
    rng = Random(_SEED)
    cases = []
    for _ in range(_SETS):
        files = random_policy_set(rng)
        asked = [random_request(rng, files) for _ in range(_REQUESTS)]
        asked += [_crossed(rng, one, asked) for one in asked]
        verdicts = [_verdict(files, request) for request in asked]
        cases.append(Case(files, asked, verdicts))
    return cases


def _crossed(rng: Random, request: Request, asked: Sequence[Request]) -> Request:
    """Like the request but for a few coordinates, so that many requests share a region."""
    other = rng.choice(asked)
    names = rng.sample(["principal", "method", "path", "context", "user"], rng.randint(0, 3))
    crossed = msgspec.structs.replace(request, **{name: getattr(other, name) for name in names})
    segments = crossed.path[1:].split("/")
    for at in range(len(segments)):
        if rng.random() < 0.4:
            segments[at] = rng.choice(_SEGMENTS[:-1] if at < len(segments) - 1 else _SEGMENTS)
    if rng.random() < 0.3:
        segments += rng.choices(_SEGMENTS[:-1], k=rng.randint(1, 2))
    segments = [text for text in segments[:-1] if text] + segments[-1:]  # the oracle takes canonical paths
    return msgspec.structs.replace(crossed, path="/" + "/".join(segments))


def _verdict(files: Sequence[ast.File], request: Request) -> tuple[object, ...]:
    verdict = interpreter.decide(files, request)
    return (
        verdict.effect,
        verdict.enforced,
        verdict.obligations,
        verdict.valid_until,
        verdict.reason,
        verdict.rules,
        verdict.shadow,
    )


def agrees(cases: Sequence[Case]) -> bool:
    """Whether `pdp` agrees with every verdict, and its regions hold."""
    return not any(True for case in cases for _ in _disagreements(case))


def _disagreements(case: Case) -> Iterator[object]:
    from pdp.engine.decide import decide  # noqa: PLC0415 -- the mutant may be anywhere below it
    from pdp.engine.explain import explain  # noqa: PLC0415 -- the same
    from tests.property.compiled import compile_files, contains, deciding, full_context  # noqa: PLC0415 -- the same

    index = compile_files(case.files)
    contexts = [full_context(request) for request in case.requests]
    rng = Random(_SEED)
    for at, request in enumerate(case.requests):
        decision = decide(index, request)
        shadow = (decision.shadow.effect, decision.shadow.reason) if decision.shadow else None
        answer = (decision.effect, decision.enforced, decision.obligations, decision.valid_until)
        rules = deciding(index, request.service, decision)
        if (*answer, decision.reason, rules, shadow) != case.verdicts[at]:
            yield request
        if at % 8 == 0:
            explain(index, request, decision)
        if decision.region is None or not _is_plain(request):
            continue
        if not contains(decision.region, request, contexts[at]):
            yield decision.region
        for other in _inside(rng, decision.region, request, case.requests):
            if not _is_plain(other) or not contains(decision.region, other, full_context(other)):
                continue
            again = decide(index, other)
            if (again.effect, again.enforced, again.obligations, again.valid_until) != answer:
                yield other


def _inside(rng: Random, region: Region, request: Request, asked: Sequence[Request]) -> Iterator[Request]:
    """Requests like this one, most of them in its region, that differ in whatever it leaves free."""
    for _ in range(_TRIES):
        other = rng.choice(asked)
        segments = [
            step if isinstance(step, str) else rng.choice((*_SEGMENTS[:-1], *other.path[1:].split("/")))
            for step in region.path
        ]
        if region.rest:
            segments += rng.choices(_SEGMENTS[:-1], k=rng.randint(0, 2))
        context = {name: value for name, value in other.context.items() if name not in region.context}
        context |= {name: request.context[name] for name in region.context if name in request.context}
        yield msgspec.structs.replace(
            request,
            principal=request.principal if region.principal is not None else other.principal,
            method=request.method if region.method is not None else other.method,
            path="/" + "/".join(segments),
            context=context,
            user=request.user if not _USER.isdisjoint(region.context) else other.user,
        )


def _is_plain(request: Request) -> bool:
    """Whether a region may be used for it at all: `docs/caching.md`."""
    overridden = any("method" in name for name in request.context)
    segments = request.path[1:].split("/")
    canonical = "" not in segments[:-1] and "." not in segments and ".." not in segments
    return canonical and re.fullmatch("[A-Z][A-Z0-9_-]*", request.method) is not None and not overridden
