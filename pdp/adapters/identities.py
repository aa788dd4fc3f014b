"""Whom a question is about, and for whom: named in it, or as evidence that somebody else has to look at.

Shapes and their checks. What evidence proves is the business of `pdp.service.evidence`, what may be named or
presented that of `pdp.service.authorization`.
"""

from collections.abc import Mapping
from functools import lru_cache

import msgspec
from msgspec import UNSET, UnsetType

from pdp.adapters.bad_question import BadQuestionError, clean, shown
from pdp.identity.forwarded.forms import FORMS
from pdp.identity.forwarded.lines import lines_of_object
from pdp.limits import MAX_PRINCIPALS_REMEMBERED
from pdp.principals import ANONYMOUS, InvalidIdentityError, Principal, dns_principal, spiffe_principal
from pdp.service.proof import Presented
from pdp.vocabulary import EvidenceKind, User

__all__ = [
    "FORMS",
    "Evidence",
    "Forwarded",
    "UserClaims",
    "presented",
    "principal_of",
    "require_apart",
    "user_of",
]


class Forwarded(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Headers in which a proxy says who called it.

    Attributes:
        form: How it says so: a kind of evidence.
        headers: Those of the form, by name in lower case: a value, or one for each line.
    """

    form: str
    headers: dict[str, str | tuple[str, ...]]


class Evidence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A principal by the kind of its identity: exactly one field is given.

    Attributes:
        spiffe: A SPIFFE ID.
        dns: A host name.
        anonymous: True for a request without an identity.
        jwt: A JWT-SVID or a service account token, verified here.
        certificate: A chain of certificates in PEM, the leaf first, verified here.
        forwarded: What the proxy that asks has put into headers.
    """

    spiffe: str | UnsetType = UNSET
    dns: str | UnsetType = UNSET
    anonymous: bool | UnsetType = UNSET
    jwt: str | UnsetType = UNSET
    certificate: str | UnsetType = UNSET
    forwarded: Forwarded | UnsetType = UNSET


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


def presented(given: str | Evidence, user: UserClaims | None) -> Presented | None:
    """The evidence in a question's principal and user, if there is any.

    Raises:
        BadQuestionError: It stands beside what it should prove.
    """
    found = None if isinstance(given, str) else _presented(given)
    if user is None or user.jwt is UNSET:
        return found
    if user.issuer is not UNSET or user.subject is not UNSET or user.groups:
        message = "`user` has a token, `jwt`, which says the rest: nothing stands beside it"
        raise BadQuestionError("conflicting_evidence", message)
    return (found or Presented())._replace(user_token=user.jwt)


def _presented(given: Evidence) -> Presented | None:
    _only_one(given)
    if given.jwt is not UNSET:
        return Presented(EvidenceKind.JWT_SVID, given.jwt)
    if given.certificate is not UNSET:
        return Presented(EvidenceKind.CERTIFICATE, given.certificate)
    if given.forwarded is not UNSET:
        return Presented(_form(given.forwarded.form), headers=lines_of_object(given.forwarded.headers))
    return None


def _form(text: str) -> EvidenceKind:
    if text not in FORMS:
        names = ", ".join(f"`{form}`" for form in FORMS)
        raise BadQuestionError("invalid_principal", f"`principal.forwarded.form` is one of {names}")
    return FORMS[text]


def _only_one(given: Evidence) -> None:
    if sum(getattr(given, name) is not UNSET for name in given.__struct_fields__) != 1:
        names = ", ".join(f"`{name}`" for name in given.__struct_fields__)
        message = f"`principal` is an object with exactly one of {names}"
        raise BadQuestionError("invalid_principal", message)


def principal_of(given: str | Evidence) -> Principal:
    """The principal that a question names.

    Raises:
        BadQuestionError: It names none, or holds evidence.
    """
    if isinstance(given, str):
        return _spiffe("principal", given)
    _only_one(given)
    if isinstance(given.spiffe, str):
        return _spiffe("principal.spiffe", given.spiffe)
    if isinstance(given.dns, str):
        try:
            return dns_principal(clean("principal.dns", given.dns))
        except InvalidIdentityError as error:
            raise BadQuestionError("invalid_principal", f"`principal.dns`: {error}") from None
    if given.anonymous is True:
        return ANONYMOUS
    if given.anonymous is False:
        raise BadQuestionError("invalid_principal", "`principal.anonymous` can only be true")
    raise BadQuestionError("evidence_refused", "`principal` holds evidence, which is not verified here")


@lru_cache(maxsize=MAX_PRINCIPALS_REMEMBERED)  # a workload asks more than once
def _spiffe(field: str, text: str) -> Principal:
    try:
        return spiffe_principal(clean(field, text))
    except InvalidIdentityError as error:
        hint = "; other identities are written as an object" if not text.startswith("spiffe://") else ""
        raise BadQuestionError("invalid_principal", f"`{field}`: {error}{hint}") from None


def user_of(given: UserClaims) -> User:
    """The user that a question names.

    Raises:
        BadQuestionError: It names none, or holds evidence.
    """
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


def require_apart(context: Mapping[str, object], proven: frozenset[str]) -> None:
    """Check that what evidence tells is not given as well: which of the two would hold?

    Args:
        context: The attributes that are given.
        proven: Families that evidence tells of.

    Raises:
        BadQuestionError: Some of it is.
    """
    for name in context:
        if name.partition(".")[0] in proven:
            message = f"`context` holds {shown(name)}, of which evidence in the question tells"
            raise BadQuestionError("conflicting_evidence", message)
