"""Which trust domains have a live source, and what goes with that.

A live source delivers bundles while the service runs. What each is told is said in its own section of the
settings. A trust domain has one source: its files, or one live source.
"""

from collections.abc import Iterator, Mapping

from pdp.config.model import IdentitySettings
from pdp.config.problem import Problem

__all__ = ["Setting", "live_domains", "live_problems"]

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
    del settings  # there is none yet
    yield from ()


def _text(setting: Setting) -> str:
    return ".".join(setting)
