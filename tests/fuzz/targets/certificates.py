"""What peers show and operators trust: certificates, properly signed whatever they hold, and PEM text."""

import random
from collections.abc import Hashable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import BasicConstraints, RFC822Name, SubjectAlternativeName, UniformResourceIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID

from pdp.diagnostics import escape
from pdp.identity.caller import Caller
from pdp.identity.certificates import CertificateTextError, read_pem
from pdp.identity.trust import TrustError, TrustStore, trust_warnings
from pdp.identity.workload_api import BadDeliveryError, DeliveredSvid, read_roots, read_svid
from pdp.identity.x509 import UntrustedCertificateError, verify_caller
from tests.fuzz.der import Node, NotDerError, change, read_all
from tests.fuzz.engine import Target, wording
from tests.fuzz.mutate import ODD_BYTES, Mutator
from tests.identity.agent import pkcs8
from tests.identity.mint import DAY, DOMAIN, NOW, WEB, Party, authority, leaf, usage

__all__ = ["TARGETS", "InStructure", "signed", "to_be_signed"]

# Of keys that are the same in every run: an input that failed is to fail again.
_KEYS: Final = [ec.derive_private_key(number, ec.SECP256R1()) for number in (11, 12, 13)]
_ROOT: Final = authority("root", uris=[f"spiffe://{DOMAIN}"], key=_KEYS[0])
_MIDDLE: Final = authority("intermediate", _ROOT, uris=[f"spiffe://{DOMAIN}"], key=_KEYS[1])
_TRUST: Final = TrustStore(domains={DOMAIN: (_ROOT.certificate,)})
_ECDSA_WITH_SHA256: Final = bytes.fromhex("300a06082a8648ce3d040302")
_SERIAL: Final = b"\x11" * 16


def to_be_signed(party: Party) -> bytes:
    """What is signed of a certificate, with a serial number that is the same in every run."""
    (tree,) = read_all(party.certificate.tbs_certificate_bytes)
    assert tree.children is not None
    tree.children[1].content = _SERIAL
    return tree.encode()


