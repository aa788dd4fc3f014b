"""Conditions are data: they survive being written down, and say the same afterwards."""

from pathlib import Path

import msgspec
import pytest

from pdp.compiler.conditions import closure
from pdp.compiler.evaluation import Evaluation, Place, Truth
from pdp.compiler.rows import Detail
from pdp.compiler.terms import Compared, MemberOf, SameAs, Term
from pdp.lang.ast import AttributeType, Operator
from pdp.store.bundle import make_bundle, read_bundle
from pdp.store.loader import Loader
from pdp.store.snapshot import Snapshot

NOW = 1_800_000_000_000
EVERY = """language 1
trust domain prod = "prod.test"
issuer corp = "https://corp.test"
attribute mesh.tenant is string
attribute mesh.level is int
attribute mesh.live is bool
attribute mesh.from is ip
attribute mesh.roles is strings
group g = { prod/a, prod/b }
condition c = mesh.tenant == "t" or not mesh.live == true
service s {
    allow prod/{who} to GET /1/{id} when {who} == {id} and mesh.tenant == {id} as same
    allow prod/* on behalf of corp/*, corp/alice, group corp/devs, any user to GET /2 as users
    allow prod/* to GET /3 when mesh.level >= 3 and mesh.level in { 3, 4 } unless c as numbers
    allow prod/* to GET /4 when mesh.from in { 10.0.0.0/8, ::1 } as addresses
    allow prod/* to GET /5 when mesh.roles has "admin" and has mesh.tenant as lists
    allow prod/* to GET /6 when principal in g as groups
    allow prod/* to GET /7 when during mon-fri 09:00-17:00 in Europe/Berlin as hours
}
"""


def conditions(snapshot: Snapshot) -> list[Detail]:
    columns = [each.columns for each in (*snapshot.index.services.values(), snapshot.index.undeclared)]
    details = [detail for each in columns for detail in each.details.values()]
    return [detail for detail in details if detail.condition is not None]


def snapshot_of(text: str | None) -> Snapshot:
    bundle = make_bundle({"a.policy": text.encode()}) if text else read_bundle(Path("policies"))
    loaded = Loader().load(bundle, now=NOW)
    assert loaded.snapshot is not None, loaded.diagnostics
    return loaded.snapshot


@pytest.mark.parametrize("text", [EVERY, None], ids=["every kind", "the examples"])
def test_a_term_survives_being_written_down(text: str | None) -> None:
    found = conditions(snapshot_of(text))
    assert len(found) >= 3

    for detail in found:
        assert detail.condition is not None
        written = msgspec.msgpack.encode(detail.condition.term)
        again = msgspec.msgpack.decode(written, type=Term)
        assert again == detail.condition.term
        assert msgspec.msgpack.encode(again) == written


def evaluation(**context: object) -> Evaluation:
    return Evaluation(
        atoms=(), principal=("a",), path=["x", "a"], context=context,  # type: ignore[arg-type]
        supplied=frozenset({"header"}), user=None, now=NOW,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("term", "truth"),
    [
        (SameAs(Place(True, 0), AttributeType.STRING, Place(False, 1), AttributeType.STRING), True),
        (SameAs("t", AttributeType.STRINGS, Place(False, 1), AttributeType.STRING), None),
        (Compared("n", Operator.LT, AttributeType.INT, 5), True),
        (Compared("n", Operator.LT, AttributeType.INT, 4), False),
        (MemberOf("ip", AttributeType.ADDRESS, ("::ffff:10.0.0.0/104",)), True),
        (MemberOf("ip", AttributeType.ADDRESS, ("11.0.0.0/8", "::/0")), False),
    ],
)
def test_a_term_that_was_read_decides(term: Term, truth: Truth) -> None:
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(term), type=Term)

    assert closure(again)(evaluation(t=("a", "b"), n=4, ip="10.1.2.3")) is truth
