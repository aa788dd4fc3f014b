"""Why a token proves nothing: one code for each rule, one sentence for people.

This module holds the refusal alone. Who refuses, and when, is in `pdp.identity.tokens.jws`,
`pdp.identity.tokens.jwt` and `pdp.identity.tokens.claims`.
"""

from enum import Enum
from typing import Final, final

__all__ = ["RefusedTokenError", "TokenRefusal"]


@final
class TokenRefusal(Enum):
    """Why a token proves nothing. The values are stable: metrics and logs may carry them."""

    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    JSON_SERIALIZATION = "json_serialization"
    ENCRYPTED = "encrypted"
    DETACHED = "detached"
    UNSIGNED = "unsigned"
    HEADER = "header"
    CRITICAL = "critical"
    EMBEDDED_KEY = "embedded_key"
    TYPE = "type"
    ALGORITHM = "algorithm"
    NO_ISSUERS = "no_issuers"
    UNKNOWN_ISSUER = "unknown_issuer"
    UNKNOWN_TRUST_DOMAIN = "unknown_trust_domain"
    LEGACY = "legacy"
    KEY_SET = "key_set"
    NO_KEY_ID = "no_key_id"
    UNKNOWN_KEY = "unknown_key"
    UNSUITABLE_KEY = "unsuitable_key"
    SIGNATURE = "signature"
    MISSING_CLAIM = "missing_claim"
    INVALID_CLAIM = "invalid_claim"
    SUBJECT = "subject"
    AUDIENCE = "audience"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    ISSUED_IN_FUTURE = "issued_in_future"
    LIFETIME = "lifetime"
    NOT_REVIEWED = "not_reviewed"
    REVIEW = "review"


@final
class RefusedTokenError(Exception):
    """A token that proves nothing.

    Attributes:
        code: Which rule it breaks.
        message: One sentence in plain words, safe to print. Of the token it holds names and short
            values at most, never a signature, so it is no use to whoever finds it.
    """

    def __init__(self, code: TokenRefusal, message: str) -> None:
        super().__init__(message)
        self.code: Final = code
        self.message: Final = message
