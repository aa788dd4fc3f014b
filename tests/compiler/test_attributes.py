"""Attributes: which are known, what their values may be, and addresses in their one form."""

from ipaddress import ip_address

import pytest

from pdp.compiler.attributes import BUILT_IN, address, attribute_type, type_problem
from pdp.lang.ast import AttributeType

DECLARED = {"mesh.zone": AttributeType.INT}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("header.x-a", AttributeType.STRINGS),
        ("header.a", AttributeType.STRINGS),
        ("source.ip", AttributeType.ADDRESS),
        ("request.port", AttributeType.INT),
        ("user.email_verified", AttributeType.BOOL),
        ("user.groups", AttributeType.STRINGS),
        ("mesh.zone", AttributeType.INT),
    ],
)
def test_the_type_of_an_attribute(name, expected):
    assert attribute_type(name, DECLARED) is expected


@pytest.mark.parametrize(
    ("name", "help_"),
    [
        ("header.X-A", "header.x-a"),
        ("header.x_a", "header.x-a"),
        ("header.x.a", "header."),
        ("header.", "header."),
        ("source.ipp", "did you mean `source.ip`?"),
        ("mesh.zon", "did you mean `mesh.zone`?"),
        ("nothing.like.it", ""),
    ],
)
def test_an_attribute_that_is_not_known_is_answered_with_help(name, help_):
    found = attribute_type(name, DECLARED)

    assert isinstance(found, str)
    assert help_ in found
    assert bool(found) is bool(help_)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::FFFF:a00:1", "10.0.0.1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("::10.0.0.1", "::a00:1"),
        ("fe80::1%eth0", None),
        ("10.0.0.1%eth0", None),
        ("10.0.0.256", None),
        ("010.0.0.1", None),
        ("", None),
        (None, None),
        (1, None),
        (("10.0.0.1",), None),
    ],
)
def test_an_address_has_one_form(text, expected):
    assert address(text) == (None if expected is None else ip_address(expected))


FITTING = [
    (AttributeType.STRING, ["", "x"], [None, 1, True, ("x",), b"x"]),
    (AttributeType.STRINGS, ["x", (), ("x", "y"), ["x"]], [None, 1, ("x", 1), (None,), {"x": 1}]),
    (
        AttributeType.INT,
        [0, -1, (1 << 63) - 1, -(1 << 63)],
        [None, "1", True, False, 1.0, 1 << 63, -(1 << 63) - 1],
    ),
    (AttributeType.BOOL, [True, False], [None, 1, 0, "true"]),
    (AttributeType.ADDRESS, ["10.0.0.1", "::1"], [None, "x", "10.0.0.0/8", 1, ("10.0.0.1",)]),
]


@pytest.mark.parametrize(("type_", "fitting", "others"), FITTING)
def test_what_fits_a_type(type_, fitting, others):
    assert [type_problem(type_, value) for value in fitting] == [""] * len(fitting)
    assert [type_problem(type_, value) for value in others] == [f"is not of type `{type_.value}`"] * len(
        others
    )


def test_every_built_in_attribute_has_a_family():
    assert all("." in name for name in BUILT_IN)
