"""The question as it arrives: the body of `/v1/decide`, and its way to a `Request`.

This module holds the shape of a question and the checks of its values; those of principal and user are in
`pdp.adapters.identities`. JSON itself is read by `pdp.adapters.strict_json`; who may ask what is
`pdp.service.authorization`'s business; the path and the method are read by the engine, whose answer to
an ambiguous one is a deny.

What is wrong with a question is said by name and is never a decision.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pdp.adapters.bad_question import BadQuestionError, clean, shortened, shown
from pdp.adapters.host_agreement import hosts_agree
from pdp.adapters.identities import Evidence, UserClaims, principal_of, require_apart, user_of
from pdp.compiler.attributes import attribute_type, known_type, type_problem
from pdp.index.rule_index import RuleIndex
from pdp.lang.ast import AttributeType
from pdp.limits import (
    MAX_CONTEXT_ATTRIBUTES,
    MAX_PATH_BYTES,
    MAX_REVISION_CHARS,
    MAX_SERVICE_NAME_CHARS,
)
from pdp.paths import AmbiguousHostError, canonical_host
from pdp.service.answered import Seen
from pdp.service.proof import NOTHING, Proof
from pdp.vocabulary import AttributeValue, Millis, Request

__all__ = ["UNKNOWN_HOST", "AskedByProxy", "Question", "to_request"]

#: Begins the name under which a host of no service is asked about. No declared service's name
#: can begin so, thus the answer is that of an undeclared service, whatever the host is called.
UNKNOWN_HOST: Final = "//"


_STRINGS: Final = AttributeType.STRINGS
#: A union would be made anew for each value.
_SINGLE: Final = (str, bool, int)
_SEVERAL: Final = (list, tuple)


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


class AskedByProxy(Question, frozen=True, kw_only=True):
    """What a proxy asks in its own protocol; no body of `/v1/decide` can say the rest.

    Attributes:
        serial: Of the certificate that the proxy says is the principal's; empty where it says nothing.
        seen: What it asks about, and what it can know of that.
    """

    seen: Seen
    serial: str = ""


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
        require_apart(context, proof.families)
    if not hosts_agree(question.host, context):
        message = "`host`, `request.host` and `header.host` do not name one host"
        raise BadQuestionError("conflicting_hosts", message)
    return Request(
        principal=proof.principal or principal_of(question.principal),
        service=_service(question, index),
        method=clean("method", question.method),
        path=question.path,
        now=now,
        user=proof.user or (None if question.user is None else user_of(question.user)),
        context=context,
        supplied=supplied,
    )


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
        return clean("service", question.service)
    try:
        host, _ = canonical_host(question.host or "")
    except AmbiguousHostError as error:
        raise BadQuestionError("invalid_host", f"`host`: {error}") from None
    return index.hosts.get(host, UNKNOWN_HOST + host)


def _require_revision(text: str) -> None:
    if not text or len(text) > MAX_REVISION_CHARS:
        message = f"`at_least` has 1 to {MAX_REVISION_CHARS} characters"
        raise BadQuestionError("invalid_revision", message)
    clean("at_least", text, code="invalid_revision")


# -- attributes ------------------------------------------------------------------------


def _context(given: Mapping[str, Any], index: RuleIndex) -> dict[str, AttributeValue | None]:
    """The attributes that some rule could read, with values of their types."""
    if len(given) > MAX_CONTEXT_ATTRIBUTES:
        message = f"`context` has more than {MAX_CONTEXT_ATTRIBUTES} attributes"
        raise BadQuestionError("too_many_attributes", message)
    context: dict[str, AttributeValue | None] = {}
    declared = index.attributes
    for name, value in given.items():
        plain = _value(name, value)
        type_ = known_type(name, declared)
        if type_ is None:
            # Not to be ignored: a policy that reads `header.x-a` would miss a `header.X-A`.
            if name.startswith("header."):
                meant = str(attribute_type(name, index.attributes))
                message = f"{shown(name)} is not an attribute: {shortened(meant)}"
                raise BadQuestionError("invalid_attribute", message)
            continue  # no rule can read it
        # What came out of `_value` as a tuple holds strings: as each header of a proxy's question.
        fits = plain is None or (type_ is _STRINGS and plain.__class__ is tuple)
        if not fits and (problem := type_problem(type_, plain)):
            raise BadQuestionError("attribute_type", f"the attribute {shown(name)} {problem}")
        context[name] = plain
    return context


def _value(name: str, value: object) -> AttributeValue | None:
    """A value as the engine has it: lists as tuples, and an empty list is absent."""
    if value is None or isinstance(value, _SINGLE):
        return value
    if isinstance(value, _SEVERAL):
        for item in value:
            if not isinstance(item, str):
                break
        else:
            return tuple(value) or None
    message = f"the attribute {shown(name)} is no string, integer, true or false, list of strings, or null"
    raise BadQuestionError("attribute_type", message)
