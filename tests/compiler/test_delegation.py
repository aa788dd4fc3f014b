"""Who may say what: what a delegated directory owns, how far it reaches, and what is the platform's."""

import pytest

from tests.docs.sets import load

HEAD = "language 1\n"


def said(owns, files):
    """Codes by file, under a delegation to `teams/pay` of these things."""
    texts = {"root.policy": f'{HEAD}delegate "teams/pay" owns {owns}\n'}
    texts |= {path: HEAD + text for path, text in files.items()}
    return [(found.code, found.span.file) for found in load(texts).diagnostics]


@pytest.mark.parametrize("path", ["teams/pay/a.policy", "teams/pay/x/a.policy", "teams/pay/x/y/z/a.policy"])
def test_a_delegation_reaches_every_file_below_the_directory(path):
    assert said("service pay", {path: "service pay {}"}) == []
    assert said("service pay", {path: "service pay {}\ndeny anyone to any /** on pay"}) == [("PDP215", path)]


@pytest.mark.parametrize("path", ["a.policy", "teams/a.policy", "teams/payroll/a.policy", "pay/a.policy"])
def test_what_a_directory_owns_is_declared_nowhere_else(path):
    assert said("service pay", {path: "service pay {}"}) == [("PDP217", path)]
    assert said("service pay", {path: "service other {}", "teams/pay/a.policy": "service pay {}"}) == []


def test_roles_and_conditions_of_the_platform_can_be_used_in_every_directory():
    files = {
        "shared.policy": "role reader = { GET /** }\ncondition local = source.ip == 10.0.0.1",
        "teams/pay/a.policy": "service pay { allow anyone to reader when local }",
        "teams/other/a.policy": "service other { allow anyone to reader when local }",
    }

    assert said("service pay", files) == []


def test_roles_and_conditions_of_a_directory_are_its_own():
    files = {
        "teams/pay/a.policy": "role reader = { GET /** }\ncondition local = source.ip == 10.0.0.1\n"
        "service pay { allow anyone to reader when local }",
        "teams/other/a.policy": "service other { allow anyone to reader }",
    }

    assert said("service pay", files) == [("PDP227", "teams/other/a.policy")]


@pytest.mark.parametrize("declared", ["role reader = { GET /** }", "condition reader = has source.ip"])
def test_directories_may_use_one_name_and_the_platform_may_not_use_it_too(declared):
    own = {
        "more.policy": 'delegate "teams/web" owns service web',
        "teams/pay/a.policy": f"service pay {{}}\n{declared}",
        "teams/web/a.policy": f"service web {{}}\n{declared}",
    }

    assert said("service pay", own) == []
    for path in ("a.policy", "z.policy"):
        found = {code for code, _ in said("service pay", own | {path: declared})}
        assert found == {"PDP201"}


def test_a_name_that_the_platform_takes_from_two_directories_is_compared_with_the_first():
    texts = {
        "root.policy": 'delegate "a" owns service one\ndelegate "b" owns service two',
        "a/x.policy": "service one {}\nrole reader = { GET /** }",
        "b/x.policy": "service two {}\nrole reader = { GET /** }",
        "z.policy": "role reader = { GET /** }",
    }

    (found,) = load({path: HEAD + text for path, text in texts.items()}).diagnostics

    assert (found.code, found.span.file, found.related[0][0].file) == ("PDP201", "z.policy", "a/x.policy")


def test_names_but_for_those_of_hosts_are_told_apart_by_case():
    owns = 'service Pay, group Clerks, host "API.pay.test"'
    own = 'service Pay { host "api.PAY.test" }\ngroup Clerks = { dns vm.test }'
    path = "teams/pay/a.policy"

    assert said(owns, {path: own}) == []
    assert said(owns, {path: f"{own}\nservice pay {{}}"}) == [("PDP217", path)]
    assert said(owns, {path: f"{own}\ngroup clerks = {{ dns vm.test }}"}) == [("PDP217", path)]


@pytest.mark.parametrize(
    ("host", "codes"),
    [
        ("api.pay.svc", []),
        ("eu.api.pay.svc", []),
        ("API.Pay.svc", []),
        ("pay.svc", ["PDP217"]),
        ("xpay.svc", ["PDP217"]),
        ("api.pay.test", ["PDP217"]),
    ],
)
def test_a_pattern_of_hosts_owns_what_lies_below_it(host, codes):
    path = "teams/pay/a.policy"

    found = said('service pay, host "*.pay.svc"', {path: f'service pay {{ host "{host}" }}'})

    assert found == [(code, path) for code in codes]


@pytest.mark.parametrize(
    ("directories", "told", "outer", "inner"),
    [
        (("a/b", "a/c", "a"), ("a", "a/b"), "a", "a/b"),
        (("a", "a/b", "a/b/c"), ("a/b/c", "a"), "a", "a/b/c"),
    ],
)
def test_of_several_directories_that_lie_in_each_other_the_first_is_told(directories, told, outer, inner):
    owns = "".join(f'delegate "{name}" owns service s{n}\n' for n, name in enumerate(directories))

    found = [each for each in load({"root.policy": HEAD + owns}).diagnostics if each.code == "PDP213"]

    assert found[-1].message == f"`{told[0]}` and `{told[1]}` are both delegated, and one lies in the other"
    assert found[-1].help == f"delegate `{outer}` alone, or move `{inner}` out of it"
