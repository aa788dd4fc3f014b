"""The words that every layer shares: request, effect, reason, obligation, region, decision.

This module holds plain values without behaviour of their own. Identities are in
`pdp.principals`, paths in `pdp.paths`, and how a decision is reached in `pdp.engine`.

Values on the decision path are frozen `msgspec.Struct`: one costs a fraction of a
frozen dataclass to make. Instants are `int` milliseconds since the Unix epoch, UTC;
nothing below `service` reads a clock.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final, TypeAlias

import msgspec

from pdp.principals import Principal

__all__ = [
    "FAMILIES",
    "AttributeValue",
    "Decision",
    "Effect",
    "EvidenceKind",
    "Excluding",
    "Millis",
    "Obligation",
    "ObligationKind",
    "PathStep",
    "Reason",
    "Region",
    "Request",
    "ShadowOutcome",
    "User",
]

Millis: TypeAlias = int
AttributeValue: TypeAlias = str | int | bool | tuple[str, ...]

#: The families of attributes that the language knows without a declaration.
FAMILIES: Final = frozenset({"source", "header", "tls", "request", "user", "principal"})


class Effect(Enum):
    """What a rule says, and what a decision comes to."""

    ALLOW = "allow"
    DENY = "deny"


class Reason(Enum):
    """Why a decision came out as it did."""

    ALLOWED = "allowed"
    OBSERVED = "observed"  # denied by default, but the service is only observed
    DENIED_BY_RULE = "denied_by_rule"
    NO_RULE_MATCHED = "no_rule_matched"
    AMBIGUOUS_PATH = "ambiguous_path"
    AMBIGUOUS_METHOD = "ambiguous_method"
    UNKNOWN_SERVICE = "unknown_service"
    STALE = "stale"  # the version was confirmed too long ago: whatever its rules say
    QUARANTINED = "quarantined"  # whom it is about is believed no more: the same


class EvidenceKind(Enum):
    """By what a question proves whom it is about, instead of saying so."""

    JWT_SVID = "jwt-svid"  # a token of a workload, verified here
    SERVICE_ACCOUNT_TOKEN = "service-account-token"  # noqa: S105 -- a token of a pod, verified here
    CERTIFICATE = "certificate"  # a chain of certificates, verified here
    # What a proxy has put into headers: who called it, by its word, or with the certificate.
    XFCC = "xfcc"
    LINKERD = "linkerd"
    NGINX = "nginx"
    TRAEFIK = "traefik"
    ALB = "alb"
    ALB_PASSTHROUGH = "alb-passthrough"
    CLIENT_CERT = "client-cert"


class ObligationKind(Enum):
    """What an enforcement point must do besides letting the request through."""

    SET_HEADER = "set_header"
    REMOVE_HEADER = "remove_header"
    REUSE_AT_MOST = "reuse_at_most"  # value: milliseconds, as text


class Obligation(msgspec.Struct, frozen=True):
    """One duty that comes with an allow: fulfil it, or deny.

    Attributes:
        kind: Which duty.
        name: The header, in lower case; empty for `REUSE_AT_MOST`.
        value: The header's value, or the limit in milliseconds; empty for `REMOVE_HEADER`.
    """

    kind: ObligationKind
    name: str = ""
    value: str = ""


class User(msgspec.Struct, frozen=True, kw_only=True):
    """The person or account on whose behalf a workload calls; never a principal.

    Attributes:
        issuer: The issuer's URL, exactly as in the token.
        subject: The issuer's name for the user.
        groups: The issuer's groups of the user.
    """

    issuer: str
    subject: str
    groups: tuple[str, ...] = ()


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One question: may `principal` do `method` on `path` of `service`, now?

    Attributes:
        principal: The workload the question is about. Never the caller.
        service: The service's name in the policy set.
        method: The method exactly as it stood in the request.
        path: The request target as it was received; canonicalised by the engine.
        now: The instant of the question.
        user: The user, or None where there is none.
        context: Attributes by name; None says that the value is absent.
        supplied: Families of attributes that whoever asks always supplies when they exist.
    """

    principal: Principal
    service: str
    method: str
    path: str
    now: Millis
    user: User | None = None
    context: Mapping[str, AttributeValue | None] = msgspec.field(default_factory=dict)
    supplied: frozenset[str] = frozenset()


class Excluding(msgspec.Struct, frozen=True, gc=False):
    """A path step that admits any one non-empty segment but those listed."""

    segments: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()


#: A segment; None for any one non-empty segment; or any non-empty one but those listed.
PathStep: TypeAlias = str | Excluding | None


class Region(msgspec.Struct, frozen=True, gc=False):
    """The requests over which a decision, its obligations and its validity hold.

    Attributes:
        service: The service.
        principal: The principal's id, or None if the answer did not read it.
        method: The method, or None if the answer did not read it.
        path: One step per segment of the canonical path, split at `/`.
        rest: Whether any further segments may follow, none and an empty one included.
        context: The attributes that were read, with their values; None where absent.
    """

    service: str
    principal: str | None
    method: str | None
    path: tuple[PathStep, ...]
    rest: bool
    context: Mapping[str, AttributeValue | None]


class ShadowOutcome(msgspec.Struct, frozen=True):
    """What the decision would have been with the shadow rules enforced."""

    effect: Effect
    reason: Reason
    rules: tuple[int, ...]


class Decision(msgspec.Struct, frozen=True, gc=False):
    """The answer to one request under one index.

    Attributes:
        effect: Allow or deny.
        reason: Why.
        enforced: False only where an observed service lets a default deny pass.
        rules: The rows of the satisfied rules that made the decision, ascending.
        region: Where it holds, or None for this very request only.
        valid_until: The first instant at which it may differ, or None for never.
        obligations: What an allow demands of the enforcement point, sorted.
        shadow: The would-be outcome, where shadow rules would have changed it.
    """

    effect: Effect
    reason: Reason
    enforced: bool
    rules: tuple[int, ...]
    region: Region | None
    valid_until: Millis | None
    obligations: tuple[Obligation, ...]
    shadow: ShadowOutcome | None
