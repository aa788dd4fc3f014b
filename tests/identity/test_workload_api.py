"""What an agent delivers is read strictly, and what is refused says why; nothing of a key is ever told."""

import json

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from pdp.identity.certificates import CertificateTextError, read_ders, read_pem
from pdp.identity.tokens.jwks import KeySetError, KeySetKind, read_key_set
from pdp.identity.workload_api import (
    BadDeliveryError,
    DeliveredSvid,
    by_domain,
    read_keys,
    read_roots,
    read_svid,
)
from pdp.limits import MAX_CHAIN_CERTIFICATES, MAX_ROOTS_PER_TRUST_DOMAIN, MAX_TRUST_FILE_BYTES
from tests.identity.agent import pkcs8
from tests.identity.mint import DOMAIN, WEB, Party, authority, leaf, usage
from tests.identity.tokens import ec_key

ROOT = authority("root", uris=[f"spiffe://{DOMAIN}"])
MIDDLE = authority("intermediate", ROOT, uris=[f"spiffe://{DOMAIN}"])
OURS = leaf(MIDDLE)


def delivered(*chain: Party, spiffe_id: str = WEB, key: bytes | None = None) -> DeliveredSvid:
    der = b"".join(each.der for each in chain)
    return DeliveredSvid(spiffe_id=spiffe_id, chain=der, key=pkcs8(chain[0]) if key is None else key)


def refusal(*svids: DeliveredSvid, spiffe_id: str | None = None) -> str:
    with pytest.raises(BadDeliveryError) as raised:
        read_svid(svids, spiffe_id)
    return str(raised.value)


# -- certificates one behind the other -------------------------------------------------


def test_certificates_are_taken_apart_as_they_were_put_together() -> None:
    assert read_ders(b"", 1) == ()
    assert read_ders(OURS.der + MIDDLE.der + ROOT.der, 3) == tuple(
        each.certificate for each in (OURS, MIDDLE, ROOT)
    )


@pytest.mark.parametrize(
    "data",
    [
        b"\0", b"\x30", b"\x30\x80", b"\x30\x82\x01", b"\x30\x85\0\0\0\0\x01", b"\x30\xff" * 9, b"\x31\x00",
        b"\x30\x00", ROOT.der[:-1], ROOT.der + b"\0", ROOT.der + b"\n", b"\n" + ROOT.der,
        ROOT.der + ROOT.der[:9], ROOT.pem,
    ],
)  # fmt: skip
def test_what_is_cut_short_or_padded_or_something_else_is_malformed(data: bytes) -> None:
    with pytest.raises(CertificateTextError, match=r"certificate \d in it is malformed"):
        read_ders(data, 9)


def test_there_are_as_many_as_there_may_be_and_no_more() -> None:
    assert len(read_ders(ROOT.der * 3, 3)) == 3
    with pytest.raises(CertificateTextError, match="more than 3 certificates"):
        read_ders(ROOT.der * 4, 3)


# -- our certificate -------------------------------------------------------------------


def test_an_svid_is_its_chain_and_its_key() -> None:
    found = read_svid([delivered(OURS, MIDDLE)], None)

    assert found.spiffe_id == WEB
    assert read_pem(found.chain) == (OURS.certificate, MIDDLE.certificate)
    assert found.key.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert "PRIVATE" not in repr(found)
    assert repr(delivered(OURS)) == f"DeliveredSvid(spiffe_id='{WEB}')"


def test_the_first_is_ours_or_the_first_of_the_name_that_is_wanted() -> None:
    other = f"spiffe://{DOMAIN}/other"
    both = [delivered(OURS), delivered(leaf(MIDDLE, uris=[other]), spiffe_id=other)]

    assert read_svid(both, None).spiffe_id == WEB
    assert read_svid(both, other).spiffe_id == other
    # One that is bad is no reason to become somebody else.
    assert "malformed" in refusal(DeliveredSvid(spiffe_id=WEB, chain=b"x", key=b""), *both)


