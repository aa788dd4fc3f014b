"""The key that signed a token, among those of its own issuer.

RFC 7515 section 4.1.4, OpenID Connect Core section 10.1, JWT-SVID section 2.2. Which issuer that is has
been found out before, in `pdp.identity.tokens.jwt`.
"""

from pdp.identity.tokens.issuer import TokenIssuer, TokenProfile
from pdp.identity.tokens.jwk import VerificationKey
from pdp.identity.tokens.jws import CompactToken
from pdp.identity.tokens.refusal import RefusedTokenError, TokenRefusal
from pdp.identity.tokens.signature import signature_holds
from pdp.strictness import quoted

__all__ = ["signing_key"]


def signing_key(token: CompactToken, issuer: TokenIssuer) -> VerificationKey:
    """The key of the issuer that signed a token.

    Raises:
        RefusedTokenError: None did.
    """
    for key in _candidates(token, issuer):
        try:
            if signature_holds(token, key.key):
                return key
        except ValueError:
            message = "the header is not as the standard has it"
            raise RefusedTokenError(TokenRefusal.HEADER, message) from None
    raise RefusedTokenError(TokenRefusal.SIGNATURE, "the signature is not by the issuer's key")


def _candidates(token: CompactToken, issuer: TokenIssuer) -> list[VerificationKey]:
    """The keys that a token may have been signed with: at least one."""
    keys = issuer.keys
    if keys.fault:
        message = f"the issuer has no keys that can be used: {keys.fault}"
        raise RefusedTokenError(TokenRefusal.KEY_SET, message)
    if token.key_id is None:
        return _only_key(token, issuer)
    named = [key for key in keys.keys if key.key_id == token.key_id]
    fitting = [key for key in named if token.algorithm in key.algorithms]
    if fitting:
        return fitting
    if named:
        message = f"the key {quoted(token.key_id)} is not for the algorithm {quoted(token.algorithm)}"
        raise RefusedTokenError(TokenRefusal.UNSUITABLE_KEY, message)
    for ignored in keys.ignored:
        if ignored.key_id == token.key_id:
            message = f"the key {quoted(token.key_id)} of the issuer cannot be used: {ignored.why}"
            raise RefusedTokenError(TokenRefusal.UNSUITABLE_KEY, message)
    message = f"the issuer has no key {quoted(token.key_id)}"
    raise RefusedTokenError(TokenRefusal.UNKNOWN_KEY, message)


def _only_key(token: CompactToken, issuer: TokenIssuer) -> list[VerificationKey]:
    """The key of a token that names none: an issuer's only one (OpenID Connect Core, section 10.1)."""
    keys = issuer.keys
    if issuer.profile is not TokenProfile.OIDC:
        message = "the header has no `kid`, which a workload's token has"  # JWT-SVID, section 2.2
        raise RefusedTokenError(TokenRefusal.NO_KEY_ID, message)
    fitting = [key for key in keys.keys if token.algorithm in key.algorithms]
    if len(fitting) > 1:
        message = "the header has no `kid`, and the issuer has several keys for its algorithm"
        raise RefusedTokenError(TokenRefusal.NO_KEY_ID, message)
    if not fitting:
        message = f"the issuer has no key for the algorithm {quoted(token.algorithm)}"
        raise RefusedTokenError(TokenRefusal.UNKNOWN_KEY, message)
    return fitting
