"""Which requests may be answered from memory: those that are plain. All others the service is asked about.

Plain is what `docs/caching.md` of pdp says it is, and a little less: a principal, too, has to be written
in the one way in which its id is, since a fresh question about anything else would be an error.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final
from urllib.parse import unquote

from pdp_client.limits import MAX_CONTEXT_ATTRIBUTES, MAX_METHOD_CHARS, MAX_PATH_BYTES, MAX_PLAIN_CHARS
from pdp_client.question import (
    Anonymous,
    Certificate,
    Dns,
    Forwarded,
    Jwt,
    Principal,
    Question,
    User,
    UserToken,
)
from pdp_client.region import Asked, Pin

__all__ = ["PLAINLY_CANONICAL", "as_plain", "is_plain_target"]

#: The expression of `docs/paths.md` of pdp.
PLAINLY_CANONICAL: Final = r"(?:/\.?[A-Za-z0-9_~!$&'()*+,=:@-][.A-Za-z0-9_~!$&'()*+,=:@-]*){1,127}/?"

# The same language, without anything to go back into.
_path: Final = re.compile(
    r"(?:/\.?[A-Za-z0-9_~!$&'()*+,=:@-][.A-Za-z0-9_~!$&'()*+,=:@-]*+){1,127}+/?"
).fullmatch
_query: Final = re.compile(r"[!-\"$-~]*+").fullmatch
_method: Final = re.compile(rf"[A-Z][A-Z0-9_-]{{0,{MAX_METHOD_CHARS - 1}}}").fullmatch
_spiffe: Final = re.compile(
    r"spiffe://[a-z0-9._-]{1,255}(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+)+", re.ASCII
).fullmatch
_dns: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*",
    re.ASCII,
).fullmatch
_MAX_SPIFFE_BYTES: Final = 2048
_OVERRIDES: Final = ("header.x-http-method-override", "header.x-method-override", "header.x-http-method")
_HOSTS: Final = ("request.host", "header.host")
#: Names of attributes that are in their one form, as far as there were any.
_NAMES: Final[set[str]] = set()
_MOST_NAMES: Final = 1024
_NO_USER: Final[Mapping[str, Pin]] = {}


def as_plain(question: Question) -> Asked | None:
    """What of a request counts for membership, or None if it has to be asked about."""
    path, context = question.path, question.context
    if len(path) > MAX_PLAIN_CHARS:
        return None
    if "?" in path:
        path, _, query = path.partition("?")
        if not _is_plain_query(query):
            return None
    if len(path) > MAX_PATH_BYTES or _path(path) is None:
        return None
    if not _is_method(question.method) or question.at_least is not None:
        return None
    if context and not _is_plain_context(context, question.host):
        return None
    principal = question.principal
    if principal.__class__ is str:
        id_: str | None = principal
        proof = None
        if not _is_spiffe(principal):
            return None
    else:
        id_, proof = _identity(principal)
        if id_ is None and proof is None:
            return None
    user, user_proof = (_NO_USER, None) if question.user is None else _of_user(question.user)
    if user is None:
        return None
    return Asked(
        question.service, question.host, id_, proof, user, user_proof, question.method,
        path[1:].split("/"), context,
    )  # fmt: skip


def is_plain_target(target: str) -> bool:
    """Whether the path and the query of a request target are plain."""
    path, mark, query = target.partition("?")
    return len(path) <= MAX_PATH_BYTES and _path(path) is not None and (not mark or _is_plain_query(query))


def _is_plain_query(query: str) -> bool:
    """Of printable characters, without a fragment behind it, and without anything called `method`."""
    return _query(query) is not None and "method" not in unquote(query, errors="replace").lower()


@lru_cache(maxsize=256)
def _is_method(method: str) -> bool:
    return _method(method) is not None


@lru_cache(maxsize=4096)
def _is_spiffe(text: str) -> bool:
    return len(text) <= _MAX_SPIFFE_BYTES and _spiffe(text) is not None


def _is_plain_context(context: Mapping[str, object], host: str | None) -> bool:
    if len(context) > MAX_CONTEXT_ATTRIBUTES:
        return False
    size = _size_of(context)
    if size < 0 or size > MAX_PLAIN_CHARS:
        return False
    if _OVERRIDES[0] in context or _OVERRIDES[1] in context or _OVERRIDES[2] in context:
        return False
    if _HOSTS[0] not in context and _HOSTS[1] not in context:
        return True
    named = set() if host is None else {host}
    for name in _HOSTS:
        value = context.get(name)
        if isinstance(value, str):
            named.add(value)
        elif isinstance(value, list | tuple):
            named.update(value)
        elif value is not None:
            return False
    return len(named) <= 1


def _size_of(context: Mapping[str, Any]) -> int:
    """How long its texts are, or -1 if something in it has to be asked about: the service may refuse it.

    Almost without calls: this is on the way of every question that is answered from memory.
    """
    size = 0
    for name, value in context.items():
        kind = value.__class__
        if kind is str:
            if "\0" in value:
                return -1
            size += len(value)
        elif kind is list or kind is tuple:
            for text in value:
                if text.__class__ is not str or "\0" in text:
                    return -1
                size += len(text)
        elif value is not None and kind is not int and kind is not bool:
            return -1
        if name not in _NAMES and not _is_name(name):
            return -1
    return size


def _is_name(name: str) -> bool:
    """Whether the service takes an attribute of this name: one of a header has one form."""
    found = not name.startswith("header.") or (
        name == name.lower() and "_" not in name and name.count(".") == 1
    )
    if found and len(_NAMES) < _MOST_NAMES:
        _NAMES.add(name)
    return found


def _identity(principal: Principal) -> tuple[str | None, bytes | None]:
    """The id of a principal that is named, or a digest of what proves it; neither if it is not plain."""
    match principal:
        case Anonymous():
            return "anonymous", None
        case Dns(name=name):
            return (f"dns:{name}", None) if _dns(name) else (None, None)
        case Jwt(token=token):
            return None, _digest("jwt", token)
        case Certificate(pem=pem):
            return None, _digest("certificate", pem)
        case Forwarded(form=form, headers=headers):
            return None, _digest("forwarded", form, *(part for line in headers for part in line))
        case _:
            return None, None


def _of_user(user: User | UserToken) -> tuple[Mapping[str, Pin] | None, bytes | None]:
    """The attributes of a user that is named, or a digest of what proves it; neither if it is none."""
    if isinstance(user, UserToken):
        return _NO_USER, _digest("user", user.token)
    if not (user.issuer and user.subject):
        return None, None
    groups = ("list", *user.groups) if user.groups else None
    return {"user.iss": user.issuer, "user.sub": user.subject, "user.groups": groups}, None


def _digest(*parts: str) -> bytes:
    """Of evidence only this is kept: it is a secret, and long."""
    written = [part.encode("utf-8", "surrogatepass") for part in parts]
    return sha256(b"".join(len(part).to_bytes(8) + part for part in written)).digest()