def test_what_is_none_is_refused() -> None:
    encrypted = OURS.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))

    assert refusal() == "there is no X.509-SVID among the 0 that were delivered"
    assert f"no X.509-SVID of `{WEB}/x` among the 1" in refusal(delivered(OURS), spiffe_id=f"{WEB}/x")
    assert "has no certificate" in refusal(DeliveredSvid(spiffe_id=WEB, chain=b"", key=pkcs8(OURS)))
    assert "has 2 URIs" in refusal(delivered(leaf(ROOT, uris=[WEB, f"{WEB}2"])))
    assert "has no URI" in refusal(delivered(leaf(ROOT, uris=[], dns=["a.example"])))
    assert "not the SPIFFE ID of a workload" in refusal(delivered(leaf(ROOT, uris=[f"spiffe://{DOMAIN}"])))
    assert "is a CA certificate" in refusal(delivered(authority("x", ROOT, uris=[WEB])))
    assert "digitalSignature" in refusal(delivered(leaf(ROOT, key_usage=usage("key_agreement"))))
    assert "was delivered as that of" in refusal(delivered(OURS, spiffe_id=f"{WEB}2"))
    assert "more than" in refusal(delivered(OURS, *[MIDDLE] * MAX_CHAIN_CERTIFICATES))
    for key in (b"", encrypted, OURS.der, pkcs8(OURS)[:-1]):
        assert "its key is not PKCS #8, or is encrypted" in refusal(delivered(OURS, key=key))


def test_a_name_that_is_shown_is_safe_to_print() -> None:
    assert "\x1b" not in refusal(delivered(OURS, spiffe_id="spiffe://\x1b[31m" + "x" * 999))
    assert len(refusal(delivered(OURS, spiffe_id="x" * 9999))) < 300


# -- bundles ---------------------------------------------------------------------------


def test_bundles_are_named_by_the_id_of_their_trust_domain() -> None:
    good = {f"spiffe://{DOMAIN}": b"x", "spiffe://a": b""}
    assert by_domain(good) == ({DOMAIN: b"x", "a": b""}, ())
    for name in (
        DOMAIN,
        "",
        "spiffe://",
        "spiffe://A",
        f"spiffe://{DOMAIN}/",
        f"{WEB}",
        "SPIFFE://a",
        "spiffe://a\x1b",
    ):
        found, unnamed = by_domain({**good, name: b"of somebody else"})
        assert found == {DOMAIN: b"x", "a": b""}
        assert len(unnamed) == 1
        assert "\x1b" not in unnamed[0]


def test_roots_are_held_to_the_rules_of_files() -> None:
    second = authority("second", uris=[f"spiffe://{DOMAIN}"])

    assert read_roots(DOMAIN, b"").roots == ()
    assert read_roots(DOMAIN, ROOT.der + second.der).roots == (ROOT.certificate, second.certificate)
    for bad, why in (
        (OURS.der, "is not a CA certificate"),
        (authority("x", uris=["spiffe://other"]).der, "its URI is not"),
        (ROOT.der * (MAX_ROOTS_PER_TRUST_DOMAIN + 1), "more than 64 certificates"),
        (b"0" * (MAX_TRUST_FILE_BYTES + 1), "more than 1048576 bytes"),
    ):
        with pytest.raises(BadDeliveryError, match=why):
            read_roots(DOMAIN, ROOT.der + bad)


def test_keys_are_those_that_an_agent_writes_and_no_secrets() -> None:
    """SPIRE leaves `use` out, and writes no keys as null; files of bundles may do neither."""
    plain, named = ec_key().named("a"), ec_key(which=1).named("b", use="jwt-svid")
    other = ec_key(which=2).named("c", use="sig")
    nameless = {name: value for name, value in plain.items() if name != "kid"}
    keys = json.dumps({"keys": [plain, named, other, nameless]}).encode()

    assert [key.key_id for key in read_keys(DOMAIN, keys).keys] == ["a", "b"]
    assert [key.key_id for key in read_key_set(keys, KeySetKind.BUNDLE).keys] == ["b"]
    for empty in (b'{"keys": []}', b'{"keys": null}'):
        assert (read_keys(DOMAIN, empty).keys, read_keys(DOMAIN, empty).fault) == ((), "")
    with pytest.raises(KeySetError):
        read_key_set(b'{"keys": null}', KeySetKind.BUNDLE)
    secret = json.dumps({"keys": [{**plain, "d": "AAAA"}]}).encode()
    twice = keys.replace(b'"kid"', b'"kid": "x", "kid"', 1)
    for bad in (b"", b"{}", b"[]", b"null", b'{"keys": 1}', secret, twice, b" " * (MAX_TRUST_FILE_BYTES + 1)):
        with pytest.raises(BadDeliveryError, match=f"the keys of `{DOMAIN}`: "):
            read_keys(DOMAIN, bad)
