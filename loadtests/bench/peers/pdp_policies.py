"""The rules in the policy language: tables of what is allowed, and a statement for what each is denied."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from loadtests.bench.peers.rules import DOMAIN, Rule

__all__ = ["CALLER", "policies", "write_policies"]

CALLER: Final = f"spiffe://{DOMAIN}/ns/bench/sa/pep"
_WHO: Final = f"""\
language 1
trust domain prod = "{DOMAIN}"
caller prod/ns/bench/sa/pep fronts any service may assert any principal of prod
"""


def policies(rules: Iterable[Rule]) -> dict[str, str]:
    """File names and texts: for each service a policy and a table."""
    tables: defaultdict[str, list[str]] = defaultdict(list)
    denies: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for rule in rules:
        if rule.allows:
            tables[rule.service].append(f"{rule.principal},{rule.method},{rule.path}\n")
        else:
            who = rule.principal.replace(f"spiffe://{DOMAIN}", "prod")
            denies[rule.service][who].append(f"{rule.method} {rule.path}")
    texts = {"callers.policy": _WHO}
    for service, lines in tables.items():
        texts[f"{service}.csv"] = "principal,methods,path\n" + "".join(lines)
        statements = "".join(
            f"    deny {who} to {', '.join(targets)}\n" for who, targets in denies[service].items()
        )
        texts[f"{service}.policy"] = (
            f'language 1\nservice {service} {{\n    allow from "{service}.csv"\n{statements}}}\n'
        )
    return texts


def write_policies(folder: Path, rules: Iterable[Rule]) -> None:
    """The same, written."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in policies(rules).items():
        (folder / name).write_text(text, encoding="utf-8")
