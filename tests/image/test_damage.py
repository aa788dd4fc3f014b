"""An image that is not what was written is an error, and never an answer."""

from hashlib import sha256
from random import Random

import msgspec
import pytest

from pdp.engine.decide import decide
from pdp.engine.explain import explain
from pdp.image.layout import ImageError
from pdp.image.manifest import Manifest, Place, read_manifest, write_manifest
from pdp.index.rule_index import RuleIndex
from tests.engine.asking import ask, snapshot_of
from tests.image.flat import Press

POLICY = """
group g = { prod/ns/a/sa/*, prod/b, dns *.vm.test }
condition c = header.x == "1" or during mon-fri 09:00-17:00 in Europe/Berlin
service s {
    allow g except prod/ns/a/sa/no to GET /a/{id}/**/x.png except /a/secret/** when c because "reason"
    allow prod/ns/{n}/sa/* to GET /n/{n}/pre*, POST /n/*end as named
    deny any authenticated to any /a/** unless principal in g
    shadow deny anyone to GET /n/**
""" + "".join(f"    allow prod/p{n} to GET /many/{n}\n" for n in range(80)) + "}\n"  # fmt: skip
QUESTIONS = [
    ask(f"{who} {method} {path}", context={"header.x": ("1",)})
    for who in ("prod/ns/a/sa/x", "prod/b", "prod/p7", "dns:x.vm.test", "-")
    for method in ("GET", "POST")
    for path in ("/a/1/x.png", "/a/secret/x.png", "/n/a/prex", "/n/xend", "/many/7", "/other")
]


@pytest.fixture(scope="module")
def press() -> Press:
    made = Press()
    made.write(snapshot_of(POLICY).index)
    return made


def manifest_of(press: Press) -> Manifest:
    assert press.contents is not None
    return Manifest(files=(0,), places=tuple(press.places.values()), contents=press.contents)


def all_answers(index: RuleIndex) -> list[object]:
    found = []
    for request in QUESTIONS:
        decision = decide(index, request)
        rules = [index.rule(request.service, rule) for rule in decision.rules]
        found.append((decision, explain(index, request, decision), rules))
    return found


def test_a_changed_byte_is_an_error(press: Press) -> None:
    content = press.files[0]
    for at in Random(1).sample(range(len(content)), 200):
        damaged = bytearray(content)
        damaged[at] ^= 1 << at % 8
        with pytest.raises(ImageError, match="damaged"):
            Press().read(manifest_of(press), {0: bytes(damaged)})


def test_a_file_that_is_cut_short_is_an_error(press: Press) -> None:
    for length in (0, 1, len(press.files[0]) // 2, len(press.files[0]) - 1):
        with pytest.raises(ImageError):
            Press().read(manifest_of(press), {0: press.files[0][:length] or b"\0"})


def test_a_file_that_is_not_there_is_an_error(press: Press) -> None:
    with pytest.raises(ImageError, match="missing"):
        Press().read(manifest_of(press), {1: press.files[0]})


def test_a_manifest_that_is_none_is_an_error(press: Press) -> None:
    written = write_manifest(manifest_of(press))
    for content in (b"", b"\x80", written[:-1], written + b"\0", b"\x91" * 100_000):
        with pytest.raises(ImageError):
            read_manifest(content)


def test_parts_in_each_others_places_are_an_error(press: Press) -> None:
    places = list(press.places.values())
    for one, two in zip(places, [*places[1:], places[0]], strict=True):
        swapped = [msgspec.structs.replace(two, part=one.part) if each is one else each for each in places]
        forged = msgspec.structs.replace(manifest_of(press), places=tuple(swapped))
        with pytest.raises(ImageError):
            all_answers(Press().read(forged, press.files).index)


def test_what_was_forged_ends_in_an_error_or_an_answer_and_in_time(press: Press) -> None:
    """Whoever writes the digests as well can write any policy: all that is asked is that nothing breaks."""
    rng = Random(2)
    answered = failed = 0
    for _ in range(400):
        place = rng.choice(list(press.places.values()))
        content = bytearray(press.files[0])
        for _ in range(rng.randint(1, 4)):
            content[place.start + rng.randrange(place.length)] = rng.choice(
                (0, 1, 0x7F, 0xFF, rng.randrange(256))
            )
        part = bytes(content[place.start : place.start + place.length])
        forged = Place(place.part, 0, place.start, place.length, sha256(part).digest())
        places = tuple(forged if each is place else each for each in press.places.values())
        try:
            manifest = msgspec.structs.replace(manifest_of(press), places=places)
            all_answers(Press().read(manifest, {0: bytes(content)}).index)
            answered += 1
        except (ImageError, IndexError):  # a row that there is not
            failed += 1

    assert min(answered, failed) > 20
