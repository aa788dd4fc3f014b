"""Nodes of the AST: equal by what they say, wherever and however it is written."""

from pdp.diagnostics import Span
from pdp.lang import ast

HERE, THERE = Span(file="a", start=0, end=1), Span(file="b", start=7, end=9)


def test_nodes_are_equal_by_meaning() -> None:
    one, two = ast.GroupRef(name="web", span=HERE), ast.GroupRef(name="web", span=THERE)

    assert one == two
    assert not one != two  # noqa: SIM202 -- another method than `==`
    assert hash(one) == hash(two)
    assert {one, two} == {one}


def test_nodes_that_say_something_else_differ() -> None:
    one, two = ast.GroupRef(name="web", span=HERE), ast.GroupRef(name="shop", span=HERE)

    assert one != two
    assert not one == two  # noqa: SIM201 -- another method than `!=`
    assert hash(one) != hash(two)


def test_nodes_of_two_kinds_differ() -> None:
    assert ast.Anyone(span=HERE) != ast.AnyAuthenticated(span=HERE)
    assert ast.Name(text="web", span=HERE) != "web"
    assert ast.Anyone(span=HERE) == ast.Anyone(span=THERE)


def test_how_a_pattern_is_written_is_not_compared() -> None:
    segments = (ast.LiteralSegment(text="a"),)
    path, uri = (
        ast.PrincipalPattern(trust_domain="p", segments=segments, form=form, span=HERE)
        for form in (ast.SpiffeForm.PATH, ast.SpiffeForm.URI)
    )

    assert path == uri


def test_places_are_not_shown() -> None:
    assert repr(ast.GroupRef(name="web", span=HERE)) == "GroupRef(name='web')"
