"""Key sets: the public keys of one issuer, or of one trust domain.

JWK Set (RFC 7517 section 5) and SPIFFE bundle (SPIFFE Trust Domain and Bundle, section 4). A set is read
strictly. A key in it that we cannot use is ignored, as the standards have it, and kept with the
reason; a secret in it refuses the whole set, for whoever reads the file can then sign.

INVARIANT: a set belongs to one issuer. Nothing puts the keys of two together.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, final

from pdp.identity.tokens.jwk import SECRET_MEMBERS, UnusableKeyError, VerificationKey, read_key
from pdp.limits import MAX_KEY_SET_KEYS, MAX_KEYS_TRIED, MAX_TRUST_FILE_BYTES
from pdp.strictness import BadJsonError, quoted, strict_value

__all__ = ["IgnoredKey", "KeySet", "KeySetError", "KeySetKind", "key_set", "read_key_set"]


class KeySetError(ValueError):
    """A key set that is refused as a whole; the operator's to mend."""


@final
class KeySetKind(Enum):
    """Whose keys they are, which decides what has to be said of each."""

    ISSUER = "issuer"  # RFC 7517
    BUNDLE = "bundle"  # of a SPIFFE trust domain, with those of its certificates among them
    DELIVERED = (
        "delivered"  # of the same, as the Workload API has it: tokens' alone, as RFC 7517 alone has it
    )

    @property
    def use(self) -> str:
        """The `use` of keys that verify tokens."""
        return "sig" if self is KeySetKind.ISSUER else "jwt-svid"

    @property
    def required(self) -> tuple[str, ...]:
        """What has to be said of each key (SPIFFE Trust Domain and Bundle, section 4.2.2; JWT-SVID)."""
        return {KeySetKind.ISSUER: (), KeySetKind.BUNDLE: ("use", "kid"), KeySetKind.DELIVERED: ("kid",)}[
            self
        ]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoredKey:
    """A key of a set that is not used.

    Attributes:
        number: Its place in the set, counted from one.
        key_id: Its `kid`; None where it has none that can be read.
        why: One sentence.
        other_use: Whether it says itself that it is for something else, which is no mistake.
    """

    number: int
    key_id: str | None
    why: str
    other_use: bool = False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class KeySet:
    """The keys of one issuer. Immutable; of the same digest exactly when the keys are the same.

    Attributes:
        keys: The keys. With none, nothing verifies: a set that has become empty revokes all.
        ignored: What else was in it.
        fault: Why there are no keys, where the set was refused; else empty.
        digest: SHA-256 of what the keys say, hexadecimal.
    """

    keys: tuple[VerificationKey, ...]
    ignored: tuple[IgnoredKey, ...] = ()
    fault: str = ""
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        said = "\n".join(sorted(key.said for key in self.keys))
        object.__setattr__(self, "digest", hashlib.sha256(said.encode()).hexdigest())


def read_key_set(data: bytes, kind: KeySetKind = KeySetKind.ISSUER) -> KeySet:
    """Read a key set from JSON.

    Raises:
        KeySetError: It is not strict JSON, no key set, or holds a secret.
    """
    if len(data) > MAX_TRUST_FILE_BYTES:
        msg = f"the key set has more than {MAX_TRUST_FILE_BYTES} bytes"
        raise KeySetError(msg)
    try:
        return key_set(strict_value(data, "the key set"), kind)
    except BadJsonError as error:
        raise KeySetError(error.message) from error


def key_set(value: object, kind: KeySetKind = KeySetKind.ISSUER) -> KeySet:
    """The same of a document that was read already, as settings hold it.

    Raises:
        KeySetError: It is no key set, or holds a secret.
    """
    if not isinstance(value, dict):
        raise KeySetError("a key set is an object with a list `keys`")
    entries = value.get("keys")
    if kind is KeySetKind.DELIVERED and entries is None and "keys" in value:
        entries = []  # SPIRE writes an empty list in this way
    if not isinstance(entries, list):
        raise KeySetError("the key set has no list `keys`")
    if len(entries) > MAX_KEY_SET_KEYS:
        msg = f"the key set has {len(entries)} keys: at most {MAX_KEY_SET_KEYS} are allowed"
        raise KeySetError(msg)
    if kind is KeySetKind.BUNDLE:
        _check_bundle(value)
    keys, ignored = [], []
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            msg = f"key {number} of the set is not an object"
            raise KeySetError(msg)
        _refuse_secret(entry, number)
        try:
            keys.append(_key(entry, kind))
        except UnusableKeyError as error:
            key_id = entry.get("kid")
            known = key_id if isinstance(key_id, str) else None
            other_use = isinstance(entry.get("use"), str) and entry["use"] != kind.use
            ignored.append(IgnoredKey(number=number, key_id=known, why=str(error), other_use=other_use))
    unique = tuple(dict.fromkeys(keys))
    for key_id, count in Counter(key.key_id for key in unique if key.key_id is not None).items():
        if count > MAX_KEYS_TRIED:
            # RFC 7517 section 4.5: they should differ. A few may share one while they are renewed.
            msg = f"{count} keys of the set are named {quoted(key_id)}: at most {MAX_KEYS_TRIED} may be"
            raise KeySetError(msg)
    return KeySet(keys=unique, ignored=tuple(ignored))


_COUNTS: Final = ("spiffe_sequence", "spiffe_refresh_hint")


def _check_bundle(value: Mapping[str, Any]) -> None:
    """Of SPIFFE Trust Domain and Bundle, section 4.1: both are whole numbers, and may be left out."""
    for name in _COUNTS:
        if name in value and (type(value[name]) is not int or value[name] < 0):
            msg = f"the bundle's `{name}` is not a whole number"
            raise KeySetError(msg)


def _refuse_secret(entry: Mapping[str, Any], number: int) -> None:
    if entry.get("kty") == "oct":
        msg = f"key {number} of the set is symmetric: whoever reads it can sign with it"
        raise KeySetError(msg)
    for name in SECRET_MEMBERS:
        if name in entry:
            msg = f"key {number} of the set is private, for it has `{name}`: a key set holds public keys only"
            raise KeySetError(msg)


def _key(entry: Mapping[str, Any], kind: KeySetKind) -> VerificationKey:
    if "use" in entry and entry["use"] != kind.use:
        message = f"its `use` is {_said(entry['use'])}, not `{kind.use}`"
        raise UnusableKeyError(message)
    for name in kind.required:
        if name not in entry:
            message = f"it has no `{name}`"
            raise UnusableKeyError(message)
    return read_key(entry)


def _said(value: object) -> str:
    return quoted(value) if isinstance(value, str) else "no text"
