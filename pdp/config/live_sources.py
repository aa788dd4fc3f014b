"""Which trust domains have a live source, and what goes with that.

A live source delivers bundles while the service runs. What each is told is said in its own section of the
settings. A trust domain has one source: its files, or one live source.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from pdp.config.model import IdentitySettings, Settings
from pdp.config.problem import Problem

__all__ = ["Setting", "live_domains", "live_problems", "workload_api_problems"]

#: The keys of a setting, from the table down.
Setting = tuple[str, ...]


def live_domains(settings: IdentitySettings) -> Mapping[str, Setting]:
    """Trust domains with a live source, and the setting that says so; of several the first."""
    found: dict[str, Setting] = {}
    for domain, setting in _named(settings):
        found.setdefault(domain, setting)
    return found


def live_problems(settings: IdentitySettings) -> Iterator[Problem]:
    """Trust domains with more than one source."""
    first: dict[str, Setting] = {domain: ("trust", domain) for domain in settings.trust}
    for domain, setting in _named(settings):
        if domain in first:
            message = f"`{domain}` has a source already, `{_text(first[domain])}`: a trust domain has one"
            yield Problem(setting, message)
        first.setdefault(domain, setting)
    live = live_domains(settings)
    for domain, given in settings.jwt_bundles.items():
        if domain in live and given.names_keys:
            message = f"its keys come from `{_text(live[domain])}`: a trust domain has one source"
            yield Problem(("jwt_bundles", domain), message, "name no keys here")


def _named(settings: IdentitySettings) -> Iterator[tuple[str, Setting]]:
    """Each trust domain that a section gives to a live source, and the setting; of one perhaps several."""
    if settings.workload_api is not None:
        for domain in sorted(settings.workload_api.trust_domains):
            yield domain, ("workload_api", "trust_domains")
    for domain in settings.federation:
        yield domain, ("federation", domain)


def workload_api_problems(settings: Settings) -> Iterator[Problem]:
    """Everything wrong or doubtful with the agent that is asked."""
    agent = settings.workload_api
    if agent is None:
        return
    if not agent.certificate and not agent.trust_domains:
        message = "nothing is taken from it"
        yield Problem(
            ("workload_api",), message, "set `trust_domains`, or `certificate = true`, or leave it out"
        )
    if agent.spiffe_id is not None and not agent.certificate:
        yield Problem(("workload_api", "spiffe_id"), "means something only with `workload_api.certificate`")
    if agent.certificate:
        yield from _ours(settings)
    yield from _doubts(agent.path)


def _ours(settings: Settings) -> Iterator[Problem]:
    for name in ("certificate", "key"):
        if getattr(settings.http, name) is not None:
            message = "our certificate and its key come from the Workload API: there is one source"
            yield Problem(("http", name), message, "leave it out, or `workload_api.certificate`")
    if settings.http.plaintext and settings.grpc is None:
        setting = ("workload_api", "certificate")
        yield Problem(setting, "is not used: nothing listens over TLS")  # and would be waited for


def _doubts(socket: Path) -> Iterator[Problem]:
    setting = ("workload_api", "socket")
    try:
        found, around = socket.stat(), socket.parent.stat()
    except OSError as error:
        message = f"{socket}: {error.strerror}: the agent is not there yet"
        yield Problem(setting, message, refused=False)
        return
    if not stat.S_ISSOCK(found.st_mode):
        yield Problem(setting, f"{socket} is no socket")
    # Whoever is taken for the agent says whom we believe. Where a folder is sticky, it is enough to be first.
    if around.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        message = (
            f"others can write to {socket.parent}, and put a socket of theirs in the place of the agent's"
        )
        yield Problem(setting, message, refused=False)
    for path, owner in ((socket, found.st_uid), (socket.parent, around.st_uid)):
        if owner not in {0, os.geteuid()}:
            message = f"{path} belongs to the user {owner}: whoever that is says whom we believe"
            yield Problem(setting, message, refused=False)


def _text(setting: Setting) -> str:
    return ".".join(setting)
