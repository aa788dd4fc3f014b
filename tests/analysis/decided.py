"""Policy sets as ASTs, with what the analysis and the oracle say about their invariants."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pdp.analysis.budget import Budget
from pdp.analysis.invariants import Checked, _Check, _Memory
from pdp.analysis.lowered import lower_invariant
from pdp.analysis.witnesses import Witness
from pdp.compiler.checks import check_set
from pdp.compiler.environment import gather
from pdp.compiler.numbers import Numbers
from pdp.compiler.resolve import Resolver
from pdp.compiler.units import lower_file
from pdp.diagnostics import Source, has_errors, render
from pdp.index.assemble import assemble
from pdp.lang import ast
from pdp.lang.parsed import Parsed
from pdp.limits import MAX_INVARIANT_STEPS
from pdp.vocabulary import Effect, Millis, Reason, Request
from tests.reference.interpreter import Interpreter, _Conditions, _is_ambiguous_method, _Truth

__all__ = ["Compiled", "Judge", "RejectedError"]


class RejectedError(Exception):
    """The checker refused what a test generated."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """One checked policy set."""

    parsed: list[Parsed]
    check: _Check

    @classmethod
    def of(cls, files: Sequence[ast.File], now: Millis) -> "Compiled":
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
        checked = Checked(
            parsed=parsed,
            index=assembly.index,
            sources=assembly.sources,
            environment=environment,
            resolver=resolver,
            numbers=numbers,
        )
        return cls(parsed, _Check(checked, now, {}))

    def verdicts(self, steps: int = MAX_INVARIANT_STEPS) -> Iterator[tuple[ast.Invariant, str, object]]:
        """Each invariant and service with a witness, a reason why it is not decided, or None."""
        check = self.check
        for parsed in self.parsed:
            for item in parsed.file.items:
                if isinstance(item, ast.Invariant):
                    path = parsed.file.path
                    obliged = lower_invariant(
                        item, path, check.environment, check.resolver, check.shared.scribe
                    )
                    assert not obliged.diagnostics, obliged.diagnostics
                    for service in check._services(item):
                        yield (
                            item,
                            service,
                            check._verdict(item, obliged, _Memory({}, {}), service, Budget(steps)),
                        )


class Judge:
    """What the oracle says of invariants, by their definition in section 9."""

    def __init__(self, files: Sequence[ast.File]) -> None:
        self._oracle = Interpreter(files)

    def breaks(self, item: ast.Invariant, request: Request) -> bool:
        """Whether a request breaks an invariant."""
        if not isinstance(item.services, ast.AnyService) and request.service not in {
            name.text for name in item.services
        }:
            return False
        if _is_ambiguous_method(request):
            return False
        rule = as_rule(item)
        oracle = self._oracle
        truths = [
            _Conditions(names=oracle._names, request=request, captured=way).of(rule)
            for way in oracle._matching.ways(rule, request)
        ]
        allowed = oracle.decide(request).reason is Reason.ALLOWED
        if item.always:
            return _Truth.TRUE in truths and not allowed
        return any(truth is not _Truth.FALSE for truth in truths) and allowed


def as_rule(item: ast.Invariant) -> ast.Rule:
    return ast.Rule(
        effect=Effect.DENY,
        shadow=False,
        principals=item.principals,
        users=item.users,
        targets=item.targets,
        services=item.services,
        clause=ast.Clause(when=item.when),
        span=item.span,
    )


def witness_of(verdict: object) -> Request | None:
    return verdict.request if isinstance(verdict, Witness) else None
