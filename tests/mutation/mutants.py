"""Mutants of a module: one place changed in each, as text.

What is changed: comparisons, connectives (`and`, `or`, `not`, `&`, `|`), conditions, returns, raises,
`+` and `-`, and whole numbers. What is left alone: annotations, `__all__`, text, and what stands in
formatted text, which only people read.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Mutant", "mutants_of"]

_COMPARISONS = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_OPERATORS = {ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Add: ast.Sub, ast.Sub: ast.Add}
_SHOWN = 70


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change of one file.

    Attributes:
        file: The file, relative to the repository.
        function: Qualified name of the function it is in, or `module`.
        number: Line number of the change, from 1.
        line: That line as it was, without indentation.
        change: What became of what, as shown to people and named in `survivors.toml`.
        text: The whole file with the change.
    """

    file: str
    function: str
    number: int
    line: str
    change: str
    text: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What `survivors.toml` knows it by: neither line numbers nor the order of functions count."""
        return self.file, self.function, self.line, self.change


def mutants_of(file: str, source: str) -> list[Mutant]:
    """Every mutant of a file, in the order of its lines."""
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode()))
    data = source.encode()
    found = []
    for function, node, new in _changes(ast.parse(source), "module", None):
        first = starts[node.lineno - 1] + node.col_offset
        last = starts[node.end_lineno - 1] + node.end_col_offset
        text = (data[:first] + new.encode() + data[last:]).decode()
        line = lines[node.lineno - 1].strip()
        change = f"{_short(ast.unparse(node))} -> {_short(new)}"
        mutant = Mutant(file=file, function=function, number=node.lineno, line=line, change=change, text=text)
        found.append(mutant)
    return sorted(found, key=lambda mutant: mutant.number)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


Change = tuple[str, ast.AST, str]


def _changes(node: ast.AST, function: str, returns: ast.expr | None) -> Iterator[Change]:
    """The changes in a node and below it."""
    match node:
        case ast.JoinedStr():  # what stands in formatted text has no position of its own
            return
        case (
            ast.Assign(targets=[ast.Name(id="__all__")]) | ast.AnnAssign(annotation=ast.Name(id="TypeAlias"))
        ):
            return
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            function = name if function == "module" else f"{function}.{name}"
            returns = getattr(node, "returns", None)
    for new in _replacements(node, returns):
        yield function, node, new
    for condition in _conditions(node):
        yield function, condition, "True"
        yield function, condition, "False"
    for child in _children(node):
        yield from _changes(child, function, returns)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list"}:
            continue
        values = value if isinstance(value, list) else [value]
        yield from (child for child in values if isinstance(child, ast.AST))


def _conditions(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.If(test=test) | ast.IfExp(test=test):
            return [test]
        case ast.comprehension(ifs=ifs):
            return ifs
        case ast.match_case(guard=ast.expr() as guard):
            return [guard]
        case _:
            return []


def _replacements(node: ast.AST, returns: ast.expr | None) -> Iterator[str]:
    match node:
        case ast.Compare():
            yield from map(_bracketed, _compared(node))
        case ast.BoolOp(op=op, values=values):
            yield _bracketed(ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield _bracketed(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            yield _bracketed(ast.BinOp(left, _OPERATORS[type(op)](), right))
        case ast.Constant(value=int(value)) if not isinstance(value, bool):
            yield f"({value + 1})"
            yield f"({value - 1})"
        case ast.Return(value=value) if value is not None:
            yield from _returned(value, returns)
        case ast.Raise():
            yield "pass"


def _compared(node: ast.Compare) -> Iterator[ast.expr]:
    for place, op in enumerate(node.ops):
        for other in _COMPARISONS[type(op)]:
            ops = [*node.ops[:place], other(), *node.ops[place + 1 :]]
            yield ast.Compare(node.left, ops, node.comparators)


def _returned(value: ast.expr, returns: ast.expr | None) -> Iterator[str]:
    if isinstance(value, ast.Constant):
        if value.value is None:
            return
        if isinstance(value.value, bool):
            yield f"return {not value.value}"
            return
    if isinstance(returns, ast.Name) and returns.id == "bool":
        yield f"return not ({ast.unparse(value)})"
    else:
        yield "return None"


def _bracketed(node: ast.expr) -> str:
    return f"({ast.unparse(node)})"
