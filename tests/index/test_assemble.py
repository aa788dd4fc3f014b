"""Units to an index: what is taken over from the previous one, and what stops it."""

from dataclasses import replace

import pytest

from pdp import limits
from pdp.compiler.environment import gather
from pdp.compiler.numbers import Numbers
from pdp.compiler.resolve import Resolver
from pdp.compiler.units import lower_file
from pdp.diagnostics import Severity, Source, Span
from pdp.index import build
from pdp.index.assemble import assemble
from pdp.lang.parser import parse
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader

RULES = """\
language 1
trust domain prod = "prod.test"
allow prod/a to GET /x on s
deny prod/b to any /** on any service
"""


def compiled(service):
    """Environment, numbers and the unit of the rules, for a service that is declared elsewhere."""
    texts = {"rules.policy": RULES, "service.policy": f"language 1\n{service}\n"}
    sources = {path: Source(path=path, text=text) for path, text in texts.items()}
    parsed = [parse(source) for source in sources.values()]
    environment, problems = gather(parsed)
    assert not problems
    numbers = Numbers()
    unit = lower_file(
        parsed[0], sources["rules.policy"], environment, numbers, Resolver(environment=environment)
    )
    return unit, environment, numbers


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ("service s {}", "service s {}", True),
        ("service s observe until 2027-01-01 {}", "service s observe until 2027-01-01 {}", True),
        ("service s {}", "service s observe until 2027-01-01 {}", False),
        ("service s observe until 2027-01-01 {}", "service s {}", False),
        ("service s observe until 2027-01-01 {}", "service s observe until 2027-01-02 {}", False),
        ("service s {}", "service s { paths may have encoded-slash }", False),
        ("service s { paths may have encoded-slash }", "service s { paths may have encoded-slash }", True),
    ],
)
def test_a_service_is_taken_over_only_with_all_that_it_says(before, after, kept):
    unit, environment, numbers = compiled(before)
    first = assemble([unit], environment, numbers)
    _, changed, _ = compiled(after)

    second = assemble([unit], changed, numbers, first)

    assert (second.index.services["s"] is first.index.services["s"]) is kept
    assert second.index.services["s"].observe_until == changed.services["s"].observe_until
    assert second.index.services["s"].relaxations == changed.services["s"].relaxations
    assert second.index.undeclared is first.index.undeclared
    assert second.index.principals is first.index.principals


@pytest.mark.parametrize("more", [0, 1])
def test_units_are_compared_one_by_one(more):
    unit, environment, numbers = compiled("service s {}")
    first = assemble([unit] * 1, environment, numbers)
    again, _, _ = compiled("service s {}")

    second = assemble([unit, again][more:][:1], environment, numbers, first)

    assert (second.index.services["s"] is first.index.services["s"]) is not bool(more)


def test_a_unit_more_or_less_is_a_change():
    unit, environment, numbers = compiled("service s {}")
    other, _, _ = compiled("service s {}")
    one, two = assemble([unit], environment, numbers), assemble([unit, other], environment, numbers)

    assert (
        assemble([unit, other], environment, numbers, one).index.services["s"] is not one.index.services["s"]
    )
    assert assemble([unit], environment, numbers, two).index.services["s"] is not two.index.services["s"]


def test_after_a_version_without_an_index_everything_is_built():
    unit, environment, numbers = compiled("service s {}")
    first = assemble([unit], environment, numbers)
    failed = replace(first, index=None)

    assert assemble([unit], environment, numbers, failed).index is not None


def test_a_bound_that_is_passed_leaves_no_index():
    depth = 18
    paths = (f"/{'/'.join(['*'] * at + ['x'] + ['*'] * (depth - at - 1))}" for at in range(depth))
    rules = "".join(f"    allow anyone to GET {path}\n" for path in paths)
    texts = {
        "a.policy": f"language 1\nservice files {{\n{rules}}}\nservice other {{ allow anyone to GET /x }}\n",
        "b.policy": "language 1\nallow anyone to GET /x on files\n",
    }

    loaded = Loader().load(make_bundle({name: text.encode() for name, text in texts.items()}), now=0)

    (problem,) = [found for found in loaded.diagnostics if found.severity is Severity.ERROR]
    assert loaded.snapshot is None
    assert problem.code == "PDP917"
    assert "service `files`" in problem.message
    bound = limits.MAX_CELLS_TO_SPARE + (depth + 1) * limits.MAX_CELLS_PER_PATTERN
    assert f"more than {bound} ways" in problem.message
    start = texts["a.policy"].index("files")
    assert problem.span == Span(file="a.policy", start=start, end=start + len("files"))


