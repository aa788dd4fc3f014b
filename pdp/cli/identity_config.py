"""Whom a command believes: the roots that `--trust` names, and what the settings of `--config` say.

The same settings as the service's; of those that stand in the file, the ones about identity are read.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pdp.cli.output import CannotError
from pdp.cli.trust_options import by_domain
from pdp.config.clusters import ClusterSettings, reviewers
from pdp.config.live_sources import live_domains
from pdp.config.load import load_identity_settings, read_file
from pdp.config.model import IdentitySettings
from pdp.config.quarantine import QuarantineSettings
from pdp.config.roots import trust_files
from pdp.config.tokens import token_trust
from pdp.diagnostics import render
from pdp.identity.bundle import LiveBundles
from pdp.identity.quarantine.file import quarantine_in
from pdp.identity.quarantine.lists import NOBODY, Quarantine, QuarantineError
from pdp.identity.tokens.explained import Ask
from pdp.identity.tokens.live_trust import LiveTrust
from pdp.identity.trust import TrustError, TrustStore, load_trust
from pdp.store.problems import reason

__all__ = ["Believed", "believed", "settings_of"]


class Believed(NamedTuple):
    """Whom we believe.

    Attributes:
        roots: The roots of each trust domain, for certificates; None where none are named.
        tokens: Issuers, trust domains and clusters, for tokens.
        ask: Asks clusters about tokens.
        quarantine: Who is believed no more.
    """

    roots: TrustStore | None
    tokens: LiveTrust
    ask: Ask
    quarantine: Quarantine


def believed(trust: tuple[str, ...], config: Path | None) -> Believed:
    """What options and settings say; roots that are named by option stand in the stead of all in the file.

    A key set that cannot be read is told of tokens of its issuer; it ends nothing.

    Raises:
        CannotError: The settings have a mistake, or roots or the quarantine cannot be read.
        BadParameter: A `--trust` is not `DOMAIN=FILE`.
    """
    settings = IdentitySettings() if config is None else settings_of(config)
    files = trust_files(settings)
    if trust:  # what was revoked stays so, whoever's roots they are
        files = files._replace(domains=by_domain(trust), dns=None)
    try:
        named = files.domains or files.dns is not None
        roots = load_trust(files.domains, dns=files.dns, crls=files.crls) if named else None
    except TrustError as error:
        raise CannotError("no_trust", str(error)) from error
    # This command asks no live source: what one would deliver is not there, and is told as that.
    live = LiveBundles(live_domains(settings))
    tokens = token_trust(settings, live=live.keys())[0]
    return Believed(roots, tokens, _ask(settings.clusters), _quarantine(settings.quarantine))


def _quarantine(settings: QuarantineSettings | None) -> Quarantine:
    """The list as it lies there; that of a URL as the service has kept it."""
    file = None if settings is None else settings.file or settings.kept
    if settings is None or file is None or (settings.file is None and not file.exists()):
        return NOBODY
    try:
        return quarantine_in(file)
    except QuarantineError as error:
        raise CannotError("no_quarantine", str(error)) from error


def _ask(clusters: Mapping[str, ClusterSettings]) -> Ask:
    """What asks clusters; nothing of theirs is read before one is asked."""

    def ask(name: str, token: str, subject: str) -> str:
        return reviewers({name: clusters[name]})[name](token, subject)

    return ask


def settings_of(config: Path) -> IdentitySettings:
    """What a file says about identity.

    Raises:
        CannotError: It cannot be read, or has a mistake.
    """
    try:
        source = read_file(config)
    except OSError as error:
        raise CannotError("not_read", f"`{config}` cannot be read: {reason(error)}") from error
    loaded = load_identity_settings(source, os.environ, folder=config.parent)
    if loaded.settings is None:
        found = [render(each, {source.path: source}).splitlines()[0] for each in loaded.diagnostics]
        raise CannotError("bad_settings", found[0], diagnostics=found)
    return loaded.settings
