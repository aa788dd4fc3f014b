"""Signatures of tokens, by joserfc: the one place where it is met.

It gets a token that `pdp.identity.tokens.jws` has read already, and a key that `pdp.identity.tokens.jwks` has
looked at, as a bare public key and without a word about what the key is for. So nothing
rests on what the library makes of a header or of a key set; that it reads the token once more, and has
to find the same, is one reader more that an attacker has to get past.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias, final

from joserfc.errors import BadSignatureError, JoseError, UnsupportedAlgorithmError
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry, deserialize_compact

from pdp.identity.tokens.jws import CompactToken
from pdp.limits import MAX_TOKEN_BYTES

__all__ = [
    "ALGORITHMS", "JWT_SVID_ALGORITHMS", "KUBERNETES_ALGORITHMS", "PublicKey", "import_key",
    "signature_holds",
]  # fmt: skip

PublicKey: TypeAlias = RSAKey | ECKey | OKPKey


class _Needs(NamedTuple):
    """The key that an algorithm takes."""

    kty: str
    crv: str = ""


_RSA: Final = _Needs("RSA")
#: What is verified, and with which keys: RFC 7518 sections 3.3 to 3.5, RFC 8037 and RFC 9864. There is
#: no `none` and nothing symmetric: whoever can verify such a token can make one.
ALGORITHMS: Final[Mapping[str, _Needs]] = MappingProxyType(
    {
        "RS256": _RSA, "RS384": _RSA, "RS512": _RSA, "PS256": _RSA, "PS384": _RSA, "PS512": _RSA,
        "ES256": _Needs("EC", "P-256"), "ES384": _Needs("EC", "P-384"), "ES512": _Needs("EC", "P-521"),
        "EdDSA": _Needs("OKP", "Ed25519"), "Ed25519": _Needs("OKP", "Ed25519"),
    }
)  # fmt: skip
#: JWT-SVID, section 2.1.
JWT_SVID_ALGORITHMS: Final = frozenset(name for name in ALGORITHMS if name[:2] in {"RS", "ES", "PS"})
#: Of service account tokens: whatever an API server, or the signer that it asks, signs with.
KUBERNETES_ALGORITHMS: Final = frozenset(name for name in ALGORITHMS if name[:2] in {"RS", "ES"})

_CLASSES: Final[Mapping[str, type[PublicKey]]] = MappingProxyType({"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey})


@final
class _Registry(JWSRegistry):
    """One algorithm. Bounds are ours: the library's own are shorter than headers and signatures may be."""

    max_header_length = max_payload_length = max_signature_length = MAX_TOKEN_BYTES

    def __init__(self, algorithm: str) -> None:
        # Members that the library does not know are ignored, as RFC 7515 section 4 has it.
        super().__init__(algorithms=[algorithm], strict_check_header=False)
        self._model = self.algorithms[algorithm]

    def get_alg(self, name: str) -> JWSAlgModel:
        """The algorithm, without the library's warning of `EdDSA`: `ALGORITHMS` says which curve it is."""
        if name != self._model.name:
            raise UnsupportedAlgorithmError
        return self._model


_REGISTRIES: Final = {name: _Registry(name) for name in ALGORITHMS}


def import_key(members: Mapping[str, str]) -> PublicKey:
    """A public key from the members that make it up: `kty`, and `n` and `e`, or `crv`, `x` and perhaps `y`.

    Raises:
        ValueError: There is no such key: its point is not on its curve, for one.
    """
    try:
        key = _CLASSES[members["kty"]].import_key(dict(members))
        _ = key.public_key  # whatever is wrong with it is to show now
    except JoseError as error:
        raise ValueError(str(error)) from error
    return key


def signature_holds(token: CompactToken, key: PublicKey) -> bool:
    """Whether a key signed a token by the algorithm of its header.

    Args:
        token: What `parse_compact` made of it. Its algorithm is one of `ALGORITHMS`, and takes such keys.
        key: The key.

    Raises:
        ValueError: The library reads another token in it than we do, or none.
    """
    try:
        found = deserialize_compact(token.text, key, registry=_REGISTRIES[token.algorithm])
    except BadSignatureError:
        return False
    except JoseError as error:
        raise ValueError(str(error)) from error
    if found.payload != token.payload or found.protected != token.header:
        raise ValueError("two readers find two tokens in it")
    return True
