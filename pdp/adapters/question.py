"""The question as it arrives: the body of `/v1/decide`, and its way to a `Request`.

This module holds the shape of a question and every check of its values. JSON itself is read by
`pdp.adapters.strict_json`; who may ask what is `pdp.service.authorization`'s business; the
path and the method are read by the engine, whose answer to an ambiguous one is a deny.

What is wrong with a question is said by name and is never a decision.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, final

import msgspec
from msgspec import UNSET, UnsetType

from pdp.adapters.host_agreement import hosts_agree
from pdp.compiler.attributes import attribute_type, type_problem
from pdp.diagnostics import escape
from pdp.index.rule_index import RuleIndex
from pdp.limits import (
    MAX_CONTEXT_ATTRIBUTES,
    MAX_PATH_BYTES,
    MAX_REVISION_CHARS,
    MAX_SERVICE_NAME_CHARS,
)
from pdp.paths import AmbiguousHostError, canonical_host
from pdp.principals import ANONYMOUS, InvalidIdentityError, Principal, dns_principal, spiffe_principal
from pdp.service.evidence import NOTHING, Presented, Proof
from pdp.vocabulary import AttributeValue, EvidenceKind, Millis, Request, User

__all__ = [
    "UNKNOWN_HOST", "BadQuestionError", "Evidence", "Question", "UserClaims", "presented", "to_request",
]  # fmt: skip

#: Begins the name under which a host of no service is asked about. No declared service's name
#: can begin so, thus the answer is that of an undeclared service, whatever the host is called.
UNKNOWN_HOST: Final = "//"

# C0, DEL, C1, and lone surrogates: nothing that names a workload, service or method holds them.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_KINDS: Final = (EvidenceKind.JWT_SVID, EvidenceKind.CERTIFICATE, EvidenceKind.XFCC)
_SHOWN: Final = 80  # characters of the sender's own text in a message


@final
class BadQuestionError(ValueError):
    """A question that cannot be asked.

    Attributes:
        code: Stable snake_case name, documented in `docs/api.md`.
        message: One sentence for whoever asked, safe to print.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Evidence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A principal by the kind of its identity: exactly one field is given.

    Attributes:
        spiffe: A SPIFFE ID.
        dns: A host name.
        anonymous: True for a request without an identity.
        jwt: A JWT-SVID, verified here.
        certificate: A chain of certificates in PEM, the leaf first, verified here.
        xfcc: The value of `x-forwarded-client-cert` of the proxy that asks.
    """

    spiffe: str | UnsetType = UNSET
    dns: str | UnsetType = UNSET
    anonymous: bool | UnsetType = UNSET
    jwt: str | UnsetType = UNSET
    certificate: str | UnsetType = UNSET
    xfcc: str | UnsetType = UNSET


class UserClaims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The user on whose behalf the principal calls; see `pdp.vocabulary.User`.

    Attributes:
        issuer: The issuer's URL.
        subject: The issuer's name for the user.
        groups: The user's groups.
        jwt: A token of the issuer, verified here, that says all of it instead.
    """

    issuer: str | UnsetType = UNSET
    subject: str | UnsetType = UNSET
    groups: tuple[str, ...] = ()
    jwt: str | UnsetType = UNSET


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """May this principal do this method on this path of this service?

    Attributes:
        principal: A SPIFFE ID, or an object that says of which kind the identity is.
        method: The method exactly as it stood in the request.
        path: The request target as it was received.
        service: The service's name; or else `host` is given.
        host: A host name that the service answers to, with or without a port.
        user: The user, if there is one.
        context: Attributes by name: string, integer, true or false, list of strings, or null
            for one that is known to be absent.
        at_least: A revision that must have been seen before answering.
        explain: Whether to say which rules were considered, and what would have been allowed.
    """

    principal: str | Evidence
    method: str
    path: str
    service: str | None = None
    host: str | None = None
    user: UserClaims | None = None
    # Values are checked one by one, to name the attribute that is wrong.
    context: dict[str, Any] = {}
    at_least: str | None = None
    explain: bool = False


