"""What one file shows besides its rules: invariants, roles and conditions by themselves, dates."""

import pytest

from tests.docs.sets import load

HEAD = """language 1
trust domain prod = "prod.test"
issuer corp = "https://corp.test"
group none = {}
service s {}
"""

SAID = {
    # invariants
    "never prod/a may GET /x on any service": [],
    "never prod/a on behalf of corp/x may GET /x on s": [],
    "never prod/a on behalf of any user may GET /x on s": [],
    "never prod/a on behalf of nowhere/x may GET /x on s": ["PDP229"],
    "issuer nowhere =\nnever prod/a on behalf of nowhere/x may GET /x on s": ["PDP101"],
    'never prod/a may GET /x on s when user.sub == "x"': [],
    'never prod/a may GET /x on s when nothing.like == "x"': ["PDP206"],
    "never prod/a may GET /x on t": ["PDP225"],
    "never nowhere/a may GET /x on s": ["PDP219"],
    "never prod/a may nothing on s": ["PDP227"],
    # and all of it at once, whatever else is wrong
    'never prod/a on behalf of nowhere/x may nothing on t when like == "x"': [
        "PDP206",
        "PDP225",
        "PDP227",
        "PDP229",
    ],
    # conditions that no rule uses
    "condition c = principal in none": ["PDP223"],
    "condition c = principal in prod/a": [],
    'condition c = {ns} == "x"': [],
    'attribute mesh.zone is\ncondition c = mesh.zone == "x"': ["PDP101"],
    # dates
    "deny prod/a to GET /x on s from 2027-01-01 until 2026-12-01": ["PDP339", "PDP402"],
    "deny prod/a to GET /x on s from 2026-12-01 until 2026-12-01": ["PDP339", "PDP402"],
    "deny prod/a to GET /x on s from 2026-12-01 until 2027-01-01": ["PDP402"],
    'service t { allow from "t.csv" from 2027-01-01 until 2026-12-01 }': ["PDP339"],
    'service t { allow from "t.csv" from 2026-12-01 until 2027-01-01 }': [],
    # tests
    'attribute mesh.zone is\ntest "t" { deny prod/b GET s /x with mesh.zone = "x" }': ["PDP101"],
    'allow prod/b to GET on s as r\ntest "t" { deny prod/b GET s /x by r }': ["PDP101"],
    # families
    "attribute mesh.zone is string\ncaller prod/p fronts s supplies mesh": [],
    "attribute mesh.zone is string\ncaller prod/p fronts s supplies zone": ["PDP230"],
    "issuer crop = https\ncaller prod/p fronts s may present user-token of crop": ["PDP101"],
    # No token has such a claim: it would count as absent.
    "attribute user.realm.level is int": ["PDP104"],
    f"attribute principal.{'a' * 65} is int": ["PDP104"],
    f"attribute user.{'a' * 64} is int\nattribute mesh.a.b is int": [],
}


@pytest.mark.parametrize("text", SAID)
def test_what_is_said_of_a_statement(text):
    files = {"a.policy": HEAD + text, "t.csv": "principal,methods,path\nprod/b,GET,/x\n"}

    assert sorted(found.code for found in load(files).diagnostics) == SAID[text]


@pytest.mark.parametrize(
    ("declared", "codes"),
    [
        ("role inner = { GET /x }\nrole outer = { inner }", []),
        ("condition inner = has source.ip\ncondition outer = inner", []),
        ("role one = { two }\nrole two = { one }", ["PDP228"]),
        ("condition one = two\ncondition two = one", ["PDP205"]),
    ],
)
def test_names_of_a_delegated_directory_are_looked_up_there(declared, codes):
    files = {
        "root.policy": 'language 1\ndelegate "teams/pay" owns service pay\n',
        "teams/pay/a.policy": f"language 1\nservice pay {{}}\n{declared}\n",
    }

    assert [found.code for found in load(files).diagnostics] == codes


def test_two_services_may_say_the_same():
    own = 'service one { allow prod/a to GET /x\nallow from "t.csv" }\nservice two { allow prod/b to GET /x }'
    files = {"a.policy": HEAD + own, "t.csv": "principal,methods,path\nprod/b,GET,/x\n"}

    assert load(files).diagnostics == ()


def test_a_table_of_a_delegated_directory_is_read_with_the_conditions_of_that_directory():
    files = {
        "root.policy": 'language 1\ntrust domain prod = "prod.test"\ndelegate "teams/pay" owns service pay\n',
        "teams/pay/a.policy": "language 1\ncondition local = has source.ip\n"
        'service pay { allow from "t.csv" when local }\n',
        "teams/pay/t.csv": "principal,methods,path\nprod/b,GET,/x\n",
    }

    assert load(files).diagnostics == ()


def test_obligations_of_a_deny_are_shown_at_the_first():
    text = f'{HEAD}deny prod/a to GET /x on s set header x-a = "1" remove header x-b'

    (found,) = load({"a.policy": text}).diagnostics

    assert found.code == "PDP338"
    assert text.index("x-a") >= found.span.start > text.index("on s")


RULES = """
service s { allow prod/b to GET /x }
service t { allow prod/c to GET /y
            allow prod/b to GET /z as named }
deny prod/d to GET /x on any service
"""


@pytest.mark.parametrize(
    ("service", "rule", "codes"),
    [
        ("s", "allow prod/b to GET /x", []),
        ("t", "allow prod/c to GET /y", []),
        ("t", "allow prod/b to GET /x", ["PDP232"]),  # of another service
        ("t", "allow prod/b to GET /z", ["PDP232"]),  # it has a name
        ("s", "deny prod/d to GET /x", []),
        ("s", "nothing like it", ["PDP232"]),
    ],
)
def test_a_test_names_a_rule_without_a_name_by_its_content(service, rule, codes):
    text = HEAD.replace("service s {}\n", "") + RULES
    snapshot = load({"a.policy": text}).snapshot
    names = {"nothing like it": "allow-0000000000"}
    for unit in snapshot.index.service("t").columns.units + snapshot.index.service("s").columns.units:
        for number, start in enumerate(unit.texts.starts):
            said = text[start:].split("\n")[0].removesuffix(" }").split(" on ")[0].split(" as ")[0]
            effect = said.split(" ")[0]
            names[said] = f"{effect}-{unit.texts.ids[number]:010x}"

    asked = f'test "by content" {{ allow prod/b GET {service} /x by {names[rule]} }}\n'

    assert [
        found.code for found in load({"a.policy": text + asked}).diagnostics if found.code != "PDP504"
    ] == codes
