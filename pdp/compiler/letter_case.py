"""Literals that a service whose paths may have any case could never match.

Every reading of a request has to be allowed, and one of them is in lower case: a literal with a
capital letter misses it. An allow then never allows, and a deny is passed by whoever writes the
path in lower case, so such a literal is an error wherever it stands: in a rule, in a role, in a
table, in an exception, in a rule on any service, in what a capture is compared with.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from pdp.compiler.environment import Environment
from pdp.compiler.heads import Heads
from pdp.compiler.rows import Row, Unit
from pdp.diagnostics import Diagnostic, Span
from pdp.lang import ast
from pdp.lang.parsed import Parsed
from pdp.paths import Relaxation, is_canonical_segment

__all__ = ["never_in_lower_case"]


def never_in_lower_case(
    parsed: Sequence[Parsed], environment: Environment, units: Sequence[Unit], heads: Heads
) -> list[Diagnostic]:
    """One diagnostic for each pattern of a rule, and for each value that a capture is compared with."""
    services = [
        name for name, info in environment.services.items() if Relaxation.IGNORE_CASE in info.relaxations
    ]
    if not services:
        return []
    found = []
    for unit in units:
        for service in services:
            rows = unit.by_service.get(service, ())
            found += [d for row in rows for d in _row(row, unit, service, environment, heads)]
        found += [d for row in unit.on_any for d in _row(row, unit, services[0], environment, heads)]
    for file in parsed:
        directory = file.file.path.rpartition("/")[0]
        for statement, service in _statements(file.file, services):
            found += _Statement(environment, directory, service).problems(statement)
    return list(dict.fromkeys(found))


def _statements(file: ast.File, services: Sequence[str]) -> Iterator[tuple[ast.Rule | ast.Invariant, str]]:
    """Rules and invariants about some of these services, with one of those."""
    for item in file.items:
        if isinstance(item, ast.ServiceBlock):
            if item.name.text in services:
                yield from ((part, item.name.text) for part in item.items if isinstance(part, ast.Rule))
        elif isinstance(item, ast.Rule | ast.Invariant):
            if isinstance(item.services, ast.AnyService):
                yield item, services[0]
            else:
                named = [name.text for name in item.services or () if name.text in services]
                yield from ((item, name) for name in named[:1])


# -- rows ------------------------------------------------------------------------------


def _row(row: Row, unit: Unit, service: str, environment: Environment, heads: Heads) -> Iterator[Diagnostic]:
    patterns = [row.path, *(exception.pattern for exception in (row.detail.exceptions if row.detail else ()))]
    for pattern in patterns:
        wrong = [segment for segment in pattern if _literal(segment) != _lowered(_literal(segment))]
        if not wrong:
            continue
        rule = heads.rule(unit, row.rule)
        if rule is None:
            span = heads.cells(unit, row.rule).path
        else:
            span = rule.span
            directory = unit.texts.file.rpartition("/")[0]
            places = _Statement(environment, directory, service).paths(rule.targets)
            span = next((path.span for path in places if path.segments == pattern), span)
        yield _problem(_shown(pattern), _shown(pattern, lowered=True), service, span)


def _literal(segment: ast.Segment) -> str:
    match segment:
        case ast.LiteralSegment(text=text) | ast.PrefixSegment(text=text) | ast.SuffixSegment(text=text):
            return text
        case _:
            return ""


@lru_cache(maxsize=1 << 16)  # the segments of a set are the same few words
def _lowered(text: str) -> str:
    """The text as every reading of a request may have it; empty if none may."""
    lower = _in_lower_case(text)
    return lower if is_canonical_segment(lower, Relaxation.IGNORE_CASE) else ""


def _in_lower_case(text: str) -> str:
    """With `A` to `Z` in lower case, but for the digits of `%XX`."""
    first, *rest = text.split("%")
    return "%".join([first.lower(), *(piece[:2] + piece[2:].lower() for piece in rest)])


def _shown(pattern: Sequence[ast.Segment], *, lowered: bool = False) -> str:
    """The pattern as text; empty if it cannot be written in lower case."""
    shown = []
    for segment in pattern:
        literal = _literal(segment)
        text = _lowered(literal) if lowered else literal
        if literal and not text:
            return ""
        shown.append(_segment(segment, text))
    return "".join(f"/{text}" for text in shown)


def _segment(segment: ast.Segment, text: str) -> str:
    match segment:
        case ast.Capture(name=name):
            return f"{{{name}}}"
        case ast.AnySegment():
            return "*"
        case ast.RestSegments():
            return "**"
        case ast.PrefixSegment():
            return f"{text}*"
        case ast.SuffixSegment():
            return f"*{text}"
        case ast.LiteralSegment():
            return text


def _problem(shown: str, lower: str, service: str, span: Span) -> Diagnostic:
    help_ = f"write `{lower}`" if lower else "servers do not agree on the lower case of its letters"
    return Diagnostic(
        code="PDP342",
        message=f"`{shown}` is not in lower case, and paths of service `{service}` may have any case",
        span=span,
        help=help_,
    )


# -- what is written -------------------------------------------------------------------


class _Statement:
    """The paths of one rule or invariant, and the conditions on its captures."""

    def __init__(self, environment: Environment, directory: str, service: str) -> None:
        self.environment = environment
        self.directory = directory
        self.service = service

    def problems(self, item: ast.Rule | ast.Invariant) -> Iterator[Diagnostic]:
        """What no row shows: the paths of invariants, and values that captures are compared with."""
        paths = list(self.paths(item.targets))
        captures = {s.name for path in paths for s in path.segments if isinstance(s, ast.Capture)}
        if isinstance(item, ast.Invariant):
            conditions = [item.when]
            for path in paths:
                if any(_literal(segment) != _lowered(_literal(segment)) for segment in path.segments):
                    shown, lower = _shown(path.segments), _shown(path.segments, lowered=True)
                    yield _problem(shown, lower, self.service, path.span)
        else:
            conditions = [item.clause.when, item.clause.unless]
        for expr in conditions:
            for value in self._compared(expr, captures):
                lower = _lowered(value.value)
                if lower != value.value and is_canonical_segment(value.value):
                    quoted = f'"{lower}"' if lower else ""
                    yield _problem(f'"{value.value}"', quoted, self.service, value.span)

    def paths(self, targets: Sequence[ast.Target | ast.RoleRef]) -> Iterator[ast.PathPattern]:
        """Every path of some targets, those of roles and exceptions included.

        Roles and conditions that lead back to themselves are in no environment, so this ends.
        """
        for target in targets:
            if isinstance(target, ast.Target):
                yield target.path
                yield from target.excluded
                continue
            role = self.environment.role(target.name, self.directory)
            if role is not None:
                yield from self.paths(role.targets)

    def _compared(self, expr: ast.Expr | None, captures: set[str]) -> Iterator[ast.StringValue]:
        """The texts that captures of the path are compared with."""
        match expr:
            case ast.And(items=items) | ast.Or(items=items):
                for item in items:
                    yield from self._compared(item, captures)
            case ast.Not(item=item):
                yield from self._compared(item, captures)
            case ast.NamedCondition(name=name):
                declared = self.environment.condition(name, self.directory)
                yield from self._compared(declared and declared.expr, captures)
            case ast.Comparison(left=ast.CaptureOperand(name=name), right=ast.ValueOperand(value=value)) | (
                ast.Comparison(right=ast.CaptureOperand(name=name), left=ast.ValueOperand(value=value))
            ) if name in captures and isinstance(value, ast.StringValue):
                yield value
            case ast.In(operand=ast.CaptureOperand(name=name), values=values) if name in captures:
                yield from (value for value in values if isinstance(value, ast.StringValue))
            case _:
                pass
