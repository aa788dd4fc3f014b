"""Tokens to identities: whose token it is, whether one of that issuer's keys signed it, what it proves.

RFC 7519 section 7.2, RFC 8725, OpenID Connect Core and JWT-SVID. A token comes in as text, and what comes
out is believed. The steps are in modules beside this one: `jws` reads the token, `issuer` says what is
believed of whom, `signing_key` looks for the key that signed it, `claims` at the claims. Nothing is
fetched, and no clock is read.

INVARIANT: a key is only ever looked for among those of the one issuer that the token names. Every
other issuer's keys are as good as none (RFC 8725 section 3.8).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, final

from pdp.identity.tokens.attributes import claim_attributes, unreadable_claims
from pdp.identity.tokens.claims import (
    TokenTimes,
    audiences_of,
    check_times,
    plain_subject_of,
    subject_of,
    times_of,
)
from pdp.identity.tokens.issuer import TokenIssuer, TokenProfile, TokenTrust
from pdp.identity.tokens.jws import CompactToken
from pdp.identity.tokens.refusal import RefusedTokenError, TokenRefusal
from pdp.identity.tokens.review import Review, check_review
from pdp.identity.tokens.service_account import LEGACY_ISSUER, refuse_legacy, service_account_of
from pdp.identity.tokens.signing_key import signing_key
from pdp.principals import InvalidIdentityError, Principal, parse_spiffe_id, spiffe_principal
from pdp.strictness import quoted
from pdp.vocabulary import AttributeValue, Millis, User

__all__ = ["Latest", "VerifiedToken", "as_it_is", "issuer_of", "verify_token"]

#: RFC 7515 section 4.1.9, RFC 9068 section 2.1. Others (`dpop+jwt`, `logout+jwt`, `secevent+jwt`) are
#: tokens that prove something else, and may be signed with the same key (RFC 8725 section 3.11).
_TYPES: Final = frozenset({"jwt", "jose", "at+jwt"})
_SVID_TYPES: Final = frozenset({"JWT", "JOSE"})  # JWT-SVID, section 2.3
_SVID_HEADER: Final = frozenset({"alg", "kid", "typ"})  # JWT-SVID, section 2


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedToken:
    """What a token proves.

    Attributes:
        issuer: The configuration by which it was verified.
        subject: Whom it is about, as it stands in `sub`.
        audiences: Whom it is for.
        times: When it holds.
        token_id: Its own name, `jti`; None where it has none that is a text.
        key_id: The `kid` of the key that signed it; None where that has none, or only its cluster knows.
        algorithm: By which algorithm.
        attributes: The claims that rules can read, by name.
        unreadable: The names of others, whose values are of no type that rules know.
        user: The user, of an issuer's token.
        principal: The workload, of a JWT-SVID or a service account token.
        review: What its cluster said of it, where that was asked.
    """

    issuer: TokenIssuer
    subject: str
    audiences: tuple[str, ...]
    times: TokenTimes
    token_id: str | None
    key_id: str | None
    algorithm: str
    attributes: Mapping[str, AttributeValue] = field(compare=False)
    unreadable: frozenset[str] = field(compare=False, default=frozenset())
    user: User | None = None
    principal: Principal | None = None
    review: Review | None = None

    @property
    def ends(self) -> Millis:
        """The instant from which it proves nothing without another look."""
        expires = self.times.expires
        return expires if self.review is None else min(expires, self.review.ends)


#: Gives an issuer with the keys in force, given the name of the key that is looked for.
Latest: TypeAlias = Callable[[TokenIssuer, str | None], TokenIssuer]


def as_it_is(issuer: TokenIssuer, _: str | None) -> TokenIssuer:
    """The issuer with the keys that it has."""
    return issuer


def issuer_of(subject: object, issuer: object, trust: TokenTrust) -> TokenIssuer:
    """By whose configuration a token is verified, by its claims `sub` and `iss`.

    The token says so itself, and the signature has to bear it out. A subject of a trust domain
    that is believed makes it a JWT-SVID; then it is one or nothing, and never tried as a user's. An issuer
    that is a cluster's comes before both: its token is a service account token or nothing.

    Raises:
        RefusedTokenError: By nobody's.
    """
    if not trust.digest:
        message = "nobody's tokens are believed: no issuer, no bundle and no cluster is configured"
        raise RefusedTokenError(TokenRefusal.NO_ISSUERS, message)
    if isinstance(issuer, str) and issuer in trust.clusters:
        return trust.clusters[issuer]
    trust_domain = _trust_domain(subject)
    if trust_domain is not None and trust_domain in trust.bundles:
        return trust.bundles[trust_domain]
    if isinstance(issuer, str) and issuer in trust.issuers:
        return trust.issuers[issuer]
    if trust_domain is not None:
        message = f"no bundle is configured for the trust domain {quoted(trust_domain)}"
        raise RefusedTokenError(TokenRefusal.UNKNOWN_TRUST_DOMAIN, message)
    if issuer is None:
        raise RefusedTokenError(TokenRefusal.MISSING_CLAIM, "the token has no `iss`: nobody issued it")
    if not isinstance(issuer, str):
        raise RefusedTokenError(TokenRefusal.INVALID_CLAIM, "the claim `iss` is refused: it is not a text")
    if issuer == LEGACY_ISSUER:
        refuse_legacy({"iss": issuer})
    # RFC 7519 section 4.1.1: compared as it stands. A slash at the end makes it another issuer.
    raise RefusedTokenError(
        TokenRefusal.UNKNOWN_ISSUER, f"{quoted(issuer)} is not an issuer that is configured"
    )


def verify_token(
    token: CompactToken, issuer: TokenIssuer, now: Millis, review: Review | None = None
) -> VerifiedToken:
    """What a token proves at an instant, by the configuration of its issuer.

    INVARIANT: the token of a cluster whose keys are not known here proves nothing without a review. One that
    breaks any other rule is refused as that, so no cluster is ever asked about it.

    Args:
        token: The token.
        issuer: The configuration.
        now: The instant.
        review: What the cluster says of this very token, if it was asked.

    Raises:
        RefusedTokenError: It proves nothing.
    """
    _check_type(token, issuer.profile)
    if token.algorithm not in issuer.algorithms:
        message = f"the algorithm {quoted(token.algorithm)} is not among those that are accepted"
        raise RefusedTokenError(TokenRefusal.ALGORITHM, message)
    if issuer.cluster is not None:
        refuse_legacy(token.claims)
    signed = issuer.cluster is None or issuer.cluster.signed
    key_id = signing_key(token, issuer).key_id if signed else None
    times = times_of(token.claims)
    audiences = audiences_of(token.claims, issuer)
    attributes = claim_attributes(token.claims)
    user, principal = None, None
    if issuer.profile is TokenProfile.OIDC:
        user = _user(token, issuer, attributes.get("groups"))
    elif issuer.cluster is not None:
        if times.issued is None:
            raise RefusedTokenError(
                TokenRefusal.MISSING_CLAIM, "the token has no `iat`, which its cluster states"
            )
        principal = issuer.cluster.principal(service_account_of(token.claims))
    else:
        principal = _workload(token, issuer)
    check_times(times, issuer, now)
    if issuer.cluster is not None and issuer.cluster.reviewed:
        check_review(review, now)
    return VerifiedToken(
        issuer=issuer,
        subject=str(token.claims["sub"]),
        audiences=audiences,
        times=times,
        token_id=token_id if isinstance(token_id := token.claims.get("jti"), str) else None,
        key_id=key_id,
        algorithm=token.algorithm,
        attributes=attributes,
        unreadable=unreadable_claims(token.claims, attributes),
        user=user,
        principal=principal,
        review=review,
    )


def _trust_domain(subject: object) -> str | None:
    if not isinstance(subject, str):
        return None
    try:
        return parse_spiffe_id(subject)[0]
    except InvalidIdentityError:
        return None


def _check_type(token: CompactToken, profile: TokenProfile) -> None:
    type_ = token.type
    if profile is TokenProfile.SPIFFE:
        if type_ is not None and type_ not in _SVID_TYPES:
            message = f"the header's `typ` is {quoted(type_)}: a JWT-SVID has `JWT`, `JOSE` or none"
            raise RefusedTokenError(TokenRefusal.TYPE, message)
        for name in token.header.keys() - _SVID_HEADER:
            message = f"the header has {quoted(name)}: that of a JWT-SVID has `alg`, `kid` and `typ` only"
            raise RefusedTokenError(TokenRefusal.HEADER, message)
    elif profile is TokenProfile.KUBERNETES:
        if type_ is not None and type_ != "JWT":
            message = (
                f"the header's `typ` is {quoted(type_)}: that of a service account token is `JWT`, or none"
            )
            raise RefusedTokenError(TokenRefusal.TYPE, message)
    elif type_ is not None and type_.lower().removeprefix("application/") not in _TYPES:
        message = f"the header's `typ` is {quoted(type_)}: such tokens prove something else"
        raise RefusedTokenError(TokenRefusal.TYPE, message)


def _user(token: CompactToken, issuer: TokenIssuer, groups: AttributeValue | None) -> User:
    if token.claims.get("iss") != issuer.name:
        raise RefusedTokenError(TokenRefusal.UNKNOWN_ISSUER, "the token is another issuer's")
    if "groups" in token.claims and not isinstance(groups, tuple):
        # A user without groups is another one: a deny of a group would not hold any more.
        message = "the claim `groups` is refused: it is not a list of texts"
        raise RefusedTokenError(TokenRefusal.INVALID_CLAIM, message)
    return User(
        issuer=issuer.name,
        subject=plain_subject_of(token.claims),
        groups=groups if isinstance(groups, tuple) else (),
    )


def _workload(token: CompactToken, issuer: TokenIssuer) -> Principal:
    """JWT-SVID, section 3.1: `sub` is a SPIFFE ID, and the keys are those of its trust domain."""
    try:
        principal = spiffe_principal(subject_of(token.claims))
    except InvalidIdentityError as error:
        message = f"`sub` is not the SPIFFE ID of a workload: {error}"
        raise RefusedTokenError(TokenRefusal.SUBJECT, message) from error
    if principal.trust_domain != issuer.name:
        message = "`sub` is of another trust domain than the keys"
        raise RefusedTokenError(TokenRefusal.SUBJECT, message)
    return principal
