"""Who asks in plaintext: what a sidecar says of it, as text, and as bytes on a Unix socket.

A second reader, below, says who stands in a header: read by splitting, where ours matches. A decision
goes only to a request in which h11 finds exactly one such header, for us, with one workload that may ask.
"""

import json
import random
import socket
from collections.abc import Hashable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Final

from pdp.identity.forwarded.refusal import ForwardedError
from pdp.identity.forwarded.xfcc import XFCC, forwarded_identity
from tests.e2e.local_calls import LocalService, short_folder
from tests.e2e.running import DEADLINE, PEP, PROD, Pki, make_policies, question
from tests.fuzz.engine import Target
from tests.fuzz.exchange import Found
from tests.fuzz.mutate import ODD_BYTES, Mutator
from tests.fuzz.targets.http import change_request, judged, make_request, resident

__all__ = ["TARGETS"]

_OURS: Final = f"spiffe://{PROD}/ns/pdp/sa/pdp"
_ADMIN: Final = f"spiffe://{PROD}/ns/edge/sa/admin"
_MOST_GROWTH: Final = 64 * 1024
_EVERY: Final = 100


# -- a second reader ---------------------------------------------------------------------------


def _said(line: bytes) -> tuple[str, str] | None:
    """For whom a header is made, and whom it names; None where it holds anything but one of both."""
    elements = _split(line.decode("latin-1").strip(" \t"), ",")
    if elements is None or len(elements) != 1:
        return None
    pairs = _split(elements[0], ";")
    if pairs is None:
        return None
    found: dict[str, list[str]] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        quoted = len(value) > 1 and value[0] == value[-1] == '"'
        found.setdefault(key.lower(), []).append(value[1:-1].replace('\\"', '"') if quoted else value)
    by, uri = found.get("by", []), found.get("uri", [])
    return (by[0], uri[0]) if len(by) == len(uri) == 1 else None


def _split(text: str, separator: str) -> list[str] | None:
    """The parts between separators that stand outside of quotes; None where a quote is not closed."""
    parts, quoted, before = [""], False, ""
    for char in text:
        if char == '"' and not (quoted and before == "\\"):
            quoted = not quoted
        if char == separator and not quoted:
            parts.append("")
        else:
            parts[-1] += char
        before = char
    return None if quoted else parts


# -- as text -----------------------------------------------------------------------------------


def _forwarded(data: bytes) -> Hashable:
    """Somebody only where one line names one workload, for us; nothing of the header in what is told."""
    lines = data.split(b"\n")
    try:
        found = forwarded_identity(lines, _OURS)
    except ForwardedError as error:
        assert error.message.isprintable()
        assert "secret" not in error.message
        return error.fault, error.message
    (line,) = lines
    assert _said(line) == (_OURS, found.id)
    assert b'\\\\"' not in line  # does the first escape the second, or the second the quote?
    return "somebody", line.count(b";"), b'"' in line


_CERT: Final = "-----BEGIN%20CERTIFICATE-----%0AMIIB%2B%2F%3D%3D%0A-----END%20CERTIFICATE-----%0A"
_LINES: Final = (
    f"By={_OURS};URI={PEP}",
    f'By={_OURS};Hash={"4a" * 32};Subject="";URI={PEP}',
    f'By={_OURS};Cert="{_CERT}";Chain="{_CERT}";Subject="CN=a,O=b";URI={PEP};DNS=a.b;DNS=c.d',
    f'Hash={"4a" * 32};uri={PEP};by="{_OURS}"',
    f'By={_OURS};Subject="CN=\\"a\\"\\;URI={_ADMIN}\\,O=secret";URI={PEP}',
    f"By={_OURS};URI={PEP},By={_OURS};URI={_ADMIN}",
    f"By={_OURS};URI={PEP}\nBy={_OURS};URI={_ADMIN}",
    f"By={_ADMIN};URI={PEP}",
    f"By={_OURS};URI={PEP};URI={_ADMIN}",
    f'By={_OURS};Subject="\\\\";URI={PEP}',
    f"By={_OURS};DNS=a.b",
    "",
)
_SEEDS: Final = tuple(line.encode() for line in _LINES)
_WORDS: Final = (
    b"By=", b"URI=", b"uri=", b"DNS=", b'Subject="', b'";', b'\\"', b'\\\\"', b",By=", b";URI=", b"Hash=",
    b" ", b"\t", _OURS.encode(), PEP.encode(), _ADMIN.encode(), b"\n", b"spiffe://", b"%2F", b"Cert=",
)  # fmt: skip


