"""Settings that the service does not start with, because of what they name.

Types and bounds are checked in `pdp.config.model`, what goes with plaintext in `pdp.config.local`; here
the files are looked at, and limits that hold too seldom.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pdp.config.clusters import roots_that_review
from pdp.config.federation import federation_problems
from pdp.config.freshness import SHORT_SECONDS
from pdp.config.live_sources import live_domains, live_problems, workload_api_problems
from pdp.config.local import local_problems
from pdp.config.model import Settings
from pdp.config.problem import Problem
from pdp.config.roots import root_problems
from pdp.config.tokens import token_trust
from pdp.identity.bundle import LiveBundles
from pdp.identity.quarantine.file import quarantine_in
from pdp.identity.quarantine.lists import QuarantineError

__all__ = ["Problem", "problems", "secret_problems"]

# The functions of `os.path` are asked where those of `Path` raise: about a name that is too long, for one.
_LEAST_KEY_BYTES: Final = 16
_WRITABLE: Final = stat.S_IWGRP | stat.S_IWOTH


def problems(settings: Settings) -> list[Problem]:
    """Everything wrong or doubtful with the files that settings name."""
    found = local_problems(settings)
    if settings.http.certificate is not None:
        found += _readable(("http", "certificate"), settings.http.certificate)
    if settings.http.key is not None:
        found += secret_problems(("http", "key"), settings.http.key)
    for domain, roots in settings.trust.items():
        found += _readable(("trust", domain), roots)
    found += root_problems(settings, others=settings.admin.trust if settings.admin else ())
    found += live_problems(settings)
    found += workload_api_problems(settings)
    found += federation_problems(settings.federation, {*settings.trust, *live_domains(settings)})
    found += token_trust(settings, live=LiveBundles(live_domains(settings)).keys())[1]
    found += _quarantine(settings)
    found += _clusters(settings)
    found += _decision_log(settings)
    found += _freshness(settings)
    return found


def _readable(setting: tuple[str, ...], path: Path) -> Iterator[Problem]:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        yield Problem(setting, f"{path}: cannot be read: {error.strerror}")


def secret_problems(setting: tuple[str, ...], path: Path) -> Iterator[Problem]:
    """A file that holds a secret: nobody else may write it, and better nobody else reads it."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        yield Problem(setting, f"{path}: cannot be read: {error.strerror}")
        return
    if mode & _WRITABLE:
        yield Problem(setting, f"{path} can be written by others", f"chmod 600 {path}")
    elif mode & stat.S_IROTH:
        yield Problem(
            setting, f"{path} can be read by everybody on this machine", f"chmod 600 {path}", refused=False
        )
    yield from _readable(setting, path)


def _quarantine(settings: Settings) -> Iterator[Problem]:
    listed = settings.quarantine
    if listed is not None and listed.file is not None:
        setting = ("quarantine", "file")
        try:
            quarantine_in(listed.file)
            if listed.file.stat().st_mode & stat.S_IWOTH:
                message = f"{listed.file} can be written by everybody on this machine"
                yield Problem(setting, message, f"chmod o-w {listed.file}")
        except QuarantineError as error:
            yield Problem(setting, str(error))
    if settings.admin is None:
        return
    for domain, roots in settings.admin.trust.items():
        yield from _readable(("admin", "trust", domain), roots)
    if not settings.admin.may_quarantine | settings.admin.may_lift:
        message = "nobody may change the list: `admin.may_quarantine` and `admin.may_lift` are empty"
        yield Problem(("admin",), message, refused=False)


def _clusters(settings: Settings) -> Iterator[Problem]:
    for name, each in settings.clusters.items():
        if each.review_url is not None:
            if fault := roots_that_review(each):
                yield Problem(("clusters", name, "review_ca_file"), fault)
            if not each.signed:
                message = (
                    "without keys this cluster is asked about whatever anybody makes up: name them as well, "
                    "and nothing reaches it that it has not signed"
                )
                yield Problem(("clusters", name, "review_url"), message, refused=False)
        for key, file in (
            ("jwks_token_file", each.jwks_token_file),
            ("review_token_file", each.review_token_file),
        ):
            if file is not None:  # Kubernetes lets everybody in a container read what it projects into it
                found = secret_problems(("clusters", name, key), file)
                yield from (problem for problem in found if problem.refused)
        if each.trust_domain in {*settings.trust, *settings.jwt_bundles, *live_domains(settings)}:
            message = (
                f"who runs this cluster can name any workload of `{each.trust_domain}` whose ID is like "
                f"`{each.path}`, besides the authority of that trust domain"
            )
            yield Problem(("clusters", name, "trust_domain"), message, refused=False)


def _decision_log(settings: Settings) -> Iterator[Problem]:
    log = settings.decision_log
    if log.digest_key is not None:
        yield from secret_problems(("decision_log", "digest_key"), log.digest_key)
        if os.path.isfile(log.digest_key) and log.digest_key.stat().st_size < _LEAST_KEY_BYTES:  # noqa: PTH113
            message = f"{log.digest_key} holds fewer than {_LEAST_KEY_BYTES} bytes"
            yield Problem(("decision_log", "digest_key"), message, "head -c 32 /dev/urandom > FILE")
    if not isinstance(log.target, Path):
        return
    folder = log.target.parent
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):  # noqa: PTH112
        yield Problem(("decision_log", "to"), f"{folder} is no directory that can be written to")
    elif settings.policies.path.resolve() in (folder.resolve() / "x").parents:
        message = f"{log.target} lies in the policy set, which would be read again with every line"
        yield Problem(("decision_log", "to"), message)


def _freshness(settings: Settings) -> Iterator[Problem]:
    for setting in settings.freshness.short():
        message = f"less than {SHORT_SECONDS:g} seconds pass now and then between two confirmations"
        yield Problem(setting, message, "see docs/configuration.md on how often they come", refused=False)
