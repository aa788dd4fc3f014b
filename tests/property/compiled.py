"""ASTs through the real compiler and index, for tests that generate policy sets."""

from collections.abc import Mapping, Sequence

from pdp.compiler.checks import check_set
from pdp.compiler.environment import gather
from pdp.compiler.numbers import Numbers
from pdp.compiler.resolve import Resolver
from pdp.compiler.units import lower_file
from pdp.diagnostics import Source, has_errors, render
from pdp.index.assemble import assemble
from pdp.index.rule_index import RuleIndex
from pdp.lang import ast
from pdp.lang.parsed import Parsed
from pdp.vocabulary import Decision, Excluding, Region, Request


class RejectedError(Exception):
    """The checker refused what a strategy generated: one of the two is wrong."""


def compile_files(files: Sequence[ast.File]) -> RuleIndex:
    parsed = [Parsed(file=file, diagnostics=(), damaged=frozenset()) for file in files]
    sources = {file.path: Source(path=file.path, text=" " * 100_000) for file in files}
    environment, problems = gather(parsed)
    numbers, resolver = Numbers(), Resolver(environment=environment)
    units = [lower_file(item, sources[item.file.path], environment, numbers, resolver) for item in parsed]
    found = [*problems, *(d for unit in units for d in unit.diagnostics)]
    found += check_set(parsed, environment, units, numbers, resolver, sources)
    if has_errors(found):
        raise RejectedError("".join(render(d, sources) for d in found))
    assembly = assemble(units, environment, numbers)
    assert assembly.index is not None
    return assembly.index


def deciding(index: RuleIndex, service: str, decision: Decision) -> frozenset[tuple[str, int]]:
    """The deciding rules as the oracle names them: file and offset."""
    columns = index.service(service).columns
    found = set()
    for rule in decision.rules:
        found.add((columns.text(rule).file, columns.start(rule)))
    return frozenset(found)


def contains(region: Region, request: Request, context: Mapping[str, object]) -> bool:
    """Whether a request lies in a region, by the rule that docs/caching.md gives to clients."""
    if region.service != request.service:
        return False
    if region.principal is not None and region.principal != request.principal.id:
        return False
    if region.method is not None and region.method != request.method:
        return False
    segments = request.path[1:].split("/")
    if len(segments) < len(region.path) or (len(segments) > len(region.path) and not region.rest):
        return False
    if not all(_step(step, segment) for step, segment in zip(region.path, segments, strict=False)):
        return False
    return all(context.get(name) == value for name, value in region.context.items())


def _step(step: object, segment: str) -> bool:
    if isinstance(step, str):
        return step == segment
    if not segment:
        return False
    if isinstance(step, Excluding):
        return (
            segment not in step.segments
            and not any(segment.startswith(text) for text in step.prefixes)
            and not any(segment.endswith(text) for text in step.suffixes)
        )
    return True


def full_context(request: Request) -> dict[str, object]:
    """The attributes as regions pin them: those of the user are the user's."""
    context: dict[str, object] = {
        name: value
        for name, value in request.context.items()
        if name not in {"user.iss", "user.sub", "user.groups"}
    }
    if request.user is not None:
        context |= {
            "user.iss": request.user.issuer,
            "user.sub": request.user.subject,
            "user.groups": request.user.groups or None,
        }
    return context
