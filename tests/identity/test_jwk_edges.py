"""Keys at the very edges of what is used: exponents, names, operations."""

import base64

import pytest

from pdp.identity.tokens.jwk import UnusableKeyError, read_key
from pdp.limits import MAX_KEY_ID_CHARS
from tests.identity.tokens import key_for

RSA = key_for("RS256").jwk


def exponent(octets: bytes) -> dict[str, str]:
    return {**RSA, "e": base64.urlsafe_b64encode(octets).rstrip(b"=").decode()}


@pytest.mark.parametrize("octets", [b"\x03", b"\x01\x00\x01", b"\x02\x00\x01", b"\x01\x00\x00\x01"])
def test_an_odd_exponent_of_up_to_32_bits_is_used(octets: bytes) -> None:
    assert read_key(exponent(octets)).kty == "RSA"


@pytest.mark.parametrize(
    "octets", [b"\x01", b"\x02", b"\x01\x00\x00", b"\x01\x00\x00\x00\x01", b"\x01\x00\x01\x00"]
)
def test_no_other_is(octets: bytes) -> None:
    with pytest.raises(UnusableKeyError, match="exponent"):
        read_key(exponent(octets))


def test_a_name_may_be_as_long_as_its_bound() -> None:
    assert read_key({**RSA, "kid": "k" * MAX_KEY_ID_CHARS}).key_id == "k" * MAX_KEY_ID_CHARS
    with pytest.raises(UnusableKeyError, match="kid"):
        read_key({**RSA, "kid": "k" * (MAX_KEY_ID_CHARS + 1)})


@pytest.mark.parametrize("operations", [["verify"], ["sign", "verify"], ["verify", "sign"]])
def test_a_key_that_says_it_is_for_signatures_is_used(operations: list[str]) -> None:
    assert read_key({**RSA, "key_ops": operations}).kty == "RSA"


@pytest.mark.parametrize(
    "operations", [["verify", "encrypt"], ["sign", "verify", "wrapKey"], ["sign"], [], ["verify", "verify"]]
)
def test_one_that_is_for_more_or_for_something_else_is_not(operations: list[str]) -> None:
    with pytest.raises(UnusableKeyError, match="key_ops"):
        read_key({**RSA, "key_ops": operations})