def signed(tbs: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """A certificate: an authority signs what it is given."""
    signature = key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    bits = Node(0x03, b"\0" + signature).encode()
    return Node(0x30, tbs + _ECDSA_WITH_SHA256 + bits).encode()


def _parts(data: bytes) -> list[bytes]:
    """The elements that stand one after another; of anything else, that."""
    try:
        return [tree.encode() for tree in read_all(data)]
    except NotDerError:
        return [data]


# -- chains ----------------------------------------------------------------------------


def _chain(data: bytes) -> Hashable:
    """A leaf and an intermediate, signed: a caller whose name, uses and dates stand there, or a refusal."""
    leaf_tbs, *more = _parts(data)
    middle_tbs = more[0] if more else _SEEDS[0]
    shown = signed(leaf_tbs, _KEYS[1])
    try:
        caller = verify_caller(shown, [signed(middle_tbs, _KEYS[0]), *more[1:3]], _TRUST, NOW)
    except UntrustedCertificateError as error:
        assert error.message == escape(error.message)
        assert error.message
        return error.code, wording(error.message)
    _require_leaf(leaf_tbs, caller)
    _require_signer(middle_tbs)
    return "caller", caller.id


def _require_leaf(tbs: bytes, caller: Caller) -> None:
    """X509-SVID, sections 2, 4.1, 4.3 and 4.4, from the bytes."""
    extensions = _extensions(tbs)
    (names,) = read_all(extensions["551d11"])
    uris = [name.content.decode("ascii") for name in names.children or () if name.tag == 0x86]
    assert uris == [caller.id]
    assert caller.id.startswith(f"spiffe://{DOMAIN}/")
    assert not _is_authority(extensions)
    uses = _key_usage(extensions)
    assert "digital signature" in uses
    assert not uses & {"sign certificates", "sign revocation lists"}
    if "551d25" in extensions:
        assert bytes.fromhex("06082b06010505070302") in extensions["551d25"]  # clientAuth
    assert _dates(tbs)[0] <= NOW <= _dates(tbs)[1]
    assert caller.not_after <= _dates(tbs)[1].timestamp() * 1000


def _require_signer(tbs: bytes) -> None:
    """X509-SVID, sections 3.2, 4.1 and 4.3, from the bytes."""
    extensions = _extensions(tbs)
    assert _is_authority(extensions)
    assert "sign certificates" in _key_usage(extensions)
    (names,) = read_all(extensions.get("551d11", b"\x30\x00"))
    uris = [name.content.decode("ascii") for name in names.children or () if name.tag == 0x86]
    assert set(uris) <= {f"spiffe://{DOMAIN}"}
    assert _dates(tbs)[0] <= NOW <= _dates(tbs)[1]


def _fields(tbs: bytes) -> list[Node]:
    (tree,) = read_all(tbs)
    return tree.children or []


def _extensions(tbs: bytes) -> dict[str, bytes]:
    """Values by object identifier; none stands twice (RFC 5280, section 4.2)."""
    found: dict[str, bytes] = {}
    for field in _fields(tbs):
        if field.tag == 0xA3:
            (sequence,) = field.children or []
            for extension in sequence.children or []:
                identifier, *_, value = extension.children or []
                assert identifier.content.hex() not in found
                found[identifier.content.hex()] = _octets(value)
    return found


def _octets(value: Node) -> bytes:
    return value.content if value.children is None else b"".join(child.encode() for child in value.children)


def _is_authority(extensions: dict[str, bytes]) -> bool:
    if "551d13" not in extensions:
        return False
    (basic,) = read_all(extensions["551d13"])
    return any(part.tag == 0x01 and part.content == b"\xff" for part in basic.children or ())


def _key_usage(extensions: dict[str, bytes]) -> set[str]:
    (bits,) = read_all(extensions["551d0f"])
    first = bits.content[1] if len(bits.content) > 1 else 0
    named = {0x80: "digital signature", 0x04: "sign certificates", 0x02: "sign revocation lists"}
    return {name for bit, name in named.items() if first & bit}


def _dates(tbs: bytes) -> list[datetime]:
    (validity,) = [
        field.children
        for field in _fields(tbs)
        if field.children and len(field.children) == 2 and all(d.tag in {0x17, 0x18} for d in field.children)
    ]
    assert validity is not None
    return [_instant(date) for date in validity]


def _instant(date: Node) -> datetime:
    """RFC 5280, sections 4.1.2.5.1 and 4.1.2.5.2."""
    text = date.content.decode("ascii")
    if date.tag == 0x17:
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


# -- roots -----------------------------------------------------------------------------


def _roots(data: bytes) -> Hashable:
    """A file of roots, each signed: a trust store about which all can be said, or a refusal."""
    pem = b"# roots\n" + b"".join(_pem(signed(tbs, _KEYS[0])) for tbs in _parts(data)[:4])
    return _trusted(pem)


def _pem_text(data: bytes) -> Hashable:
    return _trusted(data)


def _trusted(pem: bytes) -> Hashable:
    try:
        certificates = read_pem(pem)
        store = TrustStore(domains={DOMAIN: certificates}, dns=None)
    except (CertificateTextError, TrustError) as error:
        assert str(error) == escape(str(error))
        return wording(str(error))
    warnings = trust_warnings(store, NOW)
    assert all(warning == escape(warning) for warning in warnings)
    assert len(certificates) == pem.count(b"-----BEGIN CERTIFICATE-----") > 0
    return len(store.domains[DOMAIN]), len(warnings)


def _pem(der: bytes) -> bytes:
    import base64  # noqa: PLC0415 - here only

    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


# -- what an agent delivers --------------------------------------------------------------


def _delivered(data: bytes) -> Hashable:
    """Certificates one behind the other: taken apart as a second reader does, all of them, or refused."""
    return _delivered_roots(data), _delivered_svid(data)


def _delivered_roots(data: bytes) -> Hashable:
    try:
        roots = read_roots(DOMAIN, data).roots
    except BadDeliveryError as error:
        assert str(error) == escape(str(error))
        return wording(str(error))
    assert {root.public_bytes(Encoding.DER) for root in roots} == set(_elements(data))
    for root in roots:
        _require_delivered_signer(root.tbs_certificate_bytes)
    return len(roots)


def _require_delivered_signer(tbs: bytes) -> None:
    """X509-SVID, sections 3.2, 4.1 and 4.3, from the bytes; dates are looked at with each caller."""
    extensions = _extensions(tbs)
    assert _is_authority(extensions)
    assert "sign certificates" in _key_usage(extensions)


def _delivered_svid(data: bytes) -> Hashable:
    ours = DeliveredSvid(spiffe_id=WEB, chain=data, key=_SECRET)
    try:
        svid = read_svid([ours], None)
    except BadDeliveryError as error:
        assert str(error) == escape(str(error))
        return wording(str(error))
    chain = read_pem(svid.chain)
    assert [each.public_bytes(Encoding.DER) for each in chain] == _elements(data)
    extensions = _extensions(chain[0].tbs_certificate_bytes)
    (names,) = read_all(extensions["551d11"])
    assert [name.content.decode("ascii") for name in names.children or () if name.tag == 0x86] == [WEB]
    assert not _is_authority(extensions)
    return len(chain)


def _elements(data: bytes) -> list[bytes]:
    """What stands one behind the other, cut where the lengths say, whatever the contents."""
    found = []
    while data:
        lead = 2 + (data[1] & 0x7F if data[1] & 0x80 else 0)
        size = lead + (int.from_bytes(data[2:lead]) if data[1] & 0x80 else data[1])
        found.append(data[:size])
        data = data[size:]
    return found


def _unproven(*parties: Party) -> bytes:
    """Certificates with a signature that is the same in every run; nobody looks at it."""
    bits = Node(0x03, b"\0" + b"\x30\x06\x02\x01\x01\x02\x01\x01").encode()
    return b"".join(Node(0x30, to_be_signed(each) + _ECDSA_WITH_SHA256 + bits).encode() for each in parties)


# -- targets ---------------------------------------------------------------------------


def _leaves() -> Iterator[Party]:
    """Right ones, and such as are wrong in one respect: they lend what is wrong with them."""
    key = _KEYS[2]
    yield leaf(_MIDDLE, key=key)
    yield leaf(_MIDDLE, key=key, dns=["web.shop"], ips=["10.0.0.1"], purposes=None)
    for names in (
        [UniformResourceIdentifier(WEB), RFC822Name("a@b.example")],
        [UniformResourceIdentifier(WEB)] * 2,
    ):
        yield leaf(_MIDDLE, key=key, extra=[(SubjectAlternativeName(names), False)], uris=())
    yield leaf(_MIDDLE, key=key, purposes=[ExtendedKeyUsageOID.SERVER_AUTH])
    yield leaf(_MIDDLE, key=key, key_usage=usage("digital_signature", "key_cert_sign"))
    yield leaf(_MIDDLE, key=key, key_usage=usage("key_agreement"), key_usage_critical=False)
    yield leaf(_MIDDLE, key=key, basic=BasicConstraints(ca=True, path_length=None))
    yield leaf(_MIDDLE, key=key, end=NOW - DAY / 24)


def _signers() -> Iterator[Party]:
    yield _MIDDLE
    yield authority("intermediate", _ROOT, key=_KEYS[1], basic=BasicConstraints(ca=False, path_length=None))
    yield authority("intermediate", _ROOT, key=_KEYS[1], key_usage=usage("digital_signature"))
    yield authority("intermediate", _ROOT, key=_KEYS[1], uris=[WEB])


_SEEDS: Final = (to_be_signed(_MIDDLE), to_be_signed(_ROOT))
_CHAINS: Final = tuple(
    to_be_signed(below) + to_be_signed(above)
    for number, below in enumerate(_leaves())
    for above in (_signers() if number < 2 else (_MIDDLE,))
)
_SECRET: Final = pkcs8(Party(certificate=_MIDDLE.certificate, key=_KEYS[2]))
_DELIVERED: Final = (
    _unproven(_ROOT, _MIDDLE),
    *(_unproven(each, _MIDDLE) for each in _leaves()),
    *map(_unproven, _signers()),
    _unproven(*[_ROOT] * 9),
)
_TEXTS: Final = (
    _ROOT.certificate.public_bytes(Encoding.PEM),
    b"# why\r\n" + _MIDDLE.pem.replace(b"\n", b"\r\n") + _ROOT.pem,
    _ROOT.pem * 65,
    b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
)


class InStructure:
    """Mostly changes of the structure, sometimes of bytes."""

    def __init__(self, seeds: Sequence[bytes]) -> None:
        self._bytes = Mutator(seeds, rb"[\x20-\x7e]{4,}", ODD_BYTES, largest=40_000)

    def __call__(self, rng: random.Random, data: bytes, other: bytes) -> bytes:
        return change(rng, data, other) if rng.random() < 0.95 else self._bytes(rng, data, other)


TARGETS: Final = (
    Target(name="chains", seeds=_CHAINS, mutate=InStructure(_CHAINS), check=_chain, examples=5000, weight=2),
    Target(name="roots", seeds=(*_SEEDS, *_CHAINS), mutate=InStructure(_SEEDS), check=_roots, examples=1000),
    Target(
        name="delivered",
        seeds=_DELIVERED,
        mutate=InStructure(_DELIVERED),
        check=_delivered,
        examples=2000,
    ),
    Target(
        name="pem",
        seeds=_TEXTS,
        mutate=Mutator(_TEXTS, rb"-+[A-Z ]+-+|[\w+/=]+|\s+", ODD_BYTES, largest=100_000),
        check=_pem_text,
        examples=500,
        weight=0.5,
    ),
)
