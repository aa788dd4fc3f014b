"""The header lines of a proxy's request: what it carries, and what conditions may read.

INVARIANT: nothing is read from a header that stands there more than once, or beside a name that a server
takes for the same. Where a proxy has written one and a client another, nobody knows which of them counts.
"""

import re
from collections.abc import Container, Iterable, Mapping
from functools import lru_cache
from typing import Final

from pdp.adapters.bad_question import BadQuestionError
from pdp.identity.forwarded.lines import Headers

__all__ = ["attributes_of", "bearer_token", "carried", "folded", "missing", "plain_lines", "told_by_envoy"]

# What nginx, Caddy, HAProxy, Traefik, Envoy and APISIX put values into.
_PLACEHOLDER: Final = re.compile(r"\$[A-Za-z_{(]|\{[A-Za-z.$%]|%\[|%[A-Z_]{4,}")
_NAME: Final = re.compile(rb"[a-z0-9!#$%&'*+^`|~-]+")
_AUTHORIZATION: Final = b"authorization"
_SHORT: Final = 64  # bytes of a name that is remembered


def folded(name: bytes) -> bytes:
    """A header's name as servers may take it: `_` for `-` (RFC 3875, section 4.1.18), in any case."""
    return name.lower().replace(b"_", b"-")


def plain_lines(lines: Headers, names: Container[bytes]) -> Headers:
    """The lines of some headers.

    Args:
        lines: All lines.
        names: The headers, in lower case.

    Raises:
        BadQuestionError: There is a line that some server takes for one of them.
    """
    found = []
    for name, value in lines:
        meant = folded(name)
        if meant not in names:
            continue
        if name.lower() != meant:
            raise _refused(meant, "another line has its name with `_`, which servers take for the same")
        found.append((meant, value))
    return found


def carried(lines: Headers, name: bytes) -> str | None:
    """What the proxy has put into a header, or None where there is none.

    Args:
        lines: All lines of the request.
        name: The header, in lower case.

    Raises:
        BadQuestionError: It is there several times or under another spelling, is empty, holds several values,
            or is a placeholder that the proxy did not fill in.
    """
    found = plain_lines(lines, (name,))
    if not found:
        return None
    if len(found) > 1:
        raise _refused(name, "it stands there more than once")
    text = found[0][1].decode("latin-1")
    if not text:
        raise _refused(name, "it is empty")
    # Of two that were joined one is the proxy's: it begins with a slash, or what follows is no part of it.
    if ",/" in text or ", " in text or "," in text.partition("?")[0]:
        raise _refused(name, "it holds several values")
    if _PLACEHOLDER.match(text):
        raise _refused(name, "it is a placeholder that the proxy did not fill in")
    return text


def told_by_envoy(target: str) -> str:
    """A target as Envoy tells it, which writes `!` for each byte that is not UTF-8, and sends the byte on.

    Raises:
        BadQuestionError: There is a `!` in its path, so that it may have been another.
    """
    if "!" in target.partition("?")[0]:
        message = "the path has `!`, which Envoy writes for bytes that are not UTF-8, too: it may be another"
        raise BadQuestionError("carrier_refused", message)
    return target


def missing(name: bytes) -> BadQuestionError:
    """A carrier that is not there."""
    return _refused(name, "it is missing: the proxy has to write it")


def _refused(name: bytes, why: str) -> BadQuestionError:
    return BadQuestionError("carrier_refused", f"the header `{name.decode('ascii')}` is refused: {why}")


def bearer_token(lines: Headers) -> str | None:
    """The token of `authorization` (RFC 6750, section 2.1), or None where there is no bearer token.

    Raises:
        BadQuestionError: The header stands there more than once, or under another spelling.
    """
    found = plain_lines(lines, (_AUTHORIZATION,))
    if len(found) > 1:
        raise _refused(_AUTHORIZATION, "it stands there more than once")
    if not found:
        return None
    scheme, _, token = found[0][1].partition(b" ")
    return token.strip(b" ").decode("latin-1") if scheme.lower() == b"bearer" else None


def attributes_of(
    lines: Iterable[tuple[bytes, bytes]], apart: Container[bytes]
) -> Mapping[str, tuple[str, ...]]:
    """The headers of the client's request as attributes `header.NAME`, all values of a name together.

    A name with `_` counts as the one with `-`: the server behind may take it for that, and a condition that
    reads the header then has several values before it.

    Args:
        lines: The lines.
        apart: Headers that are the proxy's own, in lower case.
    """
    found: dict[str, list[str]] = {}
    for name, value in lines:
        meant, attribute = _short(name) if len(name) <= _SHORT else _attribute(name)
        if attribute and meant not in apart:
            known = found.get(attribute)
            if known is None:
                found[attribute] = [_text(value)]
            else:
                known.append(_text(value))
    return {attribute: tuple(values) for attribute, values in found.items()}


def _attribute(name: bytes) -> tuple[bytes, str]:
    """A header's name as it is meant, and the attribute that is; empty where it is none."""
    meant = folded(name)
    return meant, f"header.{meant.decode('ascii')}" if _NAME.fullmatch(meant) else ""


_short: Final = lru_cache(maxsize=4096)(_attribute)  # the same few in each question


def _text(value: bytes) -> str:
    """A value as authors write it: UTF-8, or else each byte a character."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
