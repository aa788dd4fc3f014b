"""Settings of the SPIFFE Workload API: where the agent is, and what is taken from it.

What goes with other settings is in `pdp.config.live_sources`, how the agent is asked in
`pdp.process.workload_api`.
"""

from pathlib import Path
from typing import Annotated, final

from pydantic import AfterValidator, Field

from pdp.config.section import Section
from pdp.config.unix import parse_unix
from pdp.config.values import SpiffeId, TrustDomainName

__all__ = ["WorkloadApiSettings"]


def _socket(text: str) -> str:
    """The address of an agent, in the one spelling of `pdp.config.unix` (Workload Endpoint, section 4).

    Raises:
        ValueError: It is something else; TCP proves nothing about who asks.
    """
    try:
        return str(parse_unix(text.replace("unix:///", "unix:/", 1)))
    except ValueError as error:
        raise ValueError(f"{error}; of an agent also unix:///run/spire/agent.sock") from error


@final
class WorkloadApiSettings(Section):
    """An agent on this machine, and what comes from it."""

    socket: Annotated[str, AfterValidator(_socket)]
    trust_domains: frozenset[TrustDomainName] = Field(default=frozenset(), strict=False)
    certificate: bool = False
    spiffe_id: SpiffeId | None = None

    @property
    def path(self) -> Path:
        """The agent's socket."""
        return parse_unix(self.socket).path
