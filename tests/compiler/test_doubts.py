"""What a reviewer is told of rules that are as they should be: denies that bite, allows of the platform."""

import pytest

from tests.docs.sets import load

HEAD = 'language 1\ntrust domain prod = "prod.example.org"\n'


def said(files):
    """Code, file and message of everything that is said."""
    texts = {
        path: HEAD + text if path == "a.policy" else f"language 1\n{text}" for path, text in files.items()
    }
    return [(found.code, found.span.file, found.message) for found in load(texts).diagnostics]


def codes(files):
    return [code for code, _, _ in said(files)]


# -- attributes that are missing -----------------------------------------------------------

X, Y, FREE = 'header.x == "1"', 'header.y == "1"', "during mon 09:00-10:00 in UTC"


@pytest.mark.parametrize(
    ("when", "warns"),
    [
        # What is unknown stays so behind `not`.
        (f"not {X}", True),
        ("not has header.x", False),
        # `and` and `or` are Kleene's: only what is false, or true, ends the doubt.
        (f"{X} and {Y}", True),
        (f"{FREE} and {X}", True),
        (f"{X} and {FREE}", True),
        (f"{FREE} and {FREE}", False),
        (f"has header.x and {X}", False),
        (f"{X} and has header.x", False),
        (f"{X} or {Y}", True),
        (f"{FREE} or {X}", True),
        (f"{X} or {FREE}", True),
        (f"{FREE} or {FREE}", False),
        (f"not has header.x or {X}", False),
        (f"{X} or not has header.x", False),
        (f"has header.x or {X}", True),
        (f"not has header.x and {X}", True),
        (f"{FREE} or has header.x", False),
        # The third is looked at as the second is.
        (f"{FREE} and {FREE} and {X}", True),
        (f"{FREE} and {X} and has header.x", False),
        (f"{FREE} or {FREE} or {X}", True),
        (f"{FREE} or {X} or not has header.x", False),
        (f"has header.x and {X} and {Y}", False),
        (f"not has header.x or {X} or {Y}", False),
    ],
)
def test_a_deny_that_can_stay_unknown_without_attributes_is_pointed_out(when, warns):
    found = codes({"a.policy": f"service s {{ deny anyone to GET /x when {when} }}"})

    assert found == (["PDP406"] if warns else [])


@pytest.mark.parametrize(
    ("unless", "warns"),
    [
        ("not has header.x", False),
        ("not has header.x or not has header.y", False),
        ("has header.x", True),
        (Y, True),
        (f"{Y} or not has header.x", False),
        (FREE, True),
    ],
)
def test_what_unless_takes_out_is_not_pointed_at(unless, warns):
    found = codes({"a.policy": f"service s {{ deny anyone to GET /x when {X} unless {unless} }}"})

    assert ("PDP406" in found) is warns


def test_a_condition_of_a_delegated_directory_is_looked_into():
    files = {
        "a.policy": 'delegate "teams/pay" owns service s',
        "teams/pay/s.policy": f"condition local = {X}\nservice s {{ deny anyone to GET /x when local }}",
    }

    assert codes(files) == ["PDP406"]


def test_a_condition_that_nobody_declares_is_no_doubt_but_a_mistake():
    assert codes({"a.policy": "service s { deny anyone to GET /x when nowhere }"}) == ["PDP204"]


# -- what the platform allows --------------------------------------------------------------


def platform(rule, owned=("a", "b", "c", "d", "e"), free=("free",)):
    """What is said of a rule of the platform where these services belong to `teams`, and those to nobody."""
    owns = ", ".join(f"service {name}" for name in owned)
    return said(
        {
            "a.policy": f'delegate "teams" owns {owns}\n'
            + "".join(f"service {name} {{}}\n" for name in free)
            + rule,
            "teams/a.policy": "".join(f"service {name} {{}}\n" for name in owned),
        }
    )


def shown(*names):
    return ", ".join(f"`{name}` of `teams`" for name in names)


@pytest.mark.parametrize(
    ("services", "told"),
    [
        ("a", shown("a")),
        ("a, free", shown("a")),
        ("free, c, a", shown("c", "a")),
        ("a, b, c", shown("a", "b", "c")),
        ("a, b, c, d", f"{shown('a', 'b', 'c')} and 1 more"),
        ("any service", f"{shown('a', 'b', 'c')} and 2 more"),
    ],
)
def test_an_allow_of_the_platform_is_told_with_the_services_that_are_owned(services, told):
    found = platform(f"allow prod/x to GET /x on {services}")

    assert found == [("PDP407", "a.policy", f"the platform allows this on {told}")]


@pytest.mark.parametrize(
    "rule",
    [
        "allow prod/x to GET /x on free",
        "deny prod/x to GET /x on a",
        "shadow allow prod/x to GET /x on a",
    ],
)
def test_what_opens_no_service_that_is_owned_is_not_told(rule):
    assert platform(rule) == []


def test_a_service_that_is_owned_and_nowhere_declared_is_only_unknown():
    files = {
        "a.policy": 'delegate "teams" owns service gone\nallow prod/x to GET /x on gone',
        "teams/a.policy": "",
    }

    assert set(codes(files)) == {"PDP225", "PDP405"}


def test_a_rule_that_a_directory_may_not_write_is_not_told_as_the_platforms():
    files = {
        "a.policy": 'delegate "teams" owns service a',
        "teams/a.policy": 'trust domain dev = "dev.example.org"\nservice a {}\nallow anyone to GET /x on a',
    }

    assert "PDP407" not in codes(files)
