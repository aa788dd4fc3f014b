"""What proxies say in headers of who called them, in every form.

An input is the name of a form, and lines of headers. A second reader, below, decodes leniently, by splitting;
what is accepted has to be there by it too, and has to be written as the proxy writes it
(`tests.identity.proxies`).
Certificates are any octets here: what is in them is for `chains`.
"""

import base64
import hashlib
import re
import string
from collections.abc import Hashable
from typing import Final
from urllib.parse import unquote

from pdp.identity.forwarded.chain import ForwardedChain
from pdp.identity.forwarded.forms import FORMS, read_forwarded
from pdp.identity.forwarded.refusal import ForwardedError
from pdp.limits import MAX_CHAIN_CERTIFICATES, MAX_HEAD_BYTES
from pdp.principals import PrincipalKind
from pdp.vocabulary import EvidenceKind
from tests.fuzz.engine import Target, wording
from tests.fuzz.mutate import ODD_BYTES, Mutator
from tests.identity.proxies import CHAINS, Line, base64_of

__all__ = ["TARGETS"]

_OURS: Final = "spiffe://prod.example.org/ns/pdp/sa/pdp"
_WEB: Final = "spiffe://prod.example.org/ns/shop/sa/web"
_MESH: Final = "web.shop.serviceaccount.identity.linkerd.cluster.local"
#: The header in which each form has its identity, once.
_SINGLE: Final = {
    EvidenceKind.XFCC: b"x-forwarded-client-cert",
    EvidenceKind.LINKERD: b"l5d-client-id",
    EvidenceKind.NGINX: b"ssl-client-cert",
    EvidenceKind.TRAEFIK: b"x-forwarded-tls-client-cert",
    EvidenceKind.ALB: b"x-amzn-mtls-clientcert-leaf",
    EvidenceKind.ALB_PASSTHROUGH: b"x-amzn-mtls-clientcert",
    EvidenceKind.CLIENT_CERT: b"client-cert",
}
_UNRESERVED: Final = string.ascii_letters + string.digits + "-._~"
#: What each proxy writes without escaping it.
_LEFT_AS_IT_IS: Final = {
    EvidenceKind.NGINX: _UNRESERVED,
    EvidenceKind.TRAEFIK: string.ascii_letters + string.digits + "+/=,",
    EvidenceKind.ALB: _UNRESERVED + "+=/",
    EvidenceKind.ALB_PASSTHROUGH: _UNRESERVED + "+=/",
}
_FORMS: Final = {form.value.encode(): form for form in FORMS.values()}


# -- a second reader ---------------------------------------------------------------------------


def _pem(text: str) -> list[bytes]:
    """What stands in the frames of PEM, whatever stands around them."""
    blocks = re.findall("-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", text, re.DOTALL)
    return [base64.b64decode("".join(block.split())) for block in blocks]


def _members(text: str) -> list[bytes]:
    """The Byte Sequences of a list: what stands between commas outside of quotes, without its parameters."""
    members, quoted, before = [""], False, ""
    for char in text:
        if char == '"' and not (quoted and before == "\\"):
            quoted = not quoted
        before = "" if before == "\\" else char
        if char == "," and not quoted:
            members.append("")
        else:
            members[-1] += char
    items = [member.partition(";")[0].strip(" \t") for member in members]
    assert all(item[0] == item[-1] == ":" and len(item) > 2 for item in items)
    return [base64.b64decode(item[1:-1]) for item in items]


def _second_reading(form: EvidenceKind, values: dict[bytes, list[str]]) -> list[bytes]:
    text = values[_SINGLE[form]][0]
    match form:
        case EvidenceKind.NGINX | EvidenceKind.ALB | EvidenceKind.ALB_PASSTHROUGH:
            return _pem(unquote(text))
        case EvidenceKind.TRAEFIK:
            return [base64.b64decode(part) for part in text.split(",")]
        case _:
            return [
                each for value in (text, *values.get(b"client-cert-chain", [])) for each in _members(value)
            ]


# -- what has to hold --------------------------------------------------------------------------


def _require_chain(form: EvidenceKind, found: ForwardedChain, values: dict[bytes, list[str]]) -> None:
    chain = [found.leaf, *found.intermediates]
    assert chain == _second_reading(form, values)
    assert all(chain)
    assert len(chain) <= MAX_CHAIN_CERTIFICATES
    if form is EvidenceKind.NGINX:
        assert values[b"ssl-client-verify"] == ["SUCCESS"]
    if form in {EvidenceKind.NGINX, EvidenceKind.ALB}:
        assert len(chain) == 1
    if form is EvidenceKind.CLIENT_CERT:
        assert found.leaf not in found.intermediates
        assert all(f":{base64_of(der)}:" in "".join(map("".join, values.values())) for der in chain)
    else:
        (text,) = values[_SINGLE[form]]
        written = dict(CHAINS[form.value][0](chain))[_SINGLE[form]].decode()
        assert unquote(text) == unquote(written)
        assert not re.sub("%..", "", text).strip(_LEFT_AS_IT_IS[form])