def presented(question: Question) -> Presented | None:
    """The evidence in a question, if there is any.

    Raises:
        BadQuestionError: It stands beside what it should prove.
    """
    given, user = question.principal, question.user
    kind, text = (None, "") if isinstance(given, str) else _presented(given)
    if user is None or user.jwt is UNSET:
        return None if kind is None else Presented(kind, text)
    if user.issuer is not UNSET or user.subject is not UNSET or user.groups:
        message = "`user` has a token, `jwt`, which says the rest: nothing stands beside it"
        raise BadQuestionError("conflicting_evidence", message)
    return Presented(kind, text, user.jwt)


def _presented(given: Evidence) -> tuple[EvidenceKind | None, str]:
    _only_one(given)
    for kind, text in zip(_KINDS, (given.jwt, given.certificate, given.xfcc), strict=True):
        if text is not UNSET:
            return kind, text
    return None, ""


def _only_one(given: Evidence) -> None:
    if sum(getattr(given, name) is not UNSET for name in given.__struct_fields__) != 1:
        names = ", ".join(f"`{name}`" for name in given.__struct_fields__)
        message = f"`principal` is an object with exactly one of {names}"
        raise BadQuestionError("invalid_principal", message)


def to_request(
    question: Question,
    index: RuleIndex,
    supplied: frozenset[str],
    now: Millis,
    proof: Proof = NOTHING,
) -> Request:
    """The request that a question comes to under an index.

    Args:
        question: The question.
        index: Says which service a host is, and which types attributes have.
        supplied: Families of attributes that whoever asks supplies whenever they exist.
        now: The instant of the question.
        proof: What its evidence proves.

    Raises:
        BadQuestionError: Something in it has no meaning; nothing is guessed or repaired.
    """
    if len(question.path) > 2 * MAX_PATH_BYTES:  # shorter ones are the engine's to refuse, with a decision
        raise BadQuestionError("path_too_long", f"`path` has more than {2 * MAX_PATH_BYTES} characters")
    if question.at_least is not None:
        _require_revision(question.at_least)
    context = _context(question.context, index) if question.context else {}
    if proof is not NOTHING:
        _require_apart(context, proof.families)
    if not hosts_agree(question.host, context):
        message = "`host`, `request.host` and `header.host` do not name one host"
        raise BadQuestionError("conflicting_hosts", message)
    return Request(
        principal=proof.principal or _principal(question.principal),
        service=_service(question, index),
        method=_clean("method", question.method),
        path=question.path,
        now=now,
        user=proof.user or (None if question.user is None else _user(question.user)),
        context=context,
        supplied=supplied,
    )


def _require_apart(context: Mapping[str, object], proven: frozenset[str]) -> None:
    """What evidence tells is not given as well: which of the two would hold?"""
    for name in context:
        if name.partition(".")[0] in proven:
            message = f"`context` holds {_quoted(name)}, of which evidence in the question tells"
            raise BadQuestionError("conflicting_evidence", message)


# -- identities ------------------------------------------------------------------------


def _principal(given: str | Evidence) -> Principal:
    if isinstance(given, str):
        return _spiffe("principal", given)
    _only_one(given)
    if isinstance(given.spiffe, str):
        return _spiffe("principal.spiffe", given.spiffe)
    if isinstance(given.dns, str):
        try:
            return dns_principal(_clean("principal.dns", given.dns))
        except InvalidIdentityError as error:
            raise BadQuestionError("invalid_principal", f"`principal.dns`: {error}") from None
    if given.anonymous is True:
        return ANONYMOUS
    if given.anonymous is False:
        raise BadQuestionError("invalid_principal", "`principal.anonymous` can only be true")
    raise BadQuestionError("evidence_refused", "`principal` holds evidence, which is not verified here")


