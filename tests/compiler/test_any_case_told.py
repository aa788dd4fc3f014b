"""What is said of a capital letter where paths may have any case: which service, where, what to write."""

import pytest

from tests.docs.sets import load

HEAD = 'language 1\ntrust domain prod = "prod.example.org"\n'
TWO = """service files { paths may have any-case }
service media { paths may have any-case }
service ledger {}
"""


def said(*files: str) -> list[tuple[str, str, str]]:
    """What stands at each place, the message and the help, of files named `a.policy`, `b/b.policy`, ..."""
    names = ["a.policy", "b/b.policy", "c/c.policy"]
    texts = dict(zip(names, files, strict=False))
    found = []
    for each in load(texts).diagnostics:
        assert each.code == "PDP342", each
        found.append((texts[each.span.file][each.span.start : each.span.end], each.message, each.help))
    return found


def about(shown: str, service: str = "files") -> str:
    return f"`{shown}` is not in lower case, and paths of service `{service}` may have any case"


@pytest.mark.parametrize(
    ("pattern", "lower"),
    [
        ("/Admin/*", "/admin/*"),
        ("/{x}/Admin", "/{x}/admin"),
        ("/Admin/**", "/admin/**"),
        ("/Adm*/x", "/adm*/x"),
        ("/x/*.PNG", "/x/*.png"),
        ("/A%5Bb/C", "/a%5Bb/c"),
        ("/a/B/", "/a/b/"),
    ],
)
def test_the_pattern_is_shown_as_it_is_written_and_as_it_should_be(pattern: str, lower: str) -> None:
    text = HEAD + f"service files {{ paths may have any-case\n deny anyone to any {pattern} }}\n"

    assert said(text) == [(pattern, about(pattern), f"write `{lower}`")]


def test_letters_whose_lower_case_servers_do_not_agree_on() -> None:
    text = HEAD + "service files { paths may have any-case\n deny anyone to any /x/%C3%89 }\n"

    ((_, _, help_),) = said(text)
    assert help_ == "servers do not agree on the lower case of its letters"


def test_letters_of_a_value_whose_lower_case_servers_do_not_agree_on() -> None:
    rule = 'deny anyone to any /{a} when {a} == "%C3%89"'

    ((place, _, help_),) = said(HEAD + f"service files {{ paths may have any-case\n {rule} }}\n")
    assert (place, help_) == ('"%C3%89"', "servers do not agree on the lower case of its letters")


@pytest.mark.parametrize(
    ("declared", "rule", "code"),
    [
        ("", "deny anyone to nowhere", "PDP227"),
        ("", "deny anyone to any /{a} when nowhere", "PDP204"),
        ("role a = { b }\nrole b = { a }", "deny anyone to a", "PDP228"),
        ("condition a = b\ncondition b = a", "deny anyone to any /{a} when a", "PDP205"),
    ],
)
def test_names_that_stand_for_nothing_are_told_as_elsewhere(declared: str, rule: str, code: str) -> None:
    text = f"{HEAD}{declared}\nservice files {{ paths may have any-case\n {rule} }}\n"

    assert [found.code for found in load({"a.policy": text}).diagnostics] == [code]


def test_each_service_is_told_of_its_own_rules() -> None:
    text = HEAD + (
        "service files { paths may have any-case\n deny anyone to any /A }\n"
        "service ledger { deny anyone to any /B }\n"
        "service media { paths may have any-case\n deny anyone to any /C }\n"
    )

    assert said(text) == [("/A", about("/A"), "write `/a`"), ("/C", about("/C", "media"), "write `/c`")]


def test_a_rule_on_several_such_services_is_told_of_each() -> None:
    text = HEAD + TWO + "deny anyone to any /A on ledger, media, files\n"

    assert said(text) == [("/A", about("/A"), "write `/a`"), ("/A", about("/A", "media"), "write `/a`")]


def test_a_rule_on_any_service_is_told_once() -> None:
    text = (
        HEAD
        + TWO
        + 'deny anyone to any /{a}/B when {a} == "C" on any service\n'.replace(
            ' when {a} == "C" on any service', ' on any service when {a} == "C"'
        )
    )

    assert said(text) == [
        ("/{a}/B", about("/{a}/B"), "write `/{a}/b`"),
        ('"C"', about('"C"'), 'write `"c"`'),
    ]


def test_an_invariant_on_several_services_names_the_first_such_one() -> None:
    text = HEAD + TWO + "never prod/x may POST /A on ledger, media, files\n"

    assert said(text) == [("/A", about("/A", "media"), "write `/a`")]


