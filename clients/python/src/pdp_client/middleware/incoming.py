"""One request as it came, whatever the server is called, and the question that it makes.

Names of headers are read as the least careful application behind us reads them: `_` is `-`, as WSGI has it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from pdp_client.question import AttributeValue, Principal, Question, User, UserToken

__all__ = ["Family", "Incoming", "Withheld", "header_name", "question_of"]

#: A family of attributes that our entry in the policy set says we supply. Then it has to be supplied
#: whenever it is there: what is left out counts as absent.
Family = Literal["source", "header", "request"]

_OVERRIDES: Final = frozenset({"x-http-method-override", "x-method-override", "x-http-method"})


class Withheld(Exception):  # noqa: N818 - it is no error of a program, but the outcome of a request
    """A request that does not go on.

    Attributes:
        denied: Whether that is the answer; else there is none.
        why: For whoever runs the application, and not for who asked.
    """

    def __init__(self, why: str, *, denied: bool) -> None:
        super().__init__(why)
        self.why: Final = why
        self.denied: Final = denied


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """What of a request a question is made of.

    Attributes:
        method: Its method.
        target: The request target as it was received.
        headers: Its lines, as texts.
        source: Address of whoever is at the other end, if the server says it.
        scheme: `http` or `https`, if the server says it.
        port: Where it arrived, if the server says it.
    """

    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    source: str | None = None
    scheme: str | None = None
    port: int | None = None


def header_name(name: str) -> str:
    """A header's name as it is compared."""
    return name.lower().replace("_", "-")


def question_of(
    incoming: Incoming,
    service: str,
    principal: Principal,
    user: User | UserToken | None,
    supplies: frozenset[Family],
) -> Question:
    """The question whether a request may go on.

    Raises:
        Withheld: A header says that another method is meant, and we do not supply headers.
    """
    lines = _by_name(incoming.headers)
    if "header" not in supplies:
        for name in _OVERRIDES & lines.keys():
            if lines[name] != [incoming.method]:
                raise Withheld(f"the header {name} names another method", denied=True)
    return Question(
        principal=principal,
        service=service,
        method=incoming.method,
        path=incoming.target,
        user=user,
        context=_context(incoming, lines, supplies),
    )


def _by_name(headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(header_name(name), []).append(value)
    return found


def _context(
    incoming: Incoming, lines: Mapping[str, list[str]], supplies: frozenset[Family]
) -> dict[str, AttributeValue]:
    context: dict[str, AttributeValue] = {}
    if "header" in supplies:
        # A name with a dot is none that a rule can read.
        context |= {f"header.{name}": values for name, values in lines.items() if "." not in name}
    if "source" in supplies and incoming.source is not None:
        context["source.ip"] = incoming.source
    if "request" in supplies:
        hosts = lines.get("host", [])
        if len(hosts) > 1:
            raise Withheld("the request names several hosts", denied=True)
        if hosts:
            context["request.host"] = hosts[0]
        if incoming.scheme is not None:
            context["request.scheme"] = incoming.scheme
        if incoming.port is not None:
            context["request.port"] = incoming.port
    return context
