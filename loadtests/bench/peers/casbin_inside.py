"""casbin, as pycasbin: an enforcer of all rules, and its `FastEnforcer`, which keeps them by a key.

The matcher compares what is cheapest first and matches the path last, and a deny overrides: both as
casbin's pages say. The key is principal, service and method, so that few rules are left for each
question.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import casbin

from loadtests.bench.peers.inside import Ask
from loadtests.bench.peers.rules import Question, Rule, rules

__all__ = ["KEYED", "WHOLE", "enforcers", "prepare", "works"]

WHOLE: Final = "casbin"
KEYED: Final = "casbin, keyed"
WORKS: Final = (WHOLE, KEYED)
_MODEL: Final = """\
[request_definition]
r = sub, svc, act, obj

[policy_definition]
p = sub, svc, act, obj, eft

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = r.sub == p.sub && r.svc == p.svc && r.act == p.act && keyMatch3(r.obj, p.obj)
"""


def enforcers(kept: Iterable[Rule], names: Sequence[str]) -> dict[str, Ask]:
    """What answers, by name."""
    text = "".join(
        f"p, {rule.principal}, {rule.service}, {rule.method}, {rule.path},"
        f" {'allow' if rule.allows else 'deny'}\n"
        for rule in kept
    )
    keys = {WHOLE: None, KEYED: [0, 1, 2]}
    found = {}
    for name in names:
        model = casbin.FastModel(keys[name]) if keys[name] else casbin.Model()
        model.load_model_from_text(_MODEL)
        adapter = casbin.StringAdapter(text)
        found[name] = asking(casbin.FastEnforcer(model, adapter, cache_key_order=keys[name]))
    return found


def asking(enforcer: casbin.FastEnforcer) -> Ask:
    """Ask it."""
    enforce = enforcer.enforce
    return lambda asked: bool(enforce(*asked))


def prepare(question: Question) -> tuple[str, str, str, str]:
    """The arguments of a question."""
    return question.principal, question.service, question.method, question.path


def works(count: int, names: Sequence[str]) -> dict[str, tuple[Ask, Callable[[Question], Any]]]:
    """Both, where both are asked for."""
    return {name: (ask, prepare) for name, ask in enforcers(rules(count), names).items()}
