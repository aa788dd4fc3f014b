"""Explanations of one question, for tests of what they name."""

from pdp.engine.decide import decide
from pdp.engine.explain import Explanation, explain
from pdp.index.rule_index import RuleIndex
from tests.engine.asking import ask, index_of

__all__ = ["DECLARED", "explained", "told"]

DECLARED = """
condition inside = source.ip in 10.0.0.0/8
condition live = header.x-env == "live"
condition fit = inside and live
group few = { prod/u, prod/v }
group many = { few, prod/w, dns "*.vm.test" }
group rest = { prod/ns/** except prod/ns/x }
"""


def explained(rules: str, question: str, service: str = "s", **rest) -> tuple[RuleIndex, Explanation]:
    """The explanation of a question that is asked of a service with these rules."""
    index = index_of(f"{DECLARED}\nservice s {{\n{rules}\n}}")
    request = ask(question, service=service, **rest)
    return index, explain(index, request, decide(index, request))


def told(differences):
    """Differences as tuples."""
    return [(one.coordinate, one.given, one.wanted, one.truth) for one in differences]
