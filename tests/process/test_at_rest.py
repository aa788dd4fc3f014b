"""A publisher that goes on from what its workers map: no edit may come to anything else by that."""

from collections.abc import Iterator
from itertools import product
from random import Random

import pytest

from pdp.engine.decide import decide
from pdp.image.layout import ImageError
from pdp.image.reader import Image
from pdp.image.rules import FlatColumns
from pdp.index.rule_index import RuleIndex
from pdp.process.images import ImageShelf, Unpacker
from pdp.store.bundle import PolicyBundle, make_bundle
from pdp.store.loader import Loader
from pdp.store.publish import Accepted, Publisher, Rejected
from pdp.store.versions import Published
from tests.engine.asking import HEAD, NOW, ask
from tests.store.test_changes import EDITS
from tests.store.test_changes import files as changed

SERVICES = ("s", "t", "u")
WHO = ("prod/a", "prod/b", "prod/c", "prod/new", "prod/team/x", "prod/team/y")
PATHS = ("/x", "/x/1", "/y", "/y/1/z", "/")
TERMS = (
    *WHO,
    "prod/team/*",
    "prod/*",
    "any authenticated",
    "anyone",
    "g",
    "prod/a, prod/c",
    "g except prod/a",
)
TARGETS = ("GET /x", "GET /x/{id}", "PUT /y", "any /y/**", "GET /**", "any /x except /x/1", "GET /*/1/z")


class Resting:
    """A publisher whose versions are handed over, and read again."""

    def __init__(self, first: PolicyBundle) -> None:
        self.shelf, self.worker = ImageShelf(), Unpacker()
        loader = Loader()
        snapshot = loader.load(first, now=NOW).snapshot
        assert snapshot is not None
        self.publisher = Publisher(
            loader, snapshot, on_event=lambda _: None, now=NOW, change_over=self.change_over
        )
        image = self.change_over(self.publisher.current, first)
        self.publisher.rest_on(image)

    def change_over(self, published: Published, _: PolicyBundle | None) -> Image:
        parcel = self.shelf.pack(published.snapshot)
        self.mapped = self.worker.unpack(parcel.again().files).index
        image = self.shelf.read(parcel)
        parcel.close()
        return image


def answers(index: RuleIndex) -> Iterator[object]:
    for service, who, path, method in product(SERVICES, WHO, PATHS, ("GET", "PUT")):
        found = decide(index, ask(f"{who} {method} {path}", service=service))
        yield found.effect, found.region, [index.rule(service, rule) for rule in found.rules]


def afresh(files: PolicyBundle) -> RuleIndex:
    loaded = Loader().load(files, now=NOW)
    assert loaded.snapshot is not None
    return loaded.snapshot.index


def bundle(more: str = "") -> PolicyBundle:
    """A small set."""
    rules = "allow prod/a, prod/team/* to GET /x/{id}\n    deny prod/b to any /**\n"
    text = f"{HEAD}service s {{\n    {rules}{more}}}\nservice t {{}}\nallow prod/c to GET /y on any service\n"
    return make_bundle({"a.policy": text.encode()})


