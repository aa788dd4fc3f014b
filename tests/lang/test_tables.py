"""Tables of grants and members: read line by line, soon, whatever is in them."""

import time

import pytest

from pdp.diagnostics import Diagnostic, Source
from pdp.lang import ast
from pdp.lang.parser import parse
from pdp.lang.tables import cells_at, read_grants, read_members

HEADER = "principal,methods,path\n"


def clause() -> ast.Clause:
    (block,) = parse(
        Source(path="a.policy", text='language 1\nservice s { allow from "a.csv" }\n')
    ).file.items
    assert isinstance(block, ast.ServiceBlock)
    (grants,) = block.items
    assert isinstance(grants, ast.BulkGrants)
    return grants.clause


def grants_of(text: str) -> tuple[list[ast.Rule], list[Diagnostic]]:
    found: list[Diagnostic] = []
    return list(read_grants(Source(path="a.csv", text=text), clause(), found)), found


LONG = {
    "spaces in a field": f"a{' ' * 100_000}b,GET,/c",
    "spaces in the last field": f"a,GET,/c{' ' * 100_000}d",
    "nothing but spaces": f"{' ' * 100_000},GET",
    "quotes": '"' * 100_001 + ",GET,/c",
    "quotes and commas": '","' * 30_000,
    "commas": "," * 100_000,
}


@pytest.mark.parametrize("line", LONG.values(), ids=LONG.keys())
def test_no_line_takes_long(line: str) -> None:
    """A fraction of a second, where quadratic time would be minutes."""
    began = time.process_time()

    grants_of(f"{HEADER}{line}\n")
    read_members(Source(path="a.txt", text=line))

    assert time.process_time() - began < 5


@pytest.mark.parametrize("separator", ["\u2028", "\x0b", "\x1c", "\x85"])
def test_a_line_ends_where_an_editor_ends_it(separator: str) -> None:
    """What else Unicode calls the end of a line is a mistake in the midst of one."""
    text = f"{HEADER}a,GET,/{separator}b,any,/**\n"

    rules, found = grants_of(text)

    assert rules == []
    assert [diagnostic.code for diagnostic in found] == ["PDP110"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_cells_stand_where_they_are_found_again(end: str) -> None:
    lines = ["principal,methods,path", ' prod/ns/a/sa/b ,"GET HEAD", /v1/{id} ', "", '"checkout",any,"/**"']
    text = end.join(lines)
    source = Source(path="a.csv", text=text)

    rules, found = grants_of(text)
    cells = [cells_at(source, rule.span.start) for rule in rules]

    assert found == []
    assert [[text[cell.start : cell.end] for cell in line[1:]] for line in cells] == [
        ["prod/ns/a/sa/b", '"GET HEAD"', "/v1/{id}"],
        ['"checkout"', "any", '"/**"'],
    ]
