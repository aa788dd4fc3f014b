"""Who asks and whom the question is about are different types."""

import msgspec
import pytest

from pdp.identity.caller import Caller, CallerKind
from pdp.principals import spiffe_principal

ID = "spiffe://prod.example.org/ns/shop/sa/web"


def caller(**changed: object) -> Caller:
    fields: dict[str, object] = {
        "kind": CallerKind.SPIFFE,
        "id": ID,
        "trust_domain": "prod.example.org",
        "segments": ("ns", "shop", "sa", "web"),
        "fingerprint": "00" * 32,
        "not_after": 1_000,
        "epoch": 7,
        "serial": "0a",
    }
    return Caller(**(fields | changed))  # type: ignore[arg-type]


def test_caller_and_principal_of_the_same_id_are_never_equal() -> None:
    principal = spiffe_principal(ID)

    assert caller().id == principal.id
    assert caller() != principal
    assert principal != caller()
    assert len({caller(), principal}) == 2


def test_caller_is_not_interchangeable_with_a_principal_by_inheritance() -> None:
    assert not isinstance(caller(), type(spiffe_principal(ID)))
    assert not isinstance(spiffe_principal(ID), Caller)


def test_caller_is_frozen() -> None:
    with pytest.raises(AttributeError):
        caller().id = "spiffe://prod.example.org/ns/shop/sa/admin"  # type: ignore[misc]


@pytest.mark.parametrize("field", Caller.__struct_fields__)
def test_no_field_of_a_caller_has_a_default(field: str) -> None:
    fields = {name: getattr(caller(), name) for name in Caller.__struct_fields__ if name != field}

    with pytest.raises(TypeError, match=field):
        Caller(**fields)


def test_callers_under_different_epochs_differ() -> None:
    assert caller(epoch=7) != caller(epoch=8)
    assert msgspec.structs.replace(caller(epoch=7), epoch=8) == caller(epoch=8)
