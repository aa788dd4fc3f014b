"""Files of roots and of revocation lists: which the settings name, and what is wrong with what they hold."""

from collections.abc import Container, Iterator
from datetime import UTC, datetime

from pdp.config.live_sources import live_domains
from pdp.config.model import IdentitySettings
from pdp.config.problem import Problem
from pdp.identity.trust import DNS, TrustError, TrustFiles, load_trust, trust_warnings

__all__ = ["root_problems", "trust_files"]


def trust_files(settings: IdentitySettings) -> TrustFiles:
    """The files that callers are verified by."""
    crls = dict(settings.crls)
    dns = settings.dns
    if dns is not None and dns.crls is not None:
        crls[DNS] = dns.crls
    return TrustFiles(settings.trust, None if dns is None else dns.trust, crls)


def root_problems(settings: IdentitySettings, others: Container[str] = ()) -> Iterator[Problem]:
    """What is wrong or doubtful with the roots of DNS identities and with revocation lists.

    Args:
        settings: The settings.
        others: Trust domains whose roots are named elsewhere, for who is no caller.
    """
    if settings.dns is not None:
        yield from _loaded(("dns", "trust"), TrustFiles({}, dns=settings.dns.trust))
        if settings.dns.crls is not None:
            yield from _loaded(("dns", "crls"), TrustFiles({}, crls={DNS: settings.dns.crls}))
    live = live_domains(settings)
    for domain, file in settings.crls.items():
        setting = ("crls", domain)
        if domain not in settings.trust and domain not in live and domain not in others:
            message = f"nobody is trusted for `{domain}`: its revocation lists are of no use"
            yield Problem(setting, message, "name its roots in `trust`")
        yield from _loaded(setting, TrustFiles({}, crls={domain: file}))


def _loaded(setting: tuple[str, ...], files: TrustFiles) -> Iterator[Problem]:
    """What keeps one file from being read, or is doubtful about what it holds now."""
    try:
        store = load_trust(files.domains, dns=files.dns, crls=files.crls)
    except TrustError as error:
        yield Problem(setting, str(error))
        return
    for warning in trust_warnings(store, datetime.now(UTC)):
        yield Problem(setting, warning, refused=False)