def _forwarded(data: bytes) -> Hashable:
    """Somebody only where a second reader finds the same; nothing of a header in what is told."""
    first, *rest = data.split(b"\n")
    form = _FORMS.get(first, EvidenceKind.CLIENT_CERT)
    headers: list[Line] = [(name, value) for name, _, value in (line.partition(b": ") for line in rest)]
    try:
        found = read_forwarded(form, headers, ours=_OURS)
    except ForwardedError as error:
        assert error.message.isprintable()
        assert "secret" not in error.message
        return form, error.fault, wording(error.message)
    values: dict[bytes, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(value.decode("latin-1"))
    (text,) = values[_SINGLE[form]]
    assert text.isascii()
    assert 0 < len(text) <= MAX_HEAD_BYTES
    if isinstance(found, ForwardedChain):
        _require_chain(form, found, values)
        return form, len(found.intermediates), ";" in text
    if form is EvidenceKind.XFCC:
        assert f"URI={found.id}" in text or f'"{found.id}"' in text or f"={found.id}" in text
        assert f"={_OURS}" in text or f'"{_OURS}"' in text
    else:
        assert text == found.id.removeprefix("dns:")
        assert (found.kind is PrincipalKind.SPIFFE) is ("/" in text)
    return form, found.kind


# -- the target --------------------------------------------------------------------------------

_OCTETS: Final = [hashlib.sha512(bytes([number])).digest() * (1 + number % 5) for number in range(4)]

_PLAIN: Final = bytes(60)  # in base64 without a plus


def _input(form: str, *lines: Line) -> bytes:
    return b"\n".join([form.encode(), *(b"%b: %b" % line for line in lines)])


def _pluses(lines: list[Line]) -> list[Line]:
    """As a form of a page is written."""
    return [(name, value.replace(b"%20", b"+")) for name, value in lines]


def _spaces(lines: list[Line]) -> list[Line]:
    return [(name, value.replace(b"%20", b" ")) for name, value in lines]


def _seeds() -> list[bytes]:
    found = [
        _input(form, *write(_OCTETS[:count])) for form, (write, _) in CHAINS.items() for count in (1, 2, 4)
    ]
    nginx, traefik = CHAINS["nginx"][0](_OCTETS), CHAINS["traefik"][0](_OCTETS)
    item = f":{base64_of(_OCTETS[0])}:".encode()
    more = [(b"client-cert-chain", f":{base64_of(der)}:".encode()) for der in _OCTETS[1:3]]
    parameters = b';secret="a, :x:\\"";b=?1;c=-1.5;d=*t;e=:eA==:'
    return [
        *found,
        _input("nginx", nginx[0], (b"ssl-client-verify", b"FAILED:certificate has expired")),
        _input("nginx", nginx[0], (b"ssl-client-verify", b"NONE"), nginx[1]),
        _input("traefik", (b"x-forwarded-tls-client-cert-info", b"SAN%3D%22secret%22"), *traefik, *traefik),
        _input("client-cert", (b"client-cert", item + parameters), *more),
        _input("client-cert", (b"client-cert", b"{placeholder}"), *more),
        _input("client-cert", (b"client-cert", item), *((name, der + b';t="') for name, der in more)),
        _input("client-cert", *CHAINS["client-cert"][0]([*_OCTETS, _OCTETS[0]])),
        *(_input(form, *_pluses(write([_PLAIN]))) for form, (write, _) in CHAINS.items()),
        *(_input(form, *_spaces(write([_PLAIN]))) for form, (write, _) in CHAINS.items()),
        _input("linkerd", (b"l5d-client-id", _MESH.encode())),
        _input("linkerd", (b"L5D-Client-Id", _WEB.encode())),
        _input("xfcc", (b"x-forwarded-client-cert", f'By={_OURS};Subject="CN=a";URI={_WEB}'.encode())),
    ]


_SEEDS: Final = tuple(_seeds())
_WORDS: Final = (
    *(name + b": " for name in _SINGLE.values()), *_FORMS,
    b"client-cert-chain: ", b"ssl-client-verify: SUCCESS",
    b"%0A", b"%0a", b"%2B", b"%2F", b"%3D", b"%20", b"+", b"-----BEGIN%20CERTIFICATE-----%0A",
    b"-----END%20CERTIFICATE-----%0A", b":eA==:", b", ", b';a="x"', b";a=1", b"==", b"{", b"$", b"%[",
    b"\n", b"secret",
)  # fmt: skip

TARGETS: Final = (
    Target(
        name="forwarded-forms",
        seeds=_SEEDS,
        mutate=Mutator(_SEEDS, rb"%..|[\w+/-]+=*|[^\w]", (*ODD_BYTES, *_WORDS), extra=_WORDS, largest=80_000),
        check=_forwarded,
        examples=3000,
    ),
)
