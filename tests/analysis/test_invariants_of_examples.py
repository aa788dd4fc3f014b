"""The example set: its invariants hold, and each of them fails where the policies are broken."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from pdp.store.snapshot import Loaded

NOW = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp() * 1000)
FOLDER = Path(__file__).parents[2] / "policies"


def files() -> dict[str, str]:
    return {str(path.relative_to(FOLDER)): path.read_text() for path in FOLDER.rglob("*.*") if path.is_file()}


def load(texts: dict[str, str]) -> Loaded:
    return Loader().load(make_bundle({name: text.encode() for name, text in texts.items()}), now=NOW)


def broken(*edits: tuple[str, str, str]) -> list[str]:
    """What is said about invariants after edits of file, old text and new text."""
    texts = files()
    for name, old, new in edits:
        assert texts[name].count(old) == 1, (name, old)
        texts[name] = texts[name].replace(old, new)
    return [f"{d.code} {d.message}" for d in load(texts).diagnostics if d.code.startswith("PDP50")]


def test_the_invariants_of_the_examples_hold():
    assert load(files()).snapshot is not None
    assert broken() == []


NO_DEV = "deny prod/ns/dev/** to any /** on any service\n"
CHARGE = "allow sa prod/boutique/checkoutservice to call hipstershop.PaymentService/Charge"


def test_development_gets_in_where_a_team_opens_and_the_platform_no_longer_closes():
    opened = (
        CHARGE,
        CHARGE.replace("sa prod/boutique/checkoutservice", "sa prod/boutique/checkoutservice, sa prod/dev/x"),
    )
    closing = "platform.policy", NO_DEV, NO_DEV.replace("/** to", "/sa/y to")

    said = broken(("boutique/checkout.policy", *opened), closing)

    charge = "`POST paymentservice.boutique /hipstershop.PaymentService/Charge`"
    assert said == [
        f"PDP501 `spiffe://prod.example.org/ns/dev/sa/x` may {charge}",
        f"PDP501 `spiffe://prod.example.org/ns/dev/sa/x` may {charge}",
    ]


def test_nobody_else_may_charge():
    said = broken(
        (
            "boutique/checkout.policy",
            CHARGE,
            CHARGE.replace("sa prod/boutique/checkoutservice", "prod/ns/*/sa/*"),
        )
    )

    assert len(said) == 1
    assert said[0].startswith("PDP501 `spiffe://prod.example.org/ns/")


@pytest.mark.parametrize(
    "edit",
    [
        ("boutique/checkout.policy", CHARGE, CHARGE + " when source.ip in 10.0.0.0/8"),
        ("boutique/checkout.policy", CHARGE, CHARGE.replace("Charge", "Refund")),
        (
            "platform.policy",
            NO_DEV,
            "deny prod/ns/boutique/** to any /hipstershop.PaymentService/* on any service\n",
        ),
    ],
)
def test_the_checkout_can_always_charge(edit):
    said = broken(edit)

    assert len(said) == 1
    assert said[0].startswith("PDP502 `spiffe://prod.example.org/ns/boutique/sa/checkoutservice` may not")
