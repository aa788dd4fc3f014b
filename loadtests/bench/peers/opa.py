"""OPA, if an `opa` is on the PATH: rules as data, looked up by keys as its page on performance says.

Objects rather than arrays: service, principal, method and resource lead to the few patterns that are
left. Every reference into the data has all of its keys, so that OPA never makes a value of more than it
needs.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from loadtests.bench.peers.endpoint import Endpoint, free_port, running
from loadtests.bench.peers.rules import Question, Rule, rules

__all__ = ["OPA", "OPA_LOGGED", "OPA_TUNED", "data"]

_REGO: Final = """\
package bench

import rego.v1

default allow := false

allow if {
    allowed
    not denied
}

allowed if {
    some pattern in data.allows[input.service][input.principal][input.method][input.path[1]]
    fits(pattern)
}

denied if {
    some pattern in data.denies[input.service][input.principal][input.method][input.path[1]]
    fits(pattern)
}

fits(pattern) if {
    count(pattern) == count(input.path)
    every at, part in pattern {
        part in {"*", input.path[at]}
    }
}
"""


def segments(path: str) -> list[str]:
    """The segments of a path, or of a pattern, in which captures become `*`."""
    return ["*" if part.startswith("{") else part for part in path.split("/")[1:]]


def data(kept: Iterable[Rule]) -> dict[str, Any]:
    """Patterns by what is looked up first."""
    found: dict[str, Any] = {"allows": {}, "denies": {}}
    for rule in kept:
        level = found["allows" if rule.allows else "denies"]
        path = segments(rule.path)
        for key in (rule.service, rule.principal, rule.method):
            level = level.setdefault(key, {})
        level.setdefault(path[1], []).append(path)
    return found


def asked(question: Question) -> dict[str, object]:
    """The body of a question."""
    return {
        "input": {
            "principal": question.principal,
            "service": question.service,
            "method": question.method,
            "path": segments(question.path),
        }
    }


def allows(answer: Any, _: Question) -> bool:
    """Whether an answer allows."""
    return bool(answer["result"])


@dataclass(frozen=True)
class Opa:
    """One variant: options and variables besides those that all have."""

    name: str
    options: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    def missing(self) -> str | None:
        """The program."""
        return None if shutil.which("opa") else "no opa on the PATH"

    def serve(self, folder: Path, count: int, held: ExitStack) -> Endpoint:
        """Begin it on these rules."""
        (folder / "data.json").write_text(json.dumps(data(rules(count))), encoding="utf-8")
        (folder / "bench.rego").write_text(_REGO, encoding="utf-8")
        port = free_port()
        command = ["opa", "run", "--server", "--addr", f"127.0.0.1:{port}", "--disable-telemetry"]
        files = [str(folder / "data.json"), str(folder / "bench.rego")]
        process = held.enter_context(running([*command, *self.options, *files], folder, self.env))
        return Endpoint(
            name=self.name, port=port, pid=process.pid, target="/v1/data/bench/allow", ask=asked, read=allows
        )


_QUIET: Final = ("--log-level", "error")
OPA: Final = Opa("OPA", _QUIET)
OPA_TUNED: Final = Opa("OPA, GOGC=800", (*_QUIET, "--optimize-store-for-read-speed"), {"GOGC": "800"})
OPA_LOGGED: Final = Opa("OPA, decision log", ("--set", "decision_logs.console=true"))
