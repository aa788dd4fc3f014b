"""Why evidence makes no caller: one code for each rule, one sentence for people.

This module holds the refusal alone. Who refuses, and when, is in `pdp.identity.x509`,
`pdp.identity.chain` and `pdp.identity.revocation`.
"""

from enum import Enum
from typing import Final

__all__ = ["Refusal", "UntrustedCertificateError"]


class Refusal(Enum):
    """Why a chain makes no caller. The values are stable: metrics and logs carry them."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    NO_URI = "no_uri"
    SEVERAL_URIS = "several_uris"
    NOT_A_SPIFFE_ID = "not_a_spiffe_id"
    NOT_A_DNS_IDENTITY = "not_a_dns_identity"
    UNKNOWN_TRUST_DOMAIN = "unknown_trust_domain"
    CA_AS_LEAF = "ca_as_leaf"
    KEY_USAGE = "key_usage"
    EXTENDED_KEY_USAGE = "extended_key_usage"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    UNTRUSTED_CHAIN = "untrusted_chain"
    SIGNING_CERTIFICATE = "signing_certificate"
    CHAIN_RULES = "chain_rules"
    REVOKED = "revoked"
    REVOCATION_UNKNOWN = "revocation_unknown"


class UntrustedCertificateError(Exception):
    """A chain that makes no caller.

    Attributes:
        code: Which rule it breaks.
        message: One sentence in plain words, safe to print, without secrets. The
            library's own words, where it gave any, are the exception's `__cause__`.
    """

    def __init__(self, code: Refusal, message: str) -> None:
        super().__init__(message)
        self.code: Final = code
        self.message: Final = message
