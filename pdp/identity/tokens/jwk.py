"""One public key as JSON: read strictly, or said to be of no use.

RFC 7517 section 4 and RFC 7518 section 6. Of a key nothing is taken on trust that its numbers
do not show: its size, its curve, its form. What becomes of a set of keys is in `pdp.identity.tokens.jwks`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, final

from pdp.identity.tokens.base64url import decode_base64url
from pdp.identity.tokens.signature import ALGORITHMS, PublicKey, import_key
from pdp.limits import MAX_KEY_ID_CHARS, MAX_RSA_BITS, MIN_RSA_BITS
from pdp.strictness import quoted

__all__ = ["SECRET_MEMBERS", "UnusableKeyError", "VerificationKey", "read_key"]

#: RFC 7518 sections 6.2.2, 6.3.2 and 6.4; RFC 8037 section 2.
SECRET_MEMBERS: Final = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_COORDINATE_BYTES: Final = MappingProxyType({"P-256": 32, "P-384": 48, "P-521": 66})
_ED25519_BYTES: Final = 32
_MAX_EXPONENT_BYTES: Final = 4  # the usual one, 65537, has three


class UnusableKeyError(ValueError):
    """A key that is not used; the message says why, with nothing of the key but its names."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """A public key, and what it may verify.

    Attributes:
        key_id: Its `kid`; None where it has none.
        kty: Its type.
        algorithms: The algorithms that take it; one alone where the key names it.
        said: All of that and the key itself as text: equal exactly when they are.
        key: The key.
    """

    key_id: str | None
    kty: str
    algorithms: frozenset[str]
    said: str = field(repr=False)
    key: PublicKey = field(compare=False, repr=False)


def read_key(entry: Mapping[str, Any]) -> VerificationKey:
    """Read a key; what its `use` has to be is the business of whoever asks.

    Raises:
        UnusableKeyError: It is malformed, too weak, or for something else.
    """
    kty = entry.get("kty")
    if not isinstance(kty, str) or kty not in _MEMBERS:
        raise UnusableKeyError(
            "it has no `kty`" if kty is None else f"its `kty` is {_said(kty)}: RSA, EC and OKP are used"
        )
    key_id = entry.get("kid")
    if "kid" in entry and not (isinstance(key_id, str) and 0 < len(key_id) <= MAX_KEY_ID_CHARS):
        message = f"its `kid` is not a text of 1 to {MAX_KEY_ID_CHARS} characters"
        raise UnusableKeyError(message)
    _check_operations(entry)
    members = {"kty": kty, **_MEMBERS[kty](entry)}
    algorithms = _algorithms(entry, kty, members.get("crv", ""))
    try:
        key = import_key(members)
    except ValueError:
        raise UnusableKeyError(
            "its numbers are not a key: a point, perhaps, that is not on its curve"
        ) from None
    said = json.dumps([key_id, sorted(algorithms), members], sort_keys=True)
    return VerificationKey(key_id=key_id, kty=kty, algorithms=algorithms, said=said, key=key)


def _check_operations(entry: Mapping[str, Any]) -> None:
    """RFC 7517 section 4.3: distinct texts, and `verify` among them. `use` says the same, or is not there."""
    if "key_ops" not in entry:
        return
    operations = entry["key_ops"]
    if not isinstance(operations, list) or not all(isinstance(each, str) for each in operations):
        raise UnusableKeyError("its `key_ops` is not a list of texts")
    if len(set(operations)) < len(operations):
        raise UnusableKeyError("its `key_ops` names an operation twice")
    if "verify" not in operations:
        raise UnusableKeyError("its `key_ops` does not name `verify`")
    if not set(operations) <= {"sign", "verify"}:
        raise UnusableKeyError("its `key_ops` names more than signing: one key is for one purpose")


def _algorithms(entry: Mapping[str, Any], kty: str, crv: str) -> frozenset[str]:
    fitting = frozenset(name for name, needs in ALGORITHMS.items() if needs == (kty, crv))
    if "alg" not in entry:
        return fitting
    named = entry["alg"]
    if not isinstance(named, str) or named not in fitting:
        message = f"its `alg` is {_said(named)}, which does not take such a key"
        raise UnusableKeyError(message)
    return frozenset({named})


# -- the numbers -----------------------------------------------------------------------


def _rsa(entry: Mapping[str, Any]) -> dict[str, str]:
    modulus, exponent = _unsigned(entry, "n"), _unsigned(entry, "e")
    bits = int.from_bytes(modulus).bit_length()
    if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
        message = f"its modulus has {bits} bits: {MIN_RSA_BITS} to {MAX_RSA_BITS} are used"
        raise UnusableKeyError(message)
    if not modulus[-1] & 1:
        raise UnusableKeyError("its modulus is even")
    # RFC 8017 section 3.1: odd, and at least 3. With 1 every message would be its own signature.
    if len(exponent) > _MAX_EXPONENT_BYTES or not exponent[-1] & 1 or exponent == b"\x01":
        raise UnusableKeyError("its exponent is even, 1, or has more than 32 bits")
    return {"n": entry["n"], "e": entry["e"]}


def _ec(entry: Mapping[str, Any]) -> dict[str, str]:
    crv = entry.get("crv")
    if not isinstance(crv, str) or crv not in _COORDINATE_BYTES:
        message = f"its `crv` is {_said(crv)}: P-256, P-384 and P-521 are used"
        raise UnusableKeyError(message)
    for name in ("x", "y"):
        # RFC 7518 section 6.2.1.2: the full size of a coordinate, zeros in front included.
        if len(_octets(entry, name)) != _COORDINATE_BYTES[crv]:
            message = f"its `{name}` has not the {_COORDINATE_BYTES[crv]} octets of a coordinate of {crv}"
            raise UnusableKeyError(message)
    return {"crv": crv, "x": entry["x"], "y": entry["y"]}


def _okp(entry: Mapping[str, Any]) -> dict[str, str]:
    crv = entry.get("crv")
    if crv != "Ed25519":
        message = f"its `crv` is {_said(crv)}: of such keys Ed25519 is used"
        raise UnusableKeyError(message)
    if len(_octets(entry, "x")) != _ED25519_BYTES:
        message = f"its `x` has not {_ED25519_BYTES} octets"
        raise UnusableKeyError(message)
    return {"crv": crv, "x": entry["x"]}


_MEMBERS: Final[Mapping[str, Callable[[Mapping[str, Any]], dict[str, str]]]] = MappingProxyType(
    {"RSA": _rsa, "EC": _ec, "OKP": _okp}
)


def _unsigned(entry: Mapping[str, Any], name: str) -> bytes:
    """RFC 7518 section 2, Base64urlUInt: as few octets as the number needs."""
    octets = _octets(entry, name)
    if octets[0] == 0:
        message = f"its `{name}` begins with a zero octet"
        raise UnusableKeyError(message)
    return octets


def _octets(entry: Mapping[str, Any], name: str) -> bytes:
    text = entry.get(name)
    if not isinstance(text, str) or not text:
        message = f"it has no `{name}`, or no text there"
        raise UnusableKeyError(message)
    try:
        return decode_base64url(text)
    except ValueError as error:
        message = f"its `{name}` cannot be read: {error}"
        raise UnusableKeyError(message) from None


def _said(value: object) -> str:
    return quoted(value) if isinstance(value, str) else "no text"
