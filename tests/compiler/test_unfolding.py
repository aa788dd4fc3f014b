"""Names in names: what a few lines can stand for is bounded, and found before it is unfolded."""

import pytest

from pdp.limits import MAX_CONDITION_TESTS, MAX_NAME_NESTING, MAX_RULE_ROWS
from tests.docs.sets import load


def problems(text):
    found = load({"a.policy": f"language 1\n{text}"}).diagnostics
    return [(each.code, each.message) for each in found]


def chain(kind, first, following, length):
    lines = [f"{kind} n0 = {first}", *(f"{kind} n{n} = {following.format(n - 1)}" for n in range(1, length))]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("kind", "first", "following"),
    [("condition", "has header.x", "not n{}"), ("role", "{{ GET /x }}".format(), "{{ n{} }}")],
)
def test_names_nest_so_deep_and_no_deeper(kind, first, following):
    assert problems(chain(kind, first, following, MAX_NAME_NESTING)) == []
    assert problems(chain(kind, first, following, MAX_NAME_NESTING + 1)) == [
        ("PDP913", f"{kind}s nest more than {MAX_NAME_NESTING} deep")
    ]


def test_thousands_of_names_in_a_row_are_an_error_and_no_defect():
    assert {code for code, _ in problems(chain("condition", "has header.x", "not n{}", 3000))} == {"PDP913"}
    assert {code for code, _ in problems(chain("role", "{ GET /x }", "{{ n{} }}", 3000))} == {"PDP913"}


def test_what_doubles_with_each_name_is_found_without_unfolding_it():
    text = chain("condition", "has header.x or has header.y", "n{0} and n{0}", 16)

    assert problems(text)[0] == ("PDP921", f"condition `n8` comes to more than {MAX_CONDITION_TESTS} tests")
    unknown = chain("condition", "nowhere and nowhere", "n{0} and n{0}", 16)
    assert {code for code, _ in problems(unknown)} == {"PDP204", "PDP921"}
    tenfold = chain("condition", "has header.x", " and ".join(["n{0}"] * 10), 30)
    assert {code for code, _ in problems(tenfold)} == {"PDP921"}
    roles = chain("role", "{ GET /x }", "{{ n{0}, n{0} }}", 15)
    assert problems(roles) == [("PDP922", f"role `n14` comes to more than {MAX_RULE_ROWS} targets")]


def test_whoever_uses_what_is_too_large_is_not_told_that_it_is_unknown():
    text = chain("condition", "has header.x or has header.y", "n{0} and n{0}", 9)

    assert [code for code, _ in problems(f"{text}service s {{ allow anyone to GET /x when n8 }}")] == [
        "PDP921"
    ]


@pytest.mark.parametrize("kind", ["condition", "role"])
def test_it_does_not_matter_which_is_written_first(kind):
    """A name may be used above the line that declares it, and in several others."""
    first, following = ("has header.x", "not n{}") if kind == "condition" else ("{ GET /x }", "{{ n{} }}")

    def backwards(length):
        return "\n".join(reversed(chain(kind, first, following, length).splitlines())) + "\n"

    assert problems(backwards(MAX_NAME_NESTING)) == []
    assert [code for code, _ in problems(backwards(MAX_NAME_NESTING + 1))] == ["PDP913"]
    both = 'condition d = b and c\ncondition b = a\ncondition c = a and b\ncondition a = header.x == "1"\n'
    assert problems(both) == []


def test_what_goes_too_far_is_told_where_it_begins_and_counts_as_one_for_others():
    def too_deep(length):
        return [code for code, _ in problems(chain("condition", "has header.x", "not n{}", length))]

    assert too_deep(2 * MAX_NAME_NESTING + 1) == ["PDP913"]
    assert too_deep(2 * MAX_NAME_NESTING + 2) == ["PDP913"] * 2

    def too_large(more):
        tests = " or ".join(f'header.x == "{n}"' for n in range(MAX_CONDITION_TESTS + 1))
        others = "".join(f' or header.y == "{n}"' for n in range(more))
        return [code for code, _ in problems(f"condition c = {tests}\ncondition d = c{others}\n")]

    assert too_large(MAX_CONDITION_TESTS - 1) == ["PDP921"]
    assert too_large(MAX_CONDITION_TESTS) == ["PDP921"] * 2