# -- as bytes ----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Running:
    service: LocalService
    path: str
    resident: int
    held: ExitStack
    count: int = 0


def _asked(service: LocalService) -> str:
    return service.ask(question(), headers={XFCC.decode(): _LINES[0]}).json["decision"]


@cache
def _running() -> _Running:
    held = ExitStack()
    folder = held.enter_context(short_folder())
    (folder / "pki").mkdir()
    listens = f'[http]\nplaintext = true\nlisten = "unix:{folder}/s/pdp.sock"\n'
    settings = f'{listens}[local]\nforwarded = "xfcc"\nidentity = "{_OURS}"\n'
    policies = make_policies(folder / "policies")
    service = LocalService(Pki(folder / "pki"), policies, settings, folder / "pdp.toml")
    for _ in range(50):  # what is made once
        assert _asked(service) == "allow"
    return _Running(service, f"{folder}/s/pdp.sock", resident(service), held)


def _look_after(running: _Running) -> None:
    """It answers as before, has told nothing more, and has not grown."""
    assert _asked(running.service) == "allow"
    assert "Traceback" not in running.service.log, running.service.log
    assert resident(running.service) < running.resident + _MOST_GROWTH


def _close() -> None:
    """End the service, if there is one; it has to end as it should."""
    if _running.cache_info().currsize:
        running = _running()
        _running.cache_clear()
        with running.held:
            try:
                _look_after(running)
                assert running.service.stop() == 0, running.service.log
            finally:
                running.service.stop()


def _connect() -> socket.socket:
    connected = socket.socket(socket.AF_UNIX)
    connected.settimeout(DEADLINE)
    connected.connect(_running().path)
    return connected


def _may_ask(request: Found) -> bool:
    """One header, for us, of the one that the policy set permits these questions."""
    lines = [value for name, value in request.headers if name == XFCC]
    return len(lines) == 1 and _said(lines[0]) == (_OURS, PEP)


def _local(data: bytes) -> Hashable:
    """A precise answer to each request that two parsers find, of a caller that two readers find."""
    running = _running()
    outcome = judged(data, _connect, _may_ask)
    running.count += 1
    if running.count % _EVERY == 0:
        _look_after(running)
    return outcome


_BODY: Final = json.dumps(question()).encode()
_NAMES: Final = ("x-forwarded-client-cert", "X-Forwarded-Client-Cert", "x_forwarded_client_cert")
_REQUESTS: Final = (
    *(make_request(_BODY, *(f"{_NAMES[0]}: {line}" for line in lines.split("\n"))) for lines in _LINES),
    *(
        make_request(_BODY, f"{name}: {_LINES[0]}", f"{other}: {_LINES[7]}")
        for name, other in product(_NAMES, repeat=2)
    ),
    make_request(_BODY),
    make_request(_BODY, f"{_NAMES[0]}: {_LINES[0]}") + make_request(_BODY),
    make_request(_BODY) + make_request(_BODY, f"{_NAMES[0]}: {_LINES[0]}", "connection: close"),
    make_request(b"", f"trailer: {_NAMES[0]}", "transfer-encoding: chunked", length=False)
    + b"%x\r\n%b\r\n0\r\n%b: %b\r\n\r\n" % (len(_BODY), _BODY, _NAMES[0].encode(), _SEEDS[0]),
)  # fmt: skip
_BYTES: Final = Mutator(_SEEDS, rb"\w+=?|[^\w]", (*ODD_BYTES, *_WORDS), extra=_WORDS, largest=20_000)


def _change(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """The header alone, or the whole request."""
    lines = data.split(b"\r\n")
    at = [number for number, line in enumerate(lines) if line.lower().startswith(XFCC + b":")]
    if not at or rng.random() < 0.5:
        return change_request(rng, data, other)
    number = rng.choice(at)
    lines[number] = b"%b: %b" % (XFCC, _BYTES(rng, lines[number][len(XFCC) + 1 :], rng.choice(_SEEDS)))
    return b"\r\n".join(lines)


TARGETS: Final = (
    Target(name="forwarded", seeds=_SEEDS, mutate=_BYTES, check=_forwarded, examples=3000),
    Target(
        name="local",
        seeds=_REQUESTS,
        mutate=_change,
        check=_local,
        examples=200,
        seconds=10,
        weight=2,
        finish=_close,
    ),
)
