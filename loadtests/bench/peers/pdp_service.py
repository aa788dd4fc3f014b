"""pdp as a service over plain HTTP, in the variants that are worth comparing; one process answers."""

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtests.bench.peers.endpoint import Endpoint, free_port, running
from loadtests.bench.peers.pdp_policies import CALLER, write_policies
from loadtests.bench.peers.rules import Question, rules

__all__ = ["PDP", "PDP_ANEW", "PDP_LOGGED", "PdpService"]

_SETTINGS: Final = """\
[policies]
path = "policies"
[http]
listen = "127.0.0.1:{port}"
plaintext = true
{http}
[local]
caller = "{caller}"
{more}
"""


def asked(question: Question) -> dict[str, str]:
    """The body of a question."""
    return {
        "principal": question.principal,
        "service": question.service,
        "method": question.method,
        "path": question.path,
    }


def allows(answer: Any, _: Question) -> bool:
    """Whether an answer allows."""
    return bool(answer["decision"] == "allow")


@dataclass(frozen=True)
class PdpService:
    """One variant: lines of its settings besides those that all have."""

    name: str
    http: str = ""
    more: str = ""

    def missing(self) -> None:
        """Nothing: it is what is measured."""

    def serve(self, folder: Path, count: int, held: ExitStack) -> Endpoint:
        """Begin `pdp serve` on these rules."""
        write_policies(folder / "policies", rules(count))
        port = free_port()
        settings = folder / "pdp.toml"
        settings.write_text(
            _SETTINGS.format(port=port, http=self.http, caller=CALLER, more=self.more), encoding="utf-8"
        )
        command = [sys.executable, "-m", "pdp.cli.main", "serve", "--config", str(settings), "--json"]
        process = held.enter_context(running(command, folder))
        return Endpoint(
            name=self.name, port=port, pid=process.pid, target="/v1/decide", ask=asked, read=allows
        )


PDP: Final = PdpService("pdp")
PDP_ANEW: Final = PdpService("pdp, nothing remembered", http="remembered_answers = 0")
PDP_LOGGED: Final = PdpService("pdp, decision log", more='[decision_log]\nto = "decisions.jsonl"')