def test_what_leads_back_to_itself_is_told_as_that_and_no_more():
    tests = " or ".join(f'header.x == "{n}"' for n in range(MAX_CONDITION_TESTS + 1))
    circle = f"condition a = b or {tests}\ncondition b = a\n"

    assert [code for code, _ in problems(circle)] == ["PDP205"]
    assert [code for code, _ in problems(f"{circle}condition c = a and b and has header.y\n")] == ["PDP205"]


def test_a_name_of_the_platform_counts_in_a_directory_too():
    condition = " or ".join(f'header.x == "{n}"' for n in range(MAX_CONDITION_TESTS // 2 + 1))
    files = {
        "a.policy": f'language 1\ndelegate "teams" owns service s\ncondition c = {condition}\n',
        "teams/s.policy": "language 1\nservice s {}\ncondition twice = c and c\n",
    }

    assert [(each.code, each.span.file) for each in load(files).diagnostics] == [("PDP921", "teams/s.policy")]


@pytest.mark.parametrize("word", ["when", "unless"])
def test_a_rule_makes_so_many_tests_and_no_more(word):
    def rule(count):
        tests = " or ".join(f'header.x == "{n}"' for n in range(count))
        return problems(f"service s {{ allow anyone to GET /x {word} {tests} }}")

    assert rule(MAX_CONDITION_TESTS) == []
    assert [code for code, _ in rule(MAX_CONDITION_TESTS + 1)] == ["PDP921"]


def test_tests_of_names_count_in_the_rule():
    condition = " or ".join(f'header.x == "{n}"' for n in range(MAX_CONDITION_TESTS // 2))

    def rule(when):
        return problems(f"condition c = {condition}\nservice s {{ allow anyone to GET /x when {when} }}")

    assert rule("c and c") == []
    assert [code for code, _ in rule("c and c and has header.y")] == ["PDP921"]


def test_a_rule_has_so_many_rows_and_no_more():
    def rule(principals, targets, services=1):
        who = ", ".join(f"prod/n{n}" for n in range(principals))
        what = ", ".join(f"GET /n{n}" for n in range(targets))
        on = ", ".join(f"s{n}" for n in range(services))
        declared = "".join(f"service s{n} {{}}\n" for n in range(services))
        return problems(f'trust domain prod = "prod.example.org"\n{declared}allow {who} to {what} on {on}')

    assert rule(100, 100) == []
    assert [code for code, _ in rule(100, 101)] == ["PDP922"]
    assert rule(50, 100, 2) == []
    assert [code for code, _ in rule(50, 101, 2)] == ["PDP922"]


def test_roles_of_a_rule_count_together():
    roles = "".join(
        f"role r{n} = {{ {', '.join(f'GET /{n}/{m}' for m in range(4000))} }}\n" for n in range(3)
    )

    assert problems(f"{roles}service s {{ allow anyone to r0, r1 }}") == []
    assert [code for code, _ in problems(f"{roles}service s {{ allow anyone to r0, r1, r2 }}")] == ["PDP922"]


def test_what_follows_a_role_that_is_as_large_as_a_rule_may_be_is_not_left_out():
    role = f"role r = {{ {', '.join(f'GET /{n}' for n in range(MAX_RULE_ROWS))} }}\n"

    assert problems(f"{role}service s {{ allow anyone to r }}") == []
    assert [code for code, _ in problems(f"{role}service s {{ allow anyone to r, GET /x }}")] == ["PDP922"]
