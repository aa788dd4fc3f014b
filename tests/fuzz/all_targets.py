"""Every target there is, by name."""

from typing import Any, Final

from tests.fuzz.engine import Target
from tests.fuzz.targets import (
    bundles,
    certificates,
    clusters,
    forwarded,
    http,
    local,
    policies,
    proxies,
    quarantine,
    questions,
    reports,
    requests,
    revocation,
    settings,
    tokens,
)

__all__ = ["ALL"]

_MODULES: Final = (
    policies, questions, reports, requests, settings, certificates, revocation, tokens, quarantine,
    bundles, clusters, forwarded, proxies, http, local,
)  # fmt: skip
ALL: Final[dict[str, Target[Any]]] = {target.name: target for each in _MODULES for target in each.TARGETS}
