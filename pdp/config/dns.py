"""Settings about DNS identities: who vouches for them, and what they have revoked."""

from typing import final

from pdp.config.section import Section
from pdp.config.values import FilePath

__all__ = ["DnsSettings"]


@final
class DnsSettings(Section):
    """The private authority of machines that are known by a DNS name; without it no such name is believed."""

    trust: FilePath
    crls: FilePath | None = None
