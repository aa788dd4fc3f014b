"""What a token claims, each claim of its type and within its bounds.

RFC 7519 section 4.1, OpenID Connect Core section 2 and JWT-SVID section 3. Whether anybody signed
the claims is asked before, in `pdp.identity.tokens.jwt`; the clock is an argument.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from pdp.identity.tokens.issuer import TokenIssuer
from pdp.identity.tokens.refusal import RefusedTokenError, TokenRefusal
from pdp.limits import MAX_AUDIENCES, MAX_SUBJECT_CHARS
from pdp.strictness import quoted
from pdp.vocabulary import Millis

__all__ = ["TokenTimes", "audiences_of", "check_times", "plain_subject_of", "subject_of", "times_of"]

_LATEST: Final = 253_402_300_799  # the last second of the year 9999: what comes after has no date


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTimes:
    """When a token holds.

    Attributes:
        expires: The instant from which it holds no longer (`exp`).
        not_before: The instant from which it holds (`nbf`); None where it does not say.
        issued: When it was issued (`iat`); None where it does not say.
    """

    expires: Millis
    not_before: Millis | None
    issued: Millis | None


def times_of(claims: Mapping[str, Any]) -> TokenTimes:
    """When a token says that it holds (RFC 7519 sections 4.1.4 to 4.1.6).

    Raises:
        RefusedTokenError: It does not say when it ends, or a time is none, or it ends before it begins.
    """
    expires = _time(claims, "exp")
    if expires is None:
        raise _missing("exp", "a token that never ends is not accepted")
    times = TokenTimes(expires=expires, not_before=_time(claims, "nbf"), issued=_time(claims, "iat"))
    for name, begins in (("nbf", times.not_before), ("iat", times.issued)):
        if begins is not None and begins >= expires:
            raise _invalid("exp", f"the token ends no later than its `{name}`, at which it begins")
    return times


def check_times(times: TokenTimes, issuer: TokenIssuer, now: Millis) -> None:
    """Whether a token holds at an instant, its issuer's clock being off by the leeway at most.

    Raises:
        RefusedTokenError: It does not, or holds for longer than the issuer's tokens may.
    """
    if now >= times.expires + issuer.leeway:
        raise RefusedTokenError(
            TokenRefusal.EXPIRED, f"the token has expired, {_ago(now - times.expires)} ago"
        )
    if times.not_before is not None and now < times.not_before - issuer.leeway:
        message = f"the token holds only in {_ago(times.not_before - now)}"
        raise RefusedTokenError(TokenRefusal.NOT_YET_VALID, message)
    if times.issued is not None and now < times.issued - issuer.leeway:
        message = f"the token says that it will be issued in {_ago(times.issued - now)}"
        raise RefusedTokenError(TokenRefusal.ISSUED_IN_FUTURE, message)
    if issuer.max_lifetime is None:
        return
    if times.issued is None:
        raise _missing("iat", "the lifetime of this issuer's tokens is bounded, and it would begin then")
    if times.expires - times.issued > issuer.max_lifetime:
        message = f"the token holds for longer than {_ago(issuer.max_lifetime)}"
        raise RefusedTokenError(TokenRefusal.LIFETIME, message)


def audiences_of(claims: Mapping[str, Any], issuer: TokenIssuer) -> tuple[str, ...]:
    """Whom a token is for, if we are among them (RFC 7519 section 4.1.3).

    Raises:
        RefusedTokenError: It does not say, or is for others.
    """
    if "aud" not in claims:
        raise _missing("aud", "a token for nobody in particular is not accepted")
    given = claims["aud"]
    found = [given] if isinstance(given, str) else given
    if not isinstance(found, list) or not found or not all(isinstance(each, str) and each for each in found):
        raise _invalid("aud", "it is neither a text nor a list of texts, or one is empty")
    if len(found) > MAX_AUDIENCES:
        raise _invalid("aud", f"it names more than {MAX_AUDIENCES}")
    if issuer.audiences.isdisjoint(found):
        message = f"the token is for {quoted(found[0])}{' and others' if len(found) > 1 else ''}, not for us"
        raise RefusedTokenError(TokenRefusal.AUDIENCE, message)
    return tuple(found)


def subject_of(claims: Mapping[str, Any]) -> str:
    """Whom a token is about (RFC 7519 section 4.1.2).

    Raises:
        RefusedTokenError: It does not say.
    """
    if "sub" not in claims:
        raise _missing("sub", "it is about nobody")
    subject = claims["sub"]
    if not isinstance(subject, str) or not subject:
        raise _invalid("sub", "it is not a text, or empty")
    return subject


def plain_subject_of(claims: Mapping[str, Any]) -> str:
    """The same for a user, of whom people are shown the name.

    Raises:
        RefusedTokenError: It does not say, or the name is too long, or holds what cannot be seen.
    """
    subject = subject_of(claims)
    if len(subject) > MAX_SUBJECT_CHARS:
        raise RefusedTokenError(TokenRefusal.SUBJECT, f"`sub` has more than {MAX_SUBJECT_CHARS} characters")
    if not subject.isprintable():
        raise RefusedTokenError(TokenRefusal.SUBJECT, "`sub` holds a character that cannot be seen")
    return subject


def _time(claims: Mapping[str, Any], name: str) -> Millis | None:
    """A NumericDate: seconds since 1970, perhaps with a fraction (RFC 7519 section 2)."""
    if name not in claims:
        return None
    value = claims[name]
    # `true` is a number to Python. What is no number to JSON does not get here.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _invalid(name, "it is not a number")
    if not 0 <= value <= _LATEST:
        raise _invalid(name, "it is no time before the year 10000")
    return math.floor(value * 1000)


def _ago(span: Millis) -> str:
    seconds = span // 1000
    return f"{seconds} seconds" if seconds < 7200 else f"{seconds // 3600} hours"


def _missing(name: str, why: str) -> RefusedTokenError:
    return RefusedTokenError(TokenRefusal.MISSING_CLAIM, f"the token has no `{name}`: {why}")


def _invalid(name: str, why: str) -> RefusedTokenError:
    return RefusedTokenError(TokenRefusal.INVALID_CLAIM, f"the claim `{name}` is refused: {why}")
