"""What a question is about, as text: request targets, hosts, methods, and identities.

The laws here are those that hold for any text; `tests/leaves/test_paths.py` holds accepted paths
against models of the servers behind us.
"""

import re
from collections.abc import Hashable
from functools import reduce
from ipaddress import IPv4Address, IPv6Address
from operator import or_
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from pdp.limits import (
    MAX_HOST_CHARS,
    MAX_METHOD_CHARS,
    MAX_PATH_BYTES,
    MAX_PATH_SEGMENTS,
    MAX_SPIFFE_ID_BYTES,
    MAX_TRUST_DOMAIN_BYTES,
)
from pdp.paths import (
    AmbiguousHostError,
    AmbiguousPathError,
    Relaxation,
    canonical,
    canonical_host,
    method_problem,
    plainly_canonical,
    readings,
)
from pdp.principals import InvalidIdentityError, dns_principal, spiffe_principal
from tests.fuzz.corpora import paths_of_kind
from tests.fuzz.engine import Target
from tests.fuzz.mutate import ODD_TEXT, Mutator

__all__ = ["TARGETS"]

_PIECES: Final = (
    "%2e", "%2E%2e", "%2f", "%5C", "%25", "%252e", "%00", "%7f", "%c3%a9", "%C0%AF", "%ED%A0%80", "%e2%88%95",
    "%EF%BC%8F", "%E2%84%AA", "%4", "%zz", "//", "/./", "/../", "..;", "\ud800", "%20",
)  # fmt: skip
_EVERY: Final = list(Relaxation)
_PLAIN: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~!$&'()*+,=:@-")


def _target(target: str) -> Hashable:
    """No reading, or one that is its own only reading, and that decodes to what was sent."""
    for relaxations in (Relaxation.NONE, *_EVERY, reduce(or_, _EVERY)):
        _readings(target, relaxations)
    try:
        path = canonical(target)
    except AmbiguousPathError as error:
        assert not plainly_canonical(target)
        assert str(error).isprintable()
        return error.problem
    assert canonical(path) == path
    assert not plainly_canonical(target) or path == target
    assert readings(target, Relaxation.NONE) == (path,)
    assert unquote_to_bytes(path) == unquote_to_bytes(target.partition("?")[0])
    assert len(path) <= MAX_PATH_BYTES
    _check_segments(path)
    return path.count("/") > 2, "%" in path, "?" in target


def _check_segments(path: str) -> None:
    """Nothing in a segment that a server could take for something else."""
    first, *segments = path.split("/")
    assert first == ""
    assert 1 <= len(segments) <= MAX_PATH_SEGMENTS
    assert "" not in segments[:-1]
    for segment in segments:
        decoded = unquote_to_bytes(segment).decode()
        assert decoded.strip(" .") != "" or segment == ""
        assert decoded.isprintable()
        for char in re.sub("%[0-9A-F]{2}", "", segment):
            assert char in _PLAIN, segment
        for triplet in re.findall("%..", segment):
            assert chr(int(triplet[1:], 16)) not in _PLAIN | set("/\\%;?#"), segment


def _readings(target: str, relaxations: Relaxation) -> None:
    """Relaxed: few readings, in order, and each of them read again is among them."""
    try:
        found = readings(target, relaxations)
    except AmbiguousPathError:
        return
    assert 1 <= len(found) <= 16  # what the language promises, whatever the relaxations
    assert list(found) == sorted(set(found))
    for path in found:
        assert path.startswith("/")
        assert set(readings(path, relaxations)) <= set(found)


def _host(authority: str) -> Hashable:
    """No host, or one whose canonical form is its own, and that a parser of URLs finds as well."""
    try:
        host, port = canonical_host(authority)
    except AmbiguousHostError as error:
        assert str(error).isprintable()
        return error.problem
    again = host if port is None else f"{host}:{port}"
    assert canonical_host(again) == (host, port)
    assert host == host.lower()
    assert authority.isascii(), "folded to ASCII: two texts, one host"
    assert len(host) <= MAX_HOST_CHARS
    parts = urlsplit(f"//{authority}")
    assert (parts.username, parts.password, parts.port) == (None, None, port)
    assert parts.path + parts.query + parts.fragment == ""
    theirs = (parts.hostname or "").removesuffix(".")
    if host.startswith("["):
        assert IPv6Address(theirs) == IPv6Address(host[1:-1])
        return "IPv6", port is None
    assert theirs == host
    numeric = host.rpartition(".")[2].isdigit()
    assert not numeric or str(IPv4Address(host)) == host
    return numeric, port is None


