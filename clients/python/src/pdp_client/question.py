"""What can be asked: may this principal do this method on this path of this service?

Values are as they stood in the request: nothing is decoded, folded or repaired here. What a question
becomes on the wire is left to `pdp_client.wire` and `pdp_client.transports`; whether it may be answered
from memory to `pdp_client.plain`.
"""

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from pdp_client.errors import BadQuestionError

__all__ = [
    "ANONYMOUS",
    "Anonymous",
    "AttributeValue",
    "Certificate",
    "Dns",
    "Forwarded",
    "Jwt",
    "Principal",
    "Question",
    "User",
    "UserToken",
]

#: The value of an attribute; None says that it is known to be absent.
AttributeValue: TypeAlias = str | int | bool | tuple[str, ...] | list[str] | None


class Dns(msgspec.Struct, frozen=True):
    """A workload that is known by a host name."""

    name: str


class Anonymous(msgspec.Struct, frozen=True):
    """A request without an identity."""


class Jwt(msgspec.Struct, frozen=True):
    """A token that proves a workload, verified by the service."""

    token: str

    def __repr__(self) -> str:
        return "Jwt(...)"  # it is a secret


class Certificate(msgspec.Struct, frozen=True):
    """A chain in PEM, the leaf first, that proves a workload, verified by the service."""

    pem: str

    def __repr__(self) -> str:
        return "Certificate(...)"


class Forwarded(msgspec.Struct, frozen=True):
    """Headers in which the proxy before us says who called it.

    Attributes:
        form: Of which proxy they are, such as `xfcc`.
        headers: Each line, with its name in lower case.
    """

    form: str
    headers: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        return f"Forwarded({self.form!r}, ...)"


#: A text is a SPIFFE ID.
Principal: TypeAlias = str | Dns | Anonymous | Jwt | Certificate | Forwarded

ANONYMOUS = Anonymous()


class User(msgspec.Struct, frozen=True):
    """The user on whose behalf the principal calls."""

    issuer: str
    subject: str
    groups: tuple[str, ...] = ()


class UserToken(msgspec.Struct, frozen=True):
    """A token that proves the user, verified by the service."""

    token: str

    def __repr__(self) -> str:
        return "UserToken(...)"  # it is a secret


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One question.

    Attributes:
        principal: The workload that the question is about. Never us.
        method: Exactly as it stood in the request.
        path: The request target as it was received, with its query.
        service: The service's name; or else `host` is given.
        host: A host name that the service answers to, with or without a port.
        user: The user, if there is one.
        context: Attributes by name.
        at_least: A revision that must have been seen before answering.
    """

    principal: Principal
    method: str
    path: str
    service: str | None = None
    host: str | None = None
    user: User | UserToken | None = None
    context: Mapping[str, AttributeValue] = {}
    at_least: str | None = None

    def __post_init__(self) -> None:
        if (self.service is None) == (self.host is None):
            given = "neither is given" if self.host is None else "both are given"
            raise BadQuestionError("service_or_host", f"a question names a `service` or a `host`: {given}")
