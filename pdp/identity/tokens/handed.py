"""Who is believed, as bytes and back: from the process that fetches keys to those that verify by them.

The bytes never leave one machine's memory, and are read as what our own program has written.
"""

import json
from typing import Any, Final

import msgspec

from pdp.identity.tokens.issuer import TokenIssuer, TokenProfile, TokenTrust
from pdp.identity.tokens.jwk import VerificationKey
from pdp.identity.tokens.jwks import IgnoredKey, KeySet
from pdp.identity.tokens.service_account import ClusterRules
from pdp.identity.tokens.signature import import_key

__all__ = ["read_token_trust", "write_token_trust"]


class _Issuer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    profile: TokenProfile
    name: str
    audiences: tuple[str, ...]
    algorithms: tuple[str, ...]
    leeway: int
    max_lifetime: int | None
    cluster: tuple[str, str, bool, bool] | None
    keys: tuple[str, ...]
    ignored: tuple[tuple[int, str | None, str, bool], ...]
    fault: str


_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(tuple[_Issuer, ...])


def write_token_trust(trust: TokenTrust) -> bytes:
    """Everybody whose tokens are believed, with their keys."""
    return _encode(tuple(map(_flat, trust.everybody)))


def read_token_trust(content: bytes) -> TokenTrust:
    """The same as it was written."""
    held: dict[TokenProfile, dict[str, TokenIssuer]] = {profile: {} for profile in TokenProfile}
    for each in _decoder.decode(content):
        held[each.profile][each.name] = _whole(each)
    return TokenTrust.of(held)


def _flat(issuer: TokenIssuer) -> _Issuer:
    keys, rules = issuer.keys, issuer.cluster
    return _Issuer(
        profile=issuer.profile,
        name=issuer.name,
        audiences=tuple(sorted(issuer.audiences)),
        algorithms=tuple(sorted(issuer.algorithms)),
        leeway=issuer.leeway,
        max_lifetime=issuer.max_lifetime,
        cluster=None if rules is None else (rules.trust_domain, rules.path, rules.signed, rules.reviewed),
        keys=tuple(key.said for key in keys.keys),
        ignored=tuple((each.number, each.key_id, each.why, each.other_use) for each in keys.ignored),
        fault=keys.fault,
    )


def _whole(flat: _Issuer) -> TokenIssuer:
    ignored = tuple(
        IgnoredKey(number=number, key_id=key_id, why=why, other_use=other_use)
        for number, key_id, why, other_use in flat.ignored
    )
    return TokenIssuer(
        profile=flat.profile,
        name=flat.name,
        audiences=frozenset(flat.audiences),
        algorithms=frozenset(flat.algorithms),
        leeway=flat.leeway,
        max_lifetime=flat.max_lifetime,
        cluster=None if flat.cluster is None else _rules(flat.cluster),
        keys=KeySet(keys=tuple(map(_key, flat.keys)), ignored=ignored, fault=flat.fault),
    )


def _rules(flat: tuple[str, str, bool, bool]) -> ClusterRules:
    trust_domain, path, signed, reviewed = flat
    return ClusterRules(trust_domain=trust_domain, path=path, signed=signed, reviewed=reviewed)


def _key(said: str) -> VerificationKey:
    """A key by what it says of itself (`VerificationKey.said`), which is all of it."""
    key_id, algorithms, members = _parts(said)
    return VerificationKey(
        key_id=key_id,
        kty=members["kty"],
        algorithms=frozenset(algorithms),
        said=said,
        key=import_key(members),
    )


def _parts(said: str) -> tuple[str | None, list[str], dict[str, Any]]:
    key_id, algorithms, members = json.loads(said)
    return key_id, algorithms, members
