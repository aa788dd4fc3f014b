"""Cedar, by cedarpy: all policies in one set, and sliced into sets by service and principal.

Principal, action and resource stand in each policy's scope, as Cedar's pages say, so that a set can be
sliced; the path is compared by `like`, whose `*` takes slashes, too, so that each policy says how many
there may be. Sets and entities are parsed once and kept as handles, as cedarpy's page says.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import cedarpy

from loadtests.bench.peers.inside import Ask
from loadtests.bench.peers.rules import Question, Rule, rules

__all__ = ["SLICED", "WHOLE", "askers", "prepare", "works"]

WHOLE: Final = "Cedar, whole"
SLICED: Final = "Cedar, sliced"
WORKS: Final = (WHOLE, SLICED)


def written(rule: Rule) -> str:
    """A rule as a policy."""
    like = "/".join("*" if part.startswith("{") else part for part in rule.path.split("/"))
    deeper = "/".join("*" for _ in range(rule.path.count("/") + 2))
    return (
        f'{"permit" if rule.allows else "forbid"}(principal == Workload::"{rule.principal}",'
        f' action == Action::"{rule.method}", resource == Service::"{rule.service}")'
        f' when {{ context.path like "{like}" && !(context.path like "{deeper}") }};\n'
    )


def askers(kept: Iterable[Rule], names: Sequence[str]) -> dict[str, Ask]:
    """What answers, by name."""
    texts: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for rule in kept:
        texts[rule.service, rule.principal].append(written(rule))
    entities = cedarpy.Entities.from_json_str("[]")
    is_authorized = cedarpy.is_authorized
    found: dict[str, Ask] = {}
    if WHOLE in names:
        whole = cedarpy.PolicySet.from_str("".join(line for lines in texts.values() for line in lines))
        found[WHOLE] = lambda asked: is_authorized(asked[1], whole, entities).allowed
    if SLICED in names:
        slices = {key: cedarpy.PolicySet.from_str("".join(lines)) for key, lines in texts.items()}
        nothing = cedarpy.PolicySet.from_str("")
        found[SLICED] = lambda asked: is_authorized(asked[1], slices.get(asked[0], nothing), entities).allowed
    return found


def prepare(question: Question) -> tuple[tuple[str, str], dict[str, object]]:
    """The key of its slice, and the question as cedarpy takes it."""
    return (question.service, question.principal), {
        "principal": {"type": "Workload", "id": question.principal},
        "action": {"type": "Action", "id": question.method},
        "resource": {"type": "Service", "id": question.service},
        "context": {"path": question.path},
    }


def works(count: int, names: Sequence[str]) -> dict[str, tuple[Ask, Callable[[Question], Any]]]:
    """Both, where both are asked for."""
    return {name: (ask, prepare) for name, ask in askers(rules(count), names).items()}
