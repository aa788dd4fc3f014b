"""What we make of a token, and why: for people who look for what is wrong with it.

Nothing here decides whom a service believes: `pdp.identity.tokens.jwt` does. The parts are what was read,
also where it was refused, as far as it could be read; whatever stands there was said by the token, and holds
only where the token is accepted.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

from pdp.identity.explained import Explained
from pdp.identity.fetch import FetchError
from pdp.identity.tokens.claims import times_of
from pdp.identity.tokens.issuer import TokenIssuer, TokenProfile, TokenTrust
from pdp.identity.tokens.jws import CompactToken, parse_compact, read_part
from pdp.identity.tokens.jwt import Latest, VerifiedToken, as_it_is, issuer_of, verify_token
from pdp.identity.tokens.refusal import RefusedTokenError, TokenRefusal
from pdp.identity.tokens.review import Review, ReviewError
from pdp.limits import MAX_TOKEN_BYTES
from pdp.vocabulary import Millis

__all__ = ["Ask", "explain_jwt"]

#: Asks a cluster, by its issuer, about a token with a subject (or FetchError, or ReviewError).
Ask: TypeAlias = Callable[[str, str, str], str]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def explain_jwt(
    text: str, trust: TokenTrust, now: Millis, latest: Latest = as_it_is, ask: Ask | None = None
) -> Explained:
    """A token, as somebody would present it.

    Args:
        text: The token, in compact serialisation.
        trust: Whose tokens are believed.
        now: The instant.
        latest: Gives the issuer of the token with the keys in force.
        ask: Asks clusters about their tokens, where these have to be reviewed; None if nobody is asked.
    """
    parts: dict[str, Any] = _as_far_as_read(text)
    try:
        token = parse_compact(text)
        parts |= _times(token.claims)
        issuer = issuer_of(token.claims.get("sub"), token.claims.get("iss"), trust)
        issuer = latest(issuer, token.key_id)
        parts |= _expected(token, issuer)
        found = _verified(token, issuer, now, ask, parts)
    except RefusedTokenError as error:
        return Explained(accepted=False, reason=error.message, parts={"code": error.code.value, **parts})
    parts |= _proven(found)
    whom = f"the user `{found.subject}` of {issuer.name}" if found.user is not None else found.subject
    return Explained(accepted=True, reason=f"the token verifies, and names {whom}", parts=parts)


def _verified(
    token: CompactToken, issuer: TokenIssuer, now: Millis, ask: Ask | None, parts: dict[str, Any]
) -> VerifiedToken:
    try:
        return verify_token(token, issuer, now)
    except RefusedTokenError as error:
        if error.code is not TokenRefusal.NOT_REVIEWED or ask is None:
            raise
        try:
            refusal = ask(issuer.name, token.text, str(token.claims["sub"]))
        except (FetchError, ReviewError) as why:
            parts["review"] = f"could not be had: {why}"
            raise error from why
    parts["review"] = refusal or "its cluster was asked just now, and takes the token"
    return verify_token(token, issuer, now, Review(now, now + 1, refusal))


def _as_far_as_read(text: str) -> dict[str, Any]:
    """Header and claims, each by itself: one that cannot be read does not hide the other."""
    found: dict[str, Any] = {}
    if len(text) > MAX_TOKEN_BYTES:
        return found
    for name, part in zip(("header", "claims"), text.split(".")[:2], strict=False):
        try:
            found[name] = read_part(part, name)
        except RefusedTokenError:
            continue
    return found


def _times(claims: Mapping[str, Any]) -> dict[str, Any]:
    try:
        times = times_of(claims)
    except RefusedTokenError:
        return {}
    named = {"issued": times.issued, "not_before": times.not_before, "expires": times.expires}
    return {name: _date(instant) for name, instant in named.items() if instant is not None}


def _expected(token: CompactToken, issuer: TokenIssuer) -> dict[str, Any]:
    """By what the token is verified."""
    rules = issuer.cluster
    of_cluster = {} if rules is None else {"maps_to": f"spiffe://{rules.trust_domain}{rules.path}"}
    if rules is not None and rules.reviewed:
        of_cluster["review"] = "needed: its cluster is asked whether the token holds"
    keys = [key for key in issuer.keys.keys if token.key_id is None or key.key_id == token.key_id]
    return {
        "profile": issuer.profile.value,
        "issuer": issuer.name,
        "keys": [
            {"kid": key.key_id, "kty": key.kty, "algorithms": sorted(key.algorithms)}
            for key in keys
            if token.key_id is not None or token.algorithm in key.algorithms
        ],
        "expected_audiences": sorted(issuer.audiences),
        **of_cluster,
    }


def _proven(found: VerifiedToken) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "subject": found.subject,
        "audiences": list(found.audiences),
        "key": {"kid": found.key_id, "algorithm": found.algorithm},
    }
    family = "user" if found.issuer.profile is TokenProfile.OIDC else "principal"
    if found.user is not None:
        user = found.user
        parts["user"] = {"issuer": user.issuer, "subject": user.subject, "groups": list(user.groups)}
    if found.principal is not None:
        parts["spiffe_id"] = found.principal.id
        parts["trust_domain"] = found.principal.trust_domain
    parts["attributes"] = {
        f"{family}.{name}": list(value) if isinstance(value, tuple) else value
        for name, value in found.attributes.items()
    }
    return parts


def _date(instant: Millis) -> str:
    moment = _EPOCH + timedelta(milliseconds=instant)
    text = moment.isoformat(timespec="milliseconds" if instant % 1000 else "seconds")
    return text.removesuffix("+00:00") + "Z"
