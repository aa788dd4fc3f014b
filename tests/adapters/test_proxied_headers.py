"""Headers of a proxy's request as attributes: the same whatever their names are remembered by."""

import pytest

from pdp.adapters.proxies.lines import attributes_of
from pdp.compiler.attributes import known_type
from pdp.lang.ast import AttributeType

LONG = "x-" + "a" * 80  # longer than any name that is remembered


@pytest.mark.parametrize("name", ["x-a", LONG])
def test_all_values_of_a_name_are_together_however_it_is_spelled(name: str) -> None:
    spelled = (name, name.upper(), name.replace("-", "_"))
    lines = [(each.encode(), b"%d" % number) for number, each in enumerate(spelled)]

    assert attributes_of(lines, ()) == {f"header.{name}": ("0", "1", "2")}
    assert attributes_of(lines, (name.encode(),)) == {}
    assert attributes_of(lines, ()) == {f"header.{name}": ("0", "1", "2")}


def test_what_is_no_name_is_no_attribute() -> None:
    assert attributes_of([(b"x.a", b"1"), (b"", b"2"), (b"x a", b"3"), (b":path", b"4")], ()) == {}


@pytest.mark.parametrize("name", ["x-a", LONG])
def test_rules_read_headers_in_one_spelling(name: str) -> None:
    assert known_type(f"header.{name}", {}) is AttributeType.STRINGS
    assert known_type(f"header.{name.upper()}", {}) is None
    assert known_type(f"header.{name.replace('-', '_')}", {}) is None
    assert known_type("header.", {}) is None
