"""Conditions by example: true, false or unknown, and what is refused when they are written."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.compiler.environment import gather
from pdp.compiler.numbers import Numbers
from pdp.compiler.resolve import Resolver
from pdp.compiler.units import lower_file
from pdp.diagnostics import Severity, Source
from pdp.engine.decide import decide
from pdp.lang.parser import parse
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from pdp.vocabulary import User
from tests.docs.sets import load
from tests.engine.asking import HEAD, NOW, ask, index_of

DECLARED = """
attribute mesh.zone is string
attribute mesh.level is int
attribute mesh.other_level is int
attribute mesh.ok is bool
attribute mesh.fine is bool
attribute mesh.peer is ip
attribute mesh.tags is strings
group friends = { prod/a, prod/b }
"""


def truth(condition, *, path="/x/p/q", principal="prod/a", **asked):
    """What a condition comes to: it decides an allow, and a deny where it is unknown."""
    index = index_of(
        f"{DECLARED}service s {{\n"
        f"allow prod/{{me}} to GET /x/{{one}}/{{two}} when {condition}\n"
        "allow anyone to POST /**\n"
        f"deny prod/{{me}} to POST /x/{{one}}/{{two}} when {condition}\n}}"
    )
    allowed = decide(index, ask(f"{principal} GET {path}", **asked)).effect.value == "allow"
    denied = decide(index, ask(f"{principal} POST {path}", **asked)).effect.value == "deny"
    assert denied or not allowed
    return True if allowed else (None if denied else False)


# -- one value --------------------------------------------------------------------------------

VALUES = {
    'mesh.zone == "x"': {"x": True, "y": False, "": False, None: None, 1: None, ("x",): None},
    'mesh.zone != "x"': {"x": False, "y": True, None: None, 1: None},
    'mesh.zone in { "x", "y" }': {"x": True, "y": True, "z": False, None: None, 1: None},
    "mesh.level == 2": {2: True, 3: False, None: None, "2": None},
    "mesh.level != 2": {2: False, 3: True, None: None},
    "mesh.level < 2": {1: True, 2: False, 3: False, -5: True, None: None, "1": None},
    "mesh.level <= 2": {1: True, 2: True, 3: False, None: None},
    "mesh.level > 2": {1: False, 2: False, 3: True, None: None},
    "mesh.level >= 2": {1: False, 2: True, 3: True, None: None},
    "2 < mesh.level": {1: False, 2: False, 3: True},
    "2 <= mesh.level": {1: False, 2: True, 3: True},
    "2 > mesh.level": {1: True, 2: False, 3: False},
    "2 >= mesh.level": {1: True, 2: True, 3: False},
    "2 == mesh.level": {2: True, 3: False},
    "2 != mesh.level": {2: False, 3: True},
    "mesh.level in { 1, 3 }": {1: True, 2: False, 3: True, None: None},
    "mesh.ok == true": {True: True, False: False, None: None, "true": None},
    "mesh.ok != true": {True: False, False: True, None: None},
    "mesh.peer == 10.0.0.1": {
        "10.0.0.1": True,
        "10.0.0.2": False,
        "::ffff:10.0.0.1": True,
        "junk": None,
        None: None,
    },
    "mesh.peer == ::ffff:10.0.0.1": {"10.0.0.1": True, "::ffff:a00:1": True, "::1": False},
    "mesh.peer in 10.0.0.0/8": {
        "10.0.0.0": True,
        "10.255.255.255": True,
        "11.0.0.0": False,
        "9.255.255.255": False,
        "::ffff:10.1.2.3": True,
        "::a01:203": False,
        "fe80::1%eth0": None,
        "": None,
        None: None,
    },
    "mesh.peer in ::ffff:10.0.0.0/104": {"10.255.0.1": True, "11.0.0.1": False, "::1": False},
    "mesh.peer in ::ffff:0.0.0.0/96": {"1.2.3.4": True, "255.255.255.255": True, "::1": False},
    "mesh.peer in ::/64": {"::1": True, "::ffff:10.0.0.1": False, "10.0.0.1": False},
    "mesh.peer in 2001:db8::/32": {"2001:db8::1": True, "2001:db9::1": False, "10.0.0.1": False},
    "mesh.peer in { 10.0.0.1, 10.1.0.0/16 }": {"10.0.0.1": True, "10.1.2.3": True, "10.0.0.2": False},
    # lists: equal if the only value is, not equal if none is, unknown otherwise
    'mesh.tags == "x"': {
        ("x",): True,
        ("y",): False,
        ("y", "z"): False,
        ("x", "y"): None,
        ("x", "x"): None,
        (): None,
        None: None,
        "x": True,
        1: None,
    },
    'mesh.tags != "x"': {("x",): False, ("y",): True, ("y", "z"): True, ("x", "y"): None, (): None},
    'mesh.tags in { "x", "y" }': {("x",): True, ("z",): False, ("x", "y"): None, ("z", "w"): False, (): None},
    'mesh.tags has "x"': {
        ("x",): True,
        ("x", "y"): True,
        ("y", "x"): True,
        ("y",): False,
        (): None,
        None: None,
        "x": True,
    },
}


@pytest.mark.parametrize(
    ("condition", "value", "expected"),
    [(condition, value, wanted) for condition, row in VALUES.items() for value, wanted in row.items()],
)
def test_one_value(condition, value, expected):
    name = next(word for word in condition.split() if word.startswith("mesh."))

    assert truth(condition, context={name: value}) is expected


#: What proxies make of several lines of a header: what stands between commas may be a value.
JOINED = {
    'header.x-a == "x"': {
        "x": True,
        "x,y": None,
        "y, x": None,
        " x": None,
        "x,": None,
        "y\t,x\t": None,
        "xy,": False,
    },
    'header.x-a != "x"': {"x,y": None, "y,z": True},
    # What has a comma in it is never surely one line: somebody may have joined two.
    'header.x-a == "x, y"': {
        "x, y": None,
        "x,y": None,
        "w, x,y": None,
        "x,y,z": None,
        "x": False,
        "xx,y": False,
    },
    'header.x-a != "x,y"': {"x,y": None, "w,x,y": None, "x,w,y": True},
    'header.x-a == " x"': {" x": True, "x": False},
    'header.x-a in { "x,y", "z" }': {"z": True, "x,y": None, "v,x,y": None, "y,x": False},
    'header.x-a has "x,y"': {"x,y": None, "w, x,y": None, "y,x": False},
    'mesh.tags has "x,y"': {"x,y": True},
    'header.x-a in { "x", "z" }': {"x,y": None, "y,w": False, "z": True},
    'header.x-a has "x"': {"x,y": True, "y, x": True, "xy": False, "y,z": False},
    "header.x-a == {two}": {"q": True, "p,q": None, "p,r": False},
    "{two} != header.x-a": {"p,q": None, "p,r": True},
    'mesh.tags == "x"': {"x,y": False},  # no header: nobody joins it
    'mesh.tags has "x"': {"x,y": False},
    'mesh.zone == "x"': {"x,y": False},
}


@pytest.mark.parametrize(
    ("condition", "value", "expected"),
    [(condition, value, wanted) for condition, row in JOINED.items() for value, wanted in row.items()],
)
def test_a_header_is_read_between_its_commas(condition, value, expected):
    name = next(word for word in condition.split() if "." in word)

    assert truth(condition, context={name: value}) is expected
    assert truth(condition, context={name: (value, "none")}) in {None, expected}


_LINES = st.lists(
    st.text(alphabet="ab, ", max_size=5).map(lambda text: text.strip(" ")), min_size=1, max_size=4
)
_TESTS = [
    f"header.x-a {test}"
    for text in ("a", "a,b", "b, a", "")
    for test in (f'== "{text}"', f'!= "{text}"', f'in {{ "{text}", "bb" }}', f'has "{text}"')
]


@given(
    lines=_LINES, at=st.integers(0, 3), comma=st.sampled_from([",", ", "]), condition=st.sampled_from(_TESTS)
)
def test_whoever_joins_two_lines_of_a_header_makes_no_test_true_or_false(lines, at, comma, condition):
    at = min(at, len(lines) - 1)
    joined = [*lines[:at], comma.join(lines[at : at + 2]), *lines[at + 2 :]]

    before = truth(condition, context={"header.x-a": tuple(lines)})
    after = truth(condition, context={"header.x-a": tuple(joined)})

    assert after in {None, before}


# Python's True is 1: no dictionary tells them apart, and no condition may mix them up.
MIXED = [
    ("mesh.level == 1", True),
    ("mesh.level < 2", True),
    ("mesh.level in { 1, 3 }", True),
    ("mesh.ok == true", 1),
    ("mesh.ok == false", 0),
    ('mesh.zone == "x"', True),
]


@pytest.mark.parametrize(("condition", "value"), MIXED)
def test_numbers_and_truth_values_are_not_mixed_up(condition, value):
    assert truth(condition, context={condition.split()[0]: value}) is None


@pytest.mark.parametrize("condition", VALUES)
def test_a_value_that_is_not_given_is_unknown(condition):
    assert truth(condition) is None
    assert truth(condition, supplied=frozenset({"mesh"})) is None


@pytest.mark.parametrize(
    ("context", "supplied", "expected"),
    [
        ({"mesh.zone": "x"}, (), True),
        ({"mesh.zone": ""}, (), True),
        ({"mesh.zone": None}, ("mesh",), False),
        ({"mesh.zone": ()}, ("mesh",), False),
        ({}, ("mesh",), False),
        ({"mesh.zone": None}, (), None),
        ({}, ("header",), None),
        ({}, (), None),
    ],
)
def test_has_tells_absent_from_not_supplied(context, supplied, expected):
    assert truth("has mesh.zone", context=context, supplied=frozenset(supplied)) is expected


# -- two values -------------------------------------------------------------------------------

TWO = {
    ("mesh.zone", "user.azp"): {("x", "x"): True, ("x", "y"): False, ("x", None): None, (None, "x"): None},
    ("mesh.level", "mesh.other_level"): {(1, 1): True, (1, 2): False, (1, "1"): None},
    ("mesh.ok", "mesh.fine"): {(True, True): True, (True, False): False, (True, "true"): None},
    ("mesh.peer", "source.ip"): {
        ("10.0.0.1", "::ffff:10.0.0.1"): True,
        ("10.0.0.1", "10.0.0.2"): False,
        ("x", "x"): None,
    },
    ("mesh.tags", "mesh.zone"): {
        (("x",), "x"): True,
        (("y",), "x"): False,
        (("x", "y"), "x"): None,
        (("y", "z"), "x"): False,
        ((), "x"): None,
        (("x",), None): None,
    },
}


@pytest.mark.parametrize(
    ("names", "values", "expected"),
    [(names, values, wanted) for names, row in TWO.items() for values, wanted in row.items()],
)
def test_two_attributes_are_equal_or_not_from_either_side(names, values, expected):
    context = dict(zip(names, values, strict=True))
    left, right = names
    opposite = None if expected is None else not expected

    assert truth(f"{left} == {right}", context=context) is expected
    assert truth(f"{right} == {left}", context=context) is expected
    assert truth(f"{left} != {right}", context=context) is opposite


CAPTURES = {
    '{one} == "p"': True,
    '{one} == "q"': False,
    '{one} != "p"': False,
    '"p" == {one}': True,
    '{one} in { "p", "r" }': True,
    '{two} in { "p", "r" }': False,
    '{me} == "a"': True,
    '{me} == "b"': False,
    '{me} in { "a" }': True,
    "{one} == {two}": False,
    "{one} != {two}": True,
    "{one} == mesh.zone": True,
    "mesh.zone != {one}": False,
    "{two} == mesh.zone": False,
    "{me} == mesh.zone": False,
    "{one} == mesh.tags": None,
}


@pytest.mark.parametrize("condition", CAPTURES)
def test_captures_compare_like_text(condition):
    context = {"mesh.zone": "p", "mesh.tags": ("p", "q")}

    assert truth(condition, context=context) is CAPTURES[condition]


@pytest.mark.parametrize(
    ("condition", "steps", "principal"),
    [
        ('{one} == "p"', ("x", "p", None), None),
        ('{two} in { "q" }', ("x", None, "q"), None),
        ("{one} != {two}", ("x", "p", "q"), None),
        ("{two} == mesh.zone", ("x", None, "q"), None),
        ('{me} == "a"', ("x", None, None), "spiffe://prod.test/ns/a"),
        ("{me} != {two}", ("x", None, "q"), "spiffe://prod.test/ns/a"),
        ("principal in friends or mesh.ok == true", ("x", None, None), "spiffe://prod.test/ns/a"),
        ("mesh.level > 1", ("x", None, None), None),
    ],
)
def test_what_a_condition_reads_is_pinned_and_nothing_else(condition, steps, principal):
    who = "prod/ns/{me}" if "{me}" in condition else "anyone"
    index = index_of(
        f"{DECLARED}service s {{\ndeny {who} to GET /x/{{one}}/{{two}} when {condition} as no\n}}"
    )
    context = {"mesh.zone": "q", "mesh.level": 2, "mesh.ok": True}

    region = decide(index, ask("prod/ns/a GET /x/p/q", context=context)).region

    assert (region.path, region.principal) == (steps, principal)
    assert set(region.context) == {name for name in context if name in condition}


# -- putting together ---------------------------------------------------------------------------

T, F, U = 'mesh.zone == "x"', 'mesh.zone == "y"', "mesh.level == 1"
KLEENE = {
    f"{T} and {T}": True,
    f"{T} and {F}": False,
    f"{F} and {T}": False,
    f"{T} and {U}": None,
    f"{U} and {T}": None,
    f"{F} and {U}": False,
    f"{U} and {F}": False,
    f"{U} and {T} and {F}": False,
    f"{U} and {T} and {T}": None,
    f"{T} or {F}": True,
    f"{F} or {T}": True,
    f"{F} or {F}": False,
    f"{F} or {U}": None,
    f"{U} or {F}": None,
    f"{U} or {T}": True,
    f"{T} or {U}": True,
    f"{U} or {F} or {F}": None,
    f"{U} or {F} or {T}": True,
    f"not ({T})": False,
    f"not ({F})": True,
    f"not ({U})": None,
}


@pytest.mark.parametrize("condition", KLEENE)
def test_three_values_are_put_together_as_kleene_did(condition):
    assert truth(condition, context={"mesh.zone": "x"}) is KLEENE[condition]


@pytest.mark.parametrize(("principal", "expected"), [("prod/a", True), ("prod/c", False)])
def test_principal_in_a_set(principal, expected):
    assert truth("principal in friends", principal=principal) is expected


@pytest.mark.parametrize(
    ("when", "unless", "allowed"),
    [(T, F, True), (T, T, False), (F, F, False), (T, U, False), (U, F, False)],
)
def test_a_rule_holds_when_the_one_is_true_unless_the_other_is(when, unless, allowed):
    index = index_of(f"{DECLARED}service s {{ allow anyone to GET /x when {when} unless {unless} }}")

    got = decide(index, ask("prod/a GET /x", context={"mesh.zone": "x"})).effect.value

    assert got == ("allow" if allowed else "deny")


def test_named_conditions_are_what_they_name_and_may_be_used_twice():
    index = index_of(
        f"{DECLARED}condition low = mesh.level < 2\ncondition both = low and {T}\n"
        "service s { allow anyone to GET /x when both and (low or low) }"
    )

    for level, effect in ((1, "allow"), (2, "deny")):
        asked = ask("prod/a GET /x", context={"mesh.level": level, "mesh.zone": "x"})
        assert decide(index, asked).effect.value == effect


def test_a_window_is_read_at_the_instant_of_the_question():
    index = index_of("service s { allow anyone to GET /x when during mon-fri 09:00-17:00 in UTC }")

    def at(*when):
        now = int(datetime(*when, tzinfo=UTC).timestamp() * 1000)
        decision = decide(index, ask("prod/a GET /x", now=now))
        return decision.effect.value, datetime.fromtimestamp(decision.valid_until / 1000, UTC)

    assert at(2026, 11, 23, 8, 59) == ("deny", datetime(2026, 11, 23, 9, tzinfo=UTC))
    assert at(2026, 11, 23, 9, 0) == ("allow", datetime(2026, 11, 23, 17, tzinfo=UTC))
    assert at(2026, 11, 27, 17, 0) == ("deny", datetime(2026, 11, 30, 9, tzinfo=UTC))


# -- the user ---------------------------------------------------------------------------------

USERS = {
    "corp/*": {"corp/al": True, "corp/bo": True, "other/al": False, None: None},
    "corp/al": {"corp/al": True, "corp/bo": False, "other/al": False, None: None},
    "group corp/devs": {"corp/al": True, "corp/bo": False, "other/al": False, None: None},
    "corp/bo, group corp/devs": {"corp/al": True, "corp/bo": True, "corp/cy": False, "other/al": False},
    "any user": {"corp/al": True, "other/al": True, None: None},
}


def user_named(text):
    if text is None:
        return None
    issuer, _, subject = text.partition("/")
    return User(
        issuer=f"https://{issuer}.test", subject=subject, groups=("devs",) if subject == "al" else ("al",)
    )


def on_behalf(patterns, user, supplied=frozenset()):
    index = index_of(
        'issuer other = "https://other.test"\n'
        f"service s {{\nallow anyone on behalf of {patterns} to GET /x\n"
        f"allow anyone to POST /x\ndeny anyone on behalf of {patterns} to POST /x\n}}"
    )
    allowed = decide(index, ask("prod/a GET /x", user=user, supplied=supplied)).effect.value == "allow"
    denied = decide(index, ask("prod/a POST /x", user=user, supplied=supplied)).effect.value == "deny"
    return True if allowed else (None if denied else False)


@pytest.mark.parametrize(
    ("patterns", "user", "expected"),
    [(patterns, user, wanted) for patterns, row in USERS.items() for user, wanted in row.items()],
)
def test_on_behalf_of(patterns, user, expected):
    assert on_behalf(patterns, user_named(user)) is expected


@pytest.mark.parametrize("patterns", USERS)
def test_no_user_is_none_where_users_are_supplied(patterns):
    assert on_behalf(patterns, None, frozenset({"user"})) is False


@pytest.mark.parametrize(
    ("patterns", "reads"),
    [
        ("corp/*", {"user.iss"}),
        ("corp/al", {"user.iss", "user.sub"}),
        ("group corp/devs", {"user.iss", "user.groups"}),
        ("corp/al, group corp/devs", {"user.iss", "user.sub", "user.groups"}),
    ],
)
def test_of_a_user_only_what_the_patterns_name_is_pinned(patterns, reads):
    index = index_of(f"service s {{ allow anyone on behalf of {patterns} to GET /x }}")

    region = decide(index, ask("prod/a GET /x", user=user_named("corp/al"))).region

    assert set(region.context) == reads


# -- refused ----------------------------------------------------------------------------------

REFUSED = {
    "mesh.zone == 1": "PDP332",
    'mesh.level == "1"': "PDP332",
    "mesh.ok == 1": "PDP332",
    'mesh.peer == "10.0.0.1"': "PDP332",
    "mesh.tags == 1": "PDP332",
    'mesh.level in { 1, "2" }': "PDP332",
    'mesh.level in { "2", 1 }': "PDP332",
    "{one} == 1": "PDP332",
    "{one} in { 1 }": "PDP332",
    '{one} in { "a", 1 }': "PDP332",
    "mesh.tags has 1": "PDP332",
    'mesh.zone has "x"': "PDP331",
    'nothing.x has "x"': "PDP206",
    "mesh.peer == 10.0.0.0/8": "PDP334",
    "1 == 2": "PDP333",
    "1 in { 1 }": "PDP333",
    "mesh.level < mesh.other_level": "PDP335",
    "{one} < {two}": "PDP335",
    'mesh.zone < "x"': "PDP336",
    '{one} < "x"': "PDP336",
    "mesh.ok >= true": "PDP336",
    'mesh.tags > "x"': "PDP336",
    "mesh.level == mesh.zone": "PDP337",
    "mesh.tags == user.scope": "PDP337",
    "mesh.ok == mesh.level": "PDP337",
    "{one} == mesh.level": "PDP337",
    '{three} == "x"': "PDP218",
    '{three} in { "x" }': "PDP218",
    "{three} == {one}": "PDP218",
    "mesh.nothing == 1": "PDP206",
    "mesh.nothing in { 1 }": "PDP206",
    "mesh.nothing == mesh.zone": "PDP206",
    "has mesh.nothing": "PDP206",
    "zone == 1": "PDP206",
    'header.X-A == "x"': "PDP206",
    'header.x_a == "x"': "PDP206",
    'header.x.a == "x"': "PDP206",
    "nobody": "PDP204",
    "not nobody": "PDP204",
    "nobody and mesh.ok == true": "PDP204",
    "mesh.ok == true or nobody": "PDP204",
    "circle": "PDP205",
    "principal in nobody": "PDP221",
    "principal in empty": "PDP223",
    "during mon 09:00-17:00 in Nowhere/Land": "PDP207",
}


CIRCLE = "condition circle = mesh.ok == true or circle\n"


def codes(text):
    files = {"a.policy": (HEAD + text).encode()}
    return [
        d.code for d in Loader().load(make_bundle(files), now=NOW).diagnostics if d.severity is Severity.ERROR
    ]


@pytest.mark.parametrize("clause", ["when", "unless"])
@pytest.mark.parametrize("condition", REFUSED)
def test_a_condition_that_makes_no_sense_is_refused_once_by_its_own_code(condition, clause):
    text = (
        f"{DECLARED}group empty = {{}}\n"
        f"{CIRCLE if condition == 'circle' else ''}"
        f"service s {{ allow anyone to GET /x/{{one}}/{{two}} {clause} {condition} }}"
    )

    assert set(codes(text)) == {REFUSED[condition]}


@pytest.mark.parametrize("clause", ["when", "unless"])
@pytest.mark.parametrize("condition", [one for one in REFUSED if one != "circle"])
def test_a_rule_whose_condition_was_refused_has_no_row(condition, clause):
    """Nothing of such a set is served; but neither does a row without its condition lie about."""
    text = (
        f"{HEAD}{DECLARED}group empty = {{}}\n"
        f"service s {{ allow anyone to GET /x/{{one}}/{{two}} {clause} {condition} }}"
    )
    source = Source(path="a.policy", text=text)
    parsed = parse(source)
    environment, _ = gather([parsed])

    unit = lower_file(parsed, source, environment, Numbers(), Resolver(environment=environment))

    assert not any(unit.by_service.values())
    assert REFUSED[condition] in {found.code for found in unit.diagnostics}


def test_an_attribute_whose_own_statement_is_damaged_is_not_called_unknown():
    text = 'attribute mesh.zone is text\nservice s { allow anyone to GET /x when mesh.zone == "a" }'

    assert [found.code for found in load({"a.policy": f"language 1\n{text}"}).diagnostics] == ["PDP208"]
