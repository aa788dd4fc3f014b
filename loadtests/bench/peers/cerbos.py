"""Cerbos, the server of npm's `@cerbos/cerbos-linux-x64`, asked over HTTP.

A service is a kind of resource and a principal's ID its role, so that both are looked up. An action is
the method and the path, and `*` stands for one part of it: so a rule needs no condition in CEL, whose
compilation takes Cerbos ten times as long, and whose evaluation was no faster. Telemetry, the
playground, audit logs and the log of requests are off, and policies are not watched.
"""

import json
import os
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from loadtests.bench.peers.endpoint import Endpoint, free_port, running
from loadtests.bench.peers.fetch_cerbos import PROGRAM
from loadtests.bench.peers.rules import Question, Rule, rules

__all__ = ["CERBOS"]

_SETTINGS: Final = """\
server:
  httpListenAddr: "127.0.0.1:{http}"
  grpcListenAddr: "127.0.0.1:{grpc}"
  playgroundEnabled: false
  adminAPI:
    enabled: false
audit:
  enabled: false
telemetry:
  disabled: true
storage:
  driver: disk
  disk:
    directory: "{policies}"
    watchForChanges: false
"""


def action(method: str, path: str) -> str:
    """An action for a method and a path; captures become `*`, which is any one part."""
    parts = ("*" if part.startswith("{") else part for part in path.split("/")[1:])
    return ":".join((method, *parts))


def written(rule: Rule) -> dict[str, object]:
    """One rule of a resource policy."""
    return {
        "actions": [action(rule.method, rule.path)],
        "effect": "EFFECT_ALLOW" if rule.allows else "EFFECT_DENY",
        "roles": [rule.principal],
    }


def asked(question: Question) -> dict[str, object]:
    """The body of a question."""
    return {
        "principal": {"id": question.principal, "roles": [question.principal]},
        "resources": [
            {
                "actions": [action(question.method, question.path)],
                "resource": {"kind": question.service, "id": "any"},
            }
        ],
    }


def allows(answer: Any, question: Question) -> bool:
    """Whether an answer allows."""
    actions = answer["results"][0]["actions"]
    return bool(actions[action(question.method, question.path)] == "EFFECT_ALLOW")


class Cerbos:
    """One server, as its own pages say for production."""

    name = "Cerbos"

    def missing(self) -> str | None:
        """The program, which a script fetches."""
        return None if os.access(PROGRAM, os.X_OK) else "no Cerbos here: fetch_cerbos.py"

    def serve(self, folder: Path, count: int, held: ExitStack) -> Endpoint:
        """Begin it on these rules."""
        policies = folder / "policies"
        policies.mkdir()
        services: defaultdict[str, list[dict[str, object]]] = defaultdict(list)
        for rule in rules(count):
            services[rule.service].append(written(rule))
        for name, kept in services.items():
            policy = {"resource": name, "version": "default", "rules": kept}
            text = json.dumps({"apiVersion": "api.cerbos.dev/v1", "resourcePolicy": policy})
            (policies / f"{name}.json").write_text(text, encoding="utf-8")
        port, settings = free_port(), folder / "cerbos.yaml"
        settings.write_text(
            _SETTINGS.format(http=port, grpc=free_port(), policies=policies), encoding="utf-8"
        )
        command = [str(PROGRAM), "server", "--log-level=error", f"--config={settings}"]
        process = held.enter_context(running(command, folder))
        return Endpoint(
            name=self.name, port=port, pid=process.pid, target="/api/check/resources", ask=asked, read=allows
        )


CERBOS: Final = Cerbos()