def _method(method: str) -> Hashable:
    """Clear exactly where it is one upper-case token of letters, digits, `_` and `-`."""
    problem = method_problem(method)
    clear = re.fullmatch("[A-Z][A-Z0-9_-]*", method) is not None and len(method) <= MAX_METHOD_CHARS
    assert (problem is None) == clear
    return problem


def _identity(text: str) -> Hashable:
    """An identity that is its text, or a refusal; the two kinds never meet."""
    return _spiffe(text), _dns(text)


def _spiffe(text: str) -> Hashable:
    try:
        found = spiffe_principal(text)
    except InvalidIdentityError as error:
        assert str(error).isprintable()
        return str(error)
    assert found.id == text == f"spiffe://{found.trust_domain}/{'/'.join(found.segments)}"
    assert len(text.encode()) <= MAX_SPIFFE_ID_BYTES
    assert 0 < len(found.trust_domain) <= MAX_TRUST_DOMAIN_BYTES
    # SPIFFE-ID, sections 2.1 and 2.2, said another way.
    assert re.fullmatch(r"spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)+", text)
    assert not {".", "..", ""} & set(found.segments)
    assert urlsplit(text).netloc == found.trust_domain
    return "an identity", min(len(found.segments), 5)


def _dns(text: str) -> Hashable:
    try:
        found = dns_principal(text)
    except InvalidIdentityError as error:
        assert str(error).isprintable()
        return "none"
    name = found.id.removeprefix("dns:")
    assert dns_principal(name) == found
    assert name == ".".join(found.segments)
    assert name.isascii()
    assert text.isascii(), "folded to ASCII: two texts, one identity"
    return "a name", min(len(found.segments), 5)


_IDENTITIES: Final = (
    "spiffe://prod.example.org/ns/shop/sa/web", "spiffe://a/b", "spiffe://prod.example.org", "SPIFFE://a/b",
    "spiffe://prod.example.org/ns/../sa", "spiffe://a/b/", "spiffe://a//b", "spiffe://a@b/c", "spiffe://a:1/b",
    "spiffe://a/%62", "spiffe://a/b?c", "spiffe://a/b#c", "web.example.org", "WEB.Example.org.", "_x.a-b.c",
    "xn--bcher-kva.example", "a" * 63 + ".b", "a" * 64, "*.example.org", "127.0.0.1",
    f"spiffe://a/{'b' * 2037}", f"spiffe://{'a' * 255}/b", f"spiffe://{'a' * 256}/b",
)  # fmt: skip
_PATH_WORDS: Final = r"%[0-9A-Fa-f]{2}|[\w.~-]+|/+|."
_NAME_WORDS: Final = r"[\w-]+|\W"

TARGETS: Final = (
    Target(
        name="request-targets",
        seeds=paths_of_kind("path"),
        mutate=Mutator(paths_of_kind("path"), _PATH_WORDS, ODD_TEXT, extra=_PIECES, largest=20_000),
        check=_target,
        examples=6000,
    ),
    Target(
        name="hosts",
        seeds=paths_of_kind("host"),
        mutate=Mutator(paths_of_kind("host"), _NAME_WORDS, ODD_TEXT, largest=2_000),
        check=_host,
        examples=8000,
    ),
    Target(
        name="methods",
        seeds=paths_of_kind("method"),
        mutate=Mutator(paths_of_kind("method"), _NAME_WORDS, ODD_TEXT, largest=2_000),
        check=_method,
        examples=1000,
        weight=0.3,
    ),
    Target(
        name="identities",
        seeds=_IDENTITIES,
        mutate=Mutator(_IDENTITIES, _NAME_WORDS, ODD_TEXT, extra=("\ud800", "K", "\u212a"), largest=5_000),
        check=_identity,
        examples=8000,
    ),
)