def test_a_bound_that_an_edit_passes_is_shown_where_the_service_is_declared_now(monkeypatch):
    loader = Loader()
    text = "language 1\nservice files { allow anyone to GET /a/* }\n"
    assert loader.load(make_bundle({"a.policy": text.encode()}), now=0).snapshot is not None
    edited = text.replace("service", "# which has moved\nservice").replace("/a/*", "/a/*, GET /*/b")
    monkeypatch.setattr(build, "cells_bound", lambda _: 1)

    loaded = loader.load(make_bundle({"a.policy": edited.encode()}), now=0)

    (problem,) = loaded.diagnostics
    assert problem.code == "PDP917"
    assert problem.span.start == edited.index("files")


def test_exceptions_count_as_patterns():
    depth = 18
    paths = (f"/{'/'.join(['*'] * at + ['x'] + ['*'] * (depth - at - 1))}" for at in range(depth))
    rules = "".join(f"    allow anyone to GET {path} except /q/{at}\n" for at, path in enumerate(paths))
    text = f"language 1\nservice files {{\n{rules}}}\n"

    loaded = Loader().load(make_bundle({"a.policy": text.encode()}), now=0)

    (problem,) = [found for found in loaded.diagnostics if found.severity is Severity.ERROR]
    bound = limits.MAX_CELLS_TO_SPARE + 2 * depth * limits.MAX_CELLS_PER_PATTERN
    assert f"more than {bound} ways" in problem.message


def test_patterns_of_principals_that_combine_too_much_leave_no_index():
    depth = 18
    terms = (f"prod/{'/'.join(['*'] * at + ['x'] + ['*'] * (depth - at - 1))}" for at in range(depth))
    rules = "".join(f"    allow {term} to GET /x\n" for term in terms)
    text = f'language 1\ntrust domain prod = "prod.test"\nservice s {{\n{rules}}}\n'

    loaded = Loader().load(make_bundle({"a.policy": text.encode()}), now=0)

    (problem,) = [found for found in loaded.diagnostics if found.severity is Severity.ERROR]
    assert loaded.snapshot is None
    assert problem.code == "PDP917"
    bound = limits.MAX_CELLS_TO_SPARE + depth * limits.MAX_CELLS_PER_PATTERN
    assert f"more than {bound} ways" in problem.message
    assert problem.span == Span(file=".", start=0, end=0)


def conditional(rules, others=0):
    lines = [f'    allow anyone to GET /x when header.x-a == "{n}"' for n in range(rules)]
    lines[:0] = [f"    allow anyone to GET /x as plain-{n}" for n in range(others)]
    text = "language 1\nservice s {\n" + "\n".join(lines) + "\n}\n"
    return Loader().load(make_bundle({"a.policy": text.encode()}), now=0)


def test_too_many_conditional_rules_in_one_place_are_named_by_the_first_that_is_too_many():
    bound = limits.MAX_CONDITIONAL_RULES_PER_CELL

    assert conditional(bound).snapshot is not None
    loaded = conditional(bound + 1)

    (problem,) = [found for found in loaded.diagnostics if found.severity is Severity.ERROR]
    assert loaded.snapshot is None
    assert problem.code == "PDP919"
    assert problem.span.file == "a.policy"
    start = loaded.sources["a.policy"].text.index(f'allow anyone to GET /x when header.x-a == "{bound}"')
    assert (problem.span.start, problem.span.end) == (start, start + 1)


def test_the_rule_that_is_too_many_is_found_in_its_own_file():
    """Files before it and rules before it in its file do not shift where it is shown."""
    bound = limits.MAX_CONDITIONAL_RULES_PER_CELL
    own = [f'allow anyone to GET /x on s when header.x-a == "{n}"' for n in range(bound + 1)]
    files = {
        "a.policy": "service s { allow anyone to GET /y }",
        "b.policy": "allow anyone to GET /z on s",
        "c.policy": "\n".join(["allow anyone to GET /q on s", *own]),
        "d.policy": "allow anyone to GET /r on s",
    }
    texts = {name: f"language 1\n{text}\n" for name, text in files.items()}

    loaded = Loader().load(make_bundle({name: text.encode() for name, text in texts.items()}), now=0)

    (problem,) = [found for found in loaded.diagnostics if found.severity is Severity.ERROR]
    assert (problem.span.file, problem.span.start) == ("c.policy", texts["c.policy"].index(own[-1]))


def test_rules_without_conditions_do_not_count_as_conditional():
    bound = limits.MAX_CONDITIONAL_RULES_PER_CELL

    assert conditional(bound, others=bound + 1).snapshot is not None
    assert conditional(bound + 1, others=bound + 1).snapshot is None


def test_conditional_rules_about_others_do_not_count():
    bound = limits.MAX_CONDITIONAL_RULES_PER_CELL
    lines = [
        f'    allow {who} to GET /x when header.x-a == "{n}"'
        for n in range(bound)
        for who in ("anyone", "any authenticated")
    ]
    text = "language 1\nservice s {\n" + "\n".join(lines) + "\n}\n"

    assert Loader().load(make_bundle({"a.policy": text.encode()}), now=0).snapshot is not None
