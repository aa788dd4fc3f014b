"""Regions are maximal: what one step more of any field would take in is answered otherwise.

Brute force over small alphabets. Where a region could be wider and stay sound, it has to be for
one of the reasons that docs/caching.md gives, and the rules have to show it.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest

from pdp.vocabulary import Excluding, PathStep, Region
from tests.property.narrowness import CLASSES, Rules, Wider
from tests.property.small_sets import CONDITIONS, LITERALS, MANY, Place, World, policy_text, worlds

SEEDS = range(3)
SETS_PER_SEED = 36
REQUESTS_PER_SET = 300
FIELDS = ("principal", "method", "context", "segment", "not", "rest", "length")


def widened(region: Region, world: World) -> Iterator[Wider]:
    """The region with each of its fields widened by the least step that a region can express."""
    replace = msgspec.structs.replace
    if region.principal is not None:
        yield Wider(field="principal", region=replace(region, principal=None))
    if region.method is not None:
        yield Wider(field="method", region=replace(region, method=None))
    for name in region.context:
        kept = {other: value for other, value in region.context.items() if other != name}
        yield Wider(field="context", step=name, region=replace(region, context=kept))
    for at, step in enumerate(region.path):
        for field, wider in _wider_steps(step, world):
            path = (*region.path[:at], wider, *region.path[at + 1 :])
            yield Wider(field=field, step=at, region=replace(region, path=path))
    if not region.rest:  # no step admits an empty segment and another one; `rest` admits both
        path = region.path[:-1] if region.path[-1] == "" else region.path
        yield Wider(field="rest", region=replace(region, path=path, rest=True))
    elif region.path:
        yield Wider(field="length", region=replace(region, path=region.path[:-1]))


def _wider_steps(step: PathStep, world: World) -> Iterator[tuple[str, PathStep]]:
    """A segment becomes itself and whatever no rule names; an exclusion loses one of its texts."""
    if isinstance(step, Excluding):
        for kind in ("segments", "prefixes", "suffixes"):
            texts = getattr(step, kind)
            for text in texts:
                left = tuple(other for other in texts if other != text)
                yield "not", msgspec.structs.replace(step, **{kind: left})
    elif step:
        yield (
            "segment",
            Excluding(
                tuple(text for text in world.kind.literals if text != step),
                tuple(text for text in world.kind.prefixes if not step.startswith(text)),
                tuple(text for text in world.kind.suffixes if not step.endswith(text)),
            ),
        )


def regions(world: World, random: Random) -> Iterator[tuple[Place, Region]]:
    """The regions of some requests, each once for each choice of deciding rules."""
    seen = set()
    for place in random.choices(list(world.everywhere()), k=REQUESTS_PER_SET):
        decision = world.decision(place)
        region = decision.region
        key = (region.principal, region.method, region.path, region.rest, *region.context.items())
        if (key, decision.rules) not in seen:
            seen.add((key, decision.rules))
            yield place, region


def taken_in(world: World, region: Region, wider: Wider) -> list[Place]:
    """The requests that lie in the wider region only."""
    inside = set(world.members(region))
    return [place for place in world.members(wider.region) if place not in inside]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_field_of_a_region_can_be_wider_but_for_a_documented_reason(seed):
    random, checked, maximal = Random(seed), Counter(), Counter()
    for world in worlds(random, SETS_PER_SEED):
        rules = Rules(world)
        for place, region in regions(world, random):
            answer = world.answer(place)
            assert all(world.answer(other) == answer for other in world.members(region)), (world.text, region)
            for wider in widened(region, world):
                added = taken_in(world, region, wider)
                if not added:
                    continue
                checked[wider.field] += 1
                if any(world.answer(other) != answer for other in added):
                    maximal[wider.field] += 1
                    continue

                reason = rules.why(place, wider, added)

                assert reason is not None, (world.text, world.request(place), region, wider)
    assert min(checked[field] for field in FIELDS) > 50, checked
    assert min(maximal[field] for field in FIELDS) > 20, maximal


EXAMPLES = [
    ("Cells", LITERALS, "allow anyone to GET /**\nallow anyone to PUT /a", "prod/a GET /y", "not"),
    ("Ways to a cell", LITERALS, "allow anyone to GET /a/b", "prod/a GET /a/y", "segment"),
    (
        "Many names",
        MANY,
        "\n".join(f"allow prod/a to GET /n{n}" for n in range(9)),
        "prod/a GET /y",
        "segment",
    ),
    ("Equal segments", LITERALS, "allow anyone to GET /{c}/{c}", "prod/a GET /y/a", "segment"),
    (
        "Rules read whole",
        CONDITIONS,
        'allow anyone to GET /a when mesh.zone == "a" and mesh.tier == "a"',
        "prod/a GET /a",
        "context",
    ),
    ("Several rules", LITERALS, "deny prod/a to GET /a", "prod/a GET /a", "principal"),
    (
        "Allows that are shut",
        LITERALS,
        "allow prod/a to GET /a\ndeny prod/a to GET /a",
        "prod/b GET /a",
        "principal",
    ),
    (
        "Restricting rules",
        LITERALS,
        "allow anyone to any /a reuse at most 5s\nallow prod/a to any /a reuse at most 5s",
        "prod/b GET /a",
        "principal",
    ),
    (
        "Time",
        LITERALS,
        "allow anyone to any /a\ndeny anyone to any /a until 2027-01-01",
        "prod/a GET /a",
        "principal",
    ),
    ("Observed services", LITERALS, "allow anyone to GET /b", "prod/a GET /a", "principal"),
]


@pytest.mark.parametrize(
    ("name", "kind", "rules", "question", "field"), EXAMPLES, ids=[name for name, *_ in EXAMPLES]
)
def test_each_documented_class_exists(name, kind, rules, question, field):
    world = World(policy_text(rules, observed=name == "Observed services"), kind, frozenset())
    place = world.place(question)
    region = world.decision(place).region

    wider = next(each for each in widened(region, world) if each.field == field)
    added = taken_in(world, region, wider)

    assert {world.answer(other) for other in added} == {world.answer(place)}
    assert Rules(world).why(place, wider, added) == name


def test_the_classes_are_those_of_the_documentation():
    text = (Path(__file__).parents[2] / "docs" / "caching.md").read_text(encoding="utf-8")
    section = text.partition("## Where it is smaller than it could be")[2].partition("\n## ")[0]

    assert re.findall(r"^- \*\*(.+?)\.\*\*", section, re.MULTILINE) == list(CLASSES)
    assert {name for name, *_ in EXAMPLES} == set(CLASSES)