class Files:
    """A policy set that is edited at random."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.members = "prod/a, prod/b"
        self.rules: dict[str, list[str]] = {name: [] for name in (*SERVICES, "on any service", "on s, t")}

    def edit(self) -> PolicyBundle:
        """The set after one more edit."""
        random = self.random
        if random.random() < 0.1:
            self.members = ", ".join(random.sample(WHO, 2))
        rules = self.rules[random.choice(sorted(self.rules))]
        if len(rules) > 4 or (rules and random.random() < 0.3):
            rules.pop(random.randrange(len(rules)))
        effect = random.choice(("allow", "allow", "deny", "shadow deny"))
        rule = f"{effect} {random.choice(TERMS)} to {random.choice(TARGETS)}"
        rules.append(rule + random.choice(("", "", " when has tls.sni", " until 2030-01-01")))
        return self.bundle()

    def bundle(self) -> PolicyBundle:
        """The set: a file for each service, and one for all."""
        files = {"head.policy": f"{HEAD}group g = {{ {self.members} }}\n"}
        for where, rules in self.rules.items():
            if where in SERVICES:
                lines = "".join(f"    {rule}\n" for rule in rules)
                files[f"{where}.policy"] = f"language 1\nservice {where} {{\n{lines}}}\n"
            else:
                split = (
                    rule.partition(" until") if " until" in rule else rule.partition(" when")
                    for rule in rules
                )
                lines = "".join(f"{rule} {where}{clause}{rest}\n" for rule, clause, rest in split)
                files[f"{where[:4].strip()}{len(where)}.policy"] = f"language 1\n{lines}"
        return make_bundle({name: text.encode() for name, text in files.items()})


@pytest.mark.parametrize("seed", range(6))
def test_every_edit_comes_to_what_it_comes_to_afresh(seed: int) -> None:
    files = Files(seed)
    world = Resting(files.bundle())
    accepted = 0
    for _ in range(25):
        edited = files.edit()
        expected = Loader().load(edited, now=NOW)

        event = world.publisher.offer(edited, NOW)

        assert isinstance(event, Rejected) is (expected.snapshot is None), event
        if expected.snapshot is None:
            continue
        accepted += 1
        wanted = list(answers(expected.snapshot.index))
        assert list(answers(world.publisher.current.snapshot.index)) == wanted
        assert list(answers(world.mapped)) == wanted
    assert accepted > 5


@pytest.mark.parametrize("name", EDITS)
def test_what_changed_is_told_as_ever(name: str) -> None:
    old, new, told = EDITS[name]
    world = Resting(changed(""))

    event = world.publisher.offer(changed(old, new), NOW)

    assert isinstance(event, Accepted)
    assert str(event.changes) == told


def test_nothing_of_the_rules_is_held_twice() -> None:
    world = Resting(bundle())

    index = world.publisher.current.snapshot.index

    assert all(isinstance(service.columns, FlatColumns) for service in index.services.values())
    assert isinstance(index.undeclared.columns, FlatColumns)
    numbers = world.publisher._loader._compilation._numbers.atoms
    assert (len(numbers._own), len(numbers) > 0) == (0, True)


def test_a_service_that_did_not_change_is_taken_over_as_it_lies_there() -> None:
    two = {
        "a.policy": f"{HEAD}service s {{ allow prod/a to GET /x }}\n",
        "b.policy": "language 1\nservice t {}\n",
    }
    world = Resting(make_bundle({name: text.encode() for name, text in two.items()}))
    before = world.publisher.current.snapshot.index

    two["b.policy"] = "language 1\nservice t { allow prod/new to GET /y }\n"
    world.publisher.offer(make_bundle({name: text.encode() for name, text in two.items()}), NOW)

    after = world.publisher.current.snapshot.index
    assert after.services["s"] is before.services["s"]
    assert after.services["t"] is not before.services["t"]
    assert after.principals.patterns is before.principals.patterns


def test_many_new_principals_one_after_the_other() -> None:
    """Names lie in parts that are put together now and then; those at rest are among them."""
    rules = ["    allow prod/a to GET /x\n", "    allow prod/team/* to GET /y\n"]

    def files() -> PolicyBundle:
        text = f"{HEAD}group g = {{ prod/a, prod/n1, prod/n7 }}\nservice s {{\n{''.join(rules)}}}\n"
        return make_bundle({"a.policy": text.encode()})

    world = Resting(files())
    for number in range(40):
        who = f"prod/n{number}" if number % 5 else f"prod/n{number}, g except prod/n{number - 4}"
        rules.append(f"    allow {who} to GET /n{number}\n")
        assert isinstance(world.publisher.offer(files(), NOW), Accepted)
        fresh = afresh(files())
        for each in range(number + 1):
            for path in (f"/n{each}", f"/n{number}"):
                question = ask(f"prod/n{each} GET {path}")
                expected = decide(fresh, question).effect
                assert decide(world.mapped, question).effect is expected
                assert decide(world.publisher.current.snapshot.index, question).effect is expected


def test_an_edit_that_is_refused_changes_nothing_of_what_the_next_goes_on_from() -> None:
    world = Resting(bundle())
    broken = make_bundle({"a.policy": f"{HEAD}service s {{ allow prod/zz, nobody to GET /x }}\n".encode()})

    assert isinstance(world.publisher.offer(broken, NOW), Rejected)

    edited = bundle("    allow prod/new to GET /y\n")
    assert isinstance(world.publisher.offer(edited, NOW), Accepted)
    assert list(answers(world.publisher.current.snapshot.index)) == list(answers(afresh(edited)))


def test_workers_that_do_not_change_over_leave_what_was() -> None:
    world = Resting(bundle())
    read = world.change_over

    def fail(published: Published, files: PolicyBundle | None) -> Image:
        read(published, files)
        raise ImageError("planted")

    edited = bundle("    allow prod/new to GET /y\n")
    world.publisher._change_over = fail
    with pytest.raises(ImageError, match="planted"):
        world.publisher.offer(edited, NOW)
    world.publisher._change_over = read

    assert isinstance(world.publisher.offer(edited, NOW), Accepted)
    assert list(answers(world.mapped)) == list(answers(afresh(edited)))


def test_a_version_that_workers_serve_is_served_though_it_cannot_be_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the supervisor would tell and confirm one version while the workers answer by the next."""
    world = Resting(bundle())
    edited = bundle("    allow prod/new to GET /y\n")

    def fail(*_: object) -> None:
        raise RuntimeError("planted")

    with monkeypatch.context() as patch:
        patch.setattr(Loader, "rest_on", fail)
        with pytest.raises(RuntimeError, match="planted"):
            world.publisher.offer(edited, NOW + 5)

    assert world.publisher.current.number == 2
    assert world.publisher.confirmed_at == NOW + 5
    again = bundle("    allow prod/newer to GET /y\n")
    assert isinstance(world.publisher.offer(again, NOW + 9), Accepted)
    assert list(answers(world.mapped)) == list(answers(afresh(again)))