def test_an_invariant_on_any_service() -> None:
    text = HEAD + TWO + 'never prod/x may POST /A, GET /{b} on any service when {b} in { "C", "d" }\n'

    assert said(text)[0] == ("/A", about("/A"), "write `/a`")


def test_an_exception_is_pointed_at() -> None:
    text = HEAD + "service files { paths may have any-case\n deny anyone to any /** except /b and /A }\n"

    assert said(text) == [("/A", about("/A"), "write `/a`")]


PLATFORM = HEAD + 'delegate "b" owns service files\ndelegate "c" owns service media\n'
OTHER = "language 1\nservice media {{ paths may have any-case\n deny anyone to any /{{a}} {} }}\n{}"


def test_a_role_of_a_delegated_directory_is_its_own() -> None:
    rules = "service files { paths may have any-case\n deny anyone to admin }\n"
    owner = f"language 1\nrole admin = {{ any /Own }}\n{rules}"

    assert said(PLATFORM, owner, OTHER.format("", "role admin = { any /own }\n")) == [
        ("/Own", about("/Own"), "write `/own`")
    ]


def test_a_condition_of_a_delegated_directory_is_its_own() -> None:
    rules = "service files { paths may have any-case\n deny anyone to any /{a} when c }\n"
    owner = f'language 1\ncondition c = {{a}} == "Own"\n{rules}'

    assert said(PLATFORM, owner, OTHER.format("when c", 'condition c = {a} == "own"\n')) == [
        ('"Own"', about('"Own"'), 'write `"own"`')
    ]


@pytest.mark.parametrize(
    "condition",
    [
        '{a} == "B"',
        '"B" == {a}',
        '{a} != "B"',
        '{a} in { "b", "B" }',
        'not {a} == "B"',
        'has header.x and ({a} == "b" or {a} == "B")',
        'header.x == "C" or {a} == "B"',
    ],
)
@pytest.mark.parametrize("word", ["when", "unless"])
def test_a_value_is_found_wherever_a_capture_is_compared_with_it(condition: str, word: str) -> None:
    text = (
        HEAD
        + f"service files {{ paths may have any-case\n allow anyone to any /{{a}} {word} {condition} }}\n"
    )

    assert said(text) == [('"B"', about('"B"'), 'write `"b"`')]


@pytest.mark.parametrize(
    "rule",
    [
        'allow prod/{b}/x to any /{a} when {b} == "B"',
        'allow prod/{b}/x to any /{a} when {b} in { "B" }',
        'allow anyone to any /{a} when header.x == "B"',
        'allow anyone to any /{a} when header.x in { "B" }',
        'allow anyone to any /{a} when {a} == "not a segment: B/C"',
    ],
)
def test_what_is_no_segment_of_the_path_may_have_capitals(rule: str) -> None:
    assert said(HEAD + f"service files {{ paths may have any-case\n {rule} }}\n") == []


def test_roles_and_conditions_are_followed_to_their_end() -> None:
    text = HEAD + (
        "role inner = { any /A/{x} }\nrole outer = { any /b/{x}, inner }\n"
        'condition first = {x} == "C"\ncondition second = has header.x and first\n'
        "service files { paths may have any-case\n deny anyone to outer, outer when second and first }\n"
    )

    assert said(text) == [
        ("/A/{x}", about("/A/{x}"), "write `/a/{x}`"),
        ('"C"', about('"C"'), 'write `"c"`'),
    ]


def test_nothing_is_said_without_such_a_service() -> None:
    assert said(HEAD + "service ledger { deny anyone to any /A }\n") == []


def test_a_table_is_pointed_at_in_its_cell() -> None:
    policy = HEAD + 'service files { paths may have any-case\n allow from "t.csv" }\n'
    table = "principal,methods,path\nprod/a,GET,/ok\nprod/a,GET,/Not\n"

    found = load({"a.policy": policy, "t.csv": table}).diagnostics

    assert [(d.code, table[d.span.start : d.span.end]) for d in found] == [("PDP342", "/Not")]


def test_what_is_no_text_at_all_is_told_once_and_beside_it() -> None:
    rule = 'deny anyone to any /{a} when {a} in {1, true, "Admin"}'
    text = HEAD + f"service files {{ paths may have any-case\n {rule} }}\n"

    found = [
        (each.code, text[each.span.start : each.span.end]) for each in load({"a.policy": text}).diagnostics
    ]

    assert found == [("PDP332", "1"), ("PDP332", "true"), ("PDP342", '"Admin"')]
