"""Where paths may have any case, no rule is missed for a capital letter: it is an error to write one."""

import pytest

from tests.docs.sets import failing_cases, load

SET = """language 1
trust domain prod = "prod.example.org"
{outside}
service files {{
    {relaxation}
    allow anyone to GET /**
    {inside}
}}
service ledger {{
    {ledger}
}}
test "a deny is not passed by another case" {{
    {case} anonymous GET files /admin/x
    {case} anonymous GET files /ADMIN/x
}}
"""


def said(
    *, outside: str = "", inside: str = "", ledger: str = "", relaxation: str = "paths may have any-case"
) -> list[str]:
    text = SET.format(outside=outside, inside=inside, ledger=ledger, relaxation=relaxation, case="allow")
    return [found.code for found in load({"a.policy": text}).diagnostics]


WRONG = {
    "a deny": {"inside": "deny anyone to any /Admin/**"},
    "a prefix": {"inside": "deny anyone to any /Adm*"},
    "a suffix": {"inside": "deny anyone to any /*Min"},
    "an exception": {"inside": "deny anyone to any /** except /Public/**"},
    "a role": {"outside": "role admin = { any /Admin/** }", "inside": "deny anyone to admin"},
    "a role in a role": {
        "outside": "role admin = { any /Admin/** }\nrole other = { admin }", "inside": "deny anyone to other",
    },
    "any service": {"outside": "deny anyone to any /Admin/** on any service"},
    "the service by name": {"outside": "deny anyone to any /Admin/** on files"},
    "the service among others": {"outside": "deny anyone to any /Admin/** on ledger, files"},
    "a gRPC method": {"inside": "deny anyone to call Admin.Users/List"},
    "letters beyond ASCII": {"inside": "deny anyone to any /%C3%89"},
    "a capture": {"inside": 'deny anyone to any /{a}/** when {a} == "Admin"'},
    "a capture, the other way round": {"inside": 'deny anyone to any /{a}/** when "Admin" == {a}'},
    "a capture in a list": {"inside": 'deny anyone to any /{a}/** unless not {a} in { "Admin", "b" }'},
    "a capture in a condition": {
        "outside": 'condition c = {a} == "Admin"', "inside": "deny anyone to any /{a}/** when c",
    },
    "an invariant": {"outside": "never prod/x may POST /Admin/** on files"},
}  # fmt: skip
RIGHT = {
    "lower case": {"inside": "deny prod/x to any /admin/**"},
    "another service": {"ledger": "deny anyone to any /Admin/**"},
    "another service, and a capture": {"ledger": 'deny anyone to any /{a}/** when {a} == "Admin"'},
    "another service by name": {"outside": "deny anyone to any /Admin/** on ledger"},
    "digits of an encoded byte": {"inside": "deny prod/x to any /a%5Bb"},
    "a capture of the principal alone": {"inside": 'deny prod/{a} to any /x when {a} == "Admin"'},
    "no relaxation": {"relaxation": "", "inside": "deny prod/x to any /Admin/**"},
    "another relaxation": {
        "relaxation": "paths may have trailing-slash", "inside": "deny prod/x to any /Admin/**",
    },
}  # fmt: skip


@pytest.mark.parametrize("parts", WRONG.values(), ids=WRONG.keys())
def test_a_capital_letter_that_reaches_such_a_service_is_an_error(parts: dict[str, str]) -> None:
    assert said(**parts) == ["PDP342"]


@pytest.mark.parametrize("parts", RIGHT.values(), ids=RIGHT.keys())
def test_a_capital_letter_that_reaches_no_such_service_is_none(parts: dict[str, str]) -> None:
    assert said(**parts) == []


def test_a_deny_in_lower_case_holds_for_every_case() -> None:
    text = SET.format(
        outside="",
        inside="deny anyone to any /admin/**",
        ledger="",
        relaxation="paths may have any-case",
        case="deny",
    )

    assert failing_cases(load({"a.policy": text})) == []