def _spiffe(field: str, text: str) -> Principal:
    try:
        return spiffe_principal(_clean(field, text))
    except InvalidIdentityError as error:
        hint = "; other identities are written as an object" if not text.startswith("spiffe://") else ""
        raise BadQuestionError("invalid_principal", f"`{field}`: {error}{hint}") from None


def _user(given: UserClaims) -> User:
    if given.jwt is not UNSET:
        raise BadQuestionError("evidence_refused", "`user` holds a token, which is not verified here")
    issuer, subject = _named("issuer", given.issuer), _named("subject", given.subject)
    return User(issuer=issuer, subject=subject, groups=given.groups)


def _named(field: str, text: str | UnsetType) -> str:
    if text is UNSET:
        raise BadQuestionError("missing_field", f"the field `{field}` of `user` is missing")
    if not text:
        raise BadQuestionError("invalid_user", f"`user.{field}` is empty")
    return text


# -- services --------------------------------------------------------------------------


def _service(question: Question, index: RuleIndex) -> str:
    if (question.service is None) == (question.host is None):
        given = "both are given" if question.host is not None else "neither is given"
        raise BadQuestionError("service_or_host", f"a question names a `service` or a `host`: {given}")
    if question.service is not None:
        if not question.service:
            raise BadQuestionError("invalid_service", "`service` is empty")
        if len(question.service) > MAX_SERVICE_NAME_CHARS:
            message = f"`service` has more than {MAX_SERVICE_NAME_CHARS} characters"
            raise BadQuestionError("invalid_service", message)
        return _clean("service", question.service)
    try:
        host, _ = canonical_host(question.host or "")
    except AmbiguousHostError as error:
        raise BadQuestionError("invalid_host", f"`host`: {error}") from None
    return index.hosts.get(host, UNKNOWN_HOST + host)


def _require_revision(text: str) -> None:
    if not text or len(text) > MAX_REVISION_CHARS:
        message = f"`at_least` has 1 to {MAX_REVISION_CHARS} characters"
        raise BadQuestionError("invalid_revision", message)
    _clean("at_least", text, code="invalid_revision")


def _clean(field: str, text: str, *, code: str = "") -> str:
    """The text, if a log line or a comparison can hold it."""
    found = _CONTROL.search(text) if not (text.isascii() and text.isprintable()) else None
    if found is None:
        return text
    kind = "half of a surrogate pair" if found[0] >= "\ud800" else "a control character"
    raise BadQuestionError(code or f"invalid_{field.partition('.')[0]}", f"`{field}` holds {kind}")


# -- attributes ------------------------------------------------------------------------


def _context(given: Mapping[str, Any], index: RuleIndex) -> dict[str, AttributeValue | None]:
    """The attributes that some rule could read, with values of their types."""
    if len(given) > MAX_CONTEXT_ATTRIBUTES:
        message = f"`context` has more than {MAX_CONTEXT_ATTRIBUTES} attributes"
        raise BadQuestionError("too_many_attributes", message)
    context: dict[str, AttributeValue | None] = {}
    for name, value in given.items():
        plain = _value(name, value)
        type_ = attribute_type(name, index.attributes)
        if isinstance(type_, str):
            # Not to be ignored: a policy that reads `header.x-a` would miss a `header.X-A`.
            if name.startswith("header."):
                message = f"{_quoted(name)} is not an attribute: {_shortened(type_)}"
                raise BadQuestionError("invalid_attribute", message)
            continue  # no rule can read it
        if plain is not None and (problem := type_problem(type_, plain)):
            raise BadQuestionError("attribute_type", f"the attribute {_quoted(name)} {problem}")
        context[name] = plain
    return context


def _value(name: str, value: object) -> AttributeValue | None:
    """A value as the engine has it: lists as tuples, and an empty list is absent."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple(value) or None
    message = f"the attribute {_quoted(name)} is no string, integer, true or false, list of strings, or null"
    raise BadQuestionError("attribute_type", message)


def _quoted(text: str) -> str:
    return f"`{_shortened(text)}`"


def _shortened(text: str) -> str:
    return escape(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
