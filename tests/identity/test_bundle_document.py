"""A bundle document is read in one way: as roots and keys of one trust domain, or refused with the reason."""

import base64
import contextlib
import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from pdp.identity.federation.document import BundleDocument, BundleDocumentError, read_bundle_document
from pdp.limits import MAX_CERTIFICATE_BYTES, MAX_KEY_SET_KEYS, MAX_TRUST_FILE_BYTES
from tests.identity.federating import PARTNER, document, key_entry, root, root_entry
from tests.identity.mint import BOTH_ENDS, leaf, usage
from tests.identity.tokens import b64, ec_key, ed_key, rsa_key

ROOT, OTHER = root(), root("other")
KEY = ec_key()


def read(*entries: Any, **more: Any) -> BundleDocument:
    return read_bundle_document(document(*entries, **more), PARTNER)


def refusal(*entries: Any, **more: Any) -> str:
    with pytest.raises(BundleDocumentError) as caught:
        read(*entries, **more)
    return str(caught.value)


# -- what is in a good one -------------------------------------------------------------


def test_roots_and_keys_are_told_apart() -> None:
    found = read(root_entry(ROOT), key_entry(KEY, "a"), root_entry(OTHER), sequence=7, hint=60)

    assert found.bundle.trust_domain == PARTNER
    assert found.bundle.roots == (ROOT.certificate, OTHER.certificate)
    assert dict(found.trust.domains) == {PARTNER: found.bundle.roots}
    assert [key.key_id for key in found.bundle.keys.keys] == ["a"]
    assert (found.sequence, found.refresh_hint, found.ignored) == (7, 60, ())


def test_nothing_but_the_keys_has_to_be_there() -> None:
    found = read(root_entry(ROOT))

    assert (found.sequence, found.refresh_hint, found.bundle.keys.keys) == (None, None, ())


def test_an_empty_bundle_is_one_and_vouches_for_nobody() -> None:
    found = read(sequence=2)

    assert (found.bundle.roots, found.bundle.keys.keys, found.bundle.keys.fault) == ((), (), "")
    assert dict(found.trust.domains) == {PARTNER: ()}


def test_a_root_that_stands_there_twice_is_one() -> None:
    assert read(root_entry(ROOT), root_entry(ROOT, kid="again")).bundle.roots == (ROOT.certificate,)


@pytest.mark.parametrize("crv", ["P-384", "P-521"])
def test_roots_of_other_curves_are_taken(crv: str) -> None:
    party = root(key=ec_key(crv).private)

    assert read(root_entry(party)).bundle.roots == (party.certificate,)


def test_roots_with_rsa_keys_are_taken() -> None:
    party = root(key=rsa_key().private)

    assert read(root_entry(party)).bundle.roots == (party.certificate,)


def test_the_digest_is_that_of_what_is_vouched_by() -> None:
    first = read(root_entry(ROOT), key_entry(KEY), sequence=1)

    assert read(key_entry(KEY), root_entry(ROOT), sequence=2, hint=9).digest == first.digest
    for other in (
        read(root_entry(ROOT), sequence=1),
        read(key_entry(KEY), sequence=1),
        read(root_entry(ROOT), root_entry(OTHER), key_entry(KEY), sequence=1),
        read(root_entry(ROOT), key_entry(ec_key(which=1)), sequence=1),
    ):
        assert other.digest != first.digest


def test_members_that_nobody_knows_are_ignored() -> None:
    found = read(root_entry(ROOT, kid=5, x="y", extra=1) | {"x": root_entry(ROOT)["x"]}, anything={"a": 1})

    assert found.bundle.roots == (ROOT.certificate,)


# -- entries that are not used ---------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (root_entry(ROOT, kty="AKP"), "its `kty` is `AKP`: of certificates RSA and EC are used"),
        (root_entry(ROOT, kty="OKP"), "its `kty` is `OKP`: of certificates RSA and EC are used"),
        (root_entry(ROOT, kty=None), "its `kty` is no text: of certificates RSA and EC are used"),
        (root_entry(ROOT, kty=["EC"]), "its `kty` is no text: of certificates RSA and EC are used"),
        (root_entry(ROOT, use="X509-SVID"), "its `use` is `X509-SVID`, not `jwt-svid`"),
        (root_entry(ROOT, use="wit-svid"), "its `use` is `wit-svid`, not `jwt-svid`"),
        (root_entry(ROOT, use=1), "its `use` is no text, not `jwt-svid`"),
        (root_entry(ROOT, use=None), "it has no `use`"),
        (key_entry(KEY) | {"use": "sig"}, "its `use` is `sig`, not `jwt-svid`"),
        ({"use": "jwt-svid", **KEY.jwk}, "it has no `kid`"),
        (key_entry(ed_key(), crv="Ed448"), "its `crv` is `Ed448`: of such keys Ed25519 is used"),
    ],
)
def test_an_entry_of_an_unknown_kind_is_ignored_with_the_reason(entry: dict[str, Any], why: str) -> None:
    found = read(root_entry(OTHER), entry, key_entry(KEY))

    assert found.bundle.roots == (OTHER.certificate,)
    assert len(found.bundle.keys.keys) == 1
    assert [(each.number, each.why) for each in found.ignored] == [(2, why)]


# -- what refuses the document ---------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is empty"),
        (b"{}", "no list `keys`"),
        (b'{"spiffe_sequence": 1}', "no list `keys`"),
        (b'{"keys": null}', "no list `keys`"),
        (b'{"keys": {}}', "no list `keys`"),
        (b"[]", "a key set is an object"),
        (b"null", "a key set is an object"),
        (b'{"keys": [], "keys": []}', "twice"),
        (b'{"keys": [], "k\\u0065ys": []}', "twice"),
        (b'\xef\xbb\xbf{"keys": []}', "byte order mark"),
        (b'{"keys": []} x', "something follows"),
        (b'{"keys": ["x"]}', "key 1 of the set is not an object"),
        (b'{"keys": [], "spiffe_sequence": -1}', "`spiffe_sequence` is not a whole number"),
        (b'{"keys": [], "spiffe_sequence": "1"}', "`spiffe_sequence` is not a whole number"),
        (b'{"keys": [], "spiffe_sequence": 1.0}', "`spiffe_sequence` is not a whole number"),
        (b'{"keys": [], "spiffe_sequence": true}', "`spiffe_sequence` is not a whole number"),
        (b'{"keys": [], "spiffe_sequence": null}', "`spiffe_sequence` is not a whole number"),
        (b'{"keys": [], "spiffe_sequence": 9223372036854775808}', "64-bit"),
        (b'{"keys": [], "spiffe_refresh_hint": -5}', "`spiffe_refresh_hint` is not a whole number"),
        (b'{"keys": [], "spiffe_refresh_hint": 0.5}', "`spiffe_refresh_hint` is not a whole number"),
    ],
)  # fmt: skip
def test_what_is_no_bundle_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(BundleDocumentError, match=why):
        read_bundle_document(data, PARTNER)


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
@pytest.mark.parametrize("entry", [root_entry(ROOT), key_entry(KEY), {"kty": "new", "use": "new"}])
def test_a_secret_refuses_all(entry: dict[str, Any], member: str) -> None:
    assert "is private" in refusal(root_entry(OTHER), entry | {member: "AA"})


def test_a_symmetric_key_refuses_all() -> None:
    assert "is symmetric" in refusal(root_entry(OTHER), {"kty": "oct", "use": "jwt-svid", "kid": "a"})


def test_a_trust_domain_that_is_none_refuses_all() -> None:
    with pytest.raises(BundleDocumentError, match="not a trust domain"):
        read_bundle_document(document(), "Partner.example")


@pytest.mark.parametrize(
    "chain",
    [
        None, "", [], [None], [[]], "text", {"0": "x"}, [root_entry(ROOT)["x5c"][0]] * 2,
        [root_entry(ROOT)["x5c"][0], root_entry(OTHER)["x5c"][0]],
    ],
)  # fmt: skip
def test_a_root_has_exactly_one_certificate(chain: object) -> None:
    assert refusal(root_entry(OTHER), root_entry(ROOT, x5c=chain)) == (
        "key 2 of the bundle cannot be a root: its `x5c` is not a list of exactly one certificate"
    )


def test_a_certificate_is_canonical_base64_and_whole() -> None:
    text = root_entry(ROOT)["x5c"][0]
    assert "not base64" in refusal(root_entry(ROOT, x5c=[b64(ROOT.der)]))
    assert "not base64" in refusal(root_entry(ROOT, x5c=[f"{text[:64]}\n{text[64:]}"]))
    assert "not base64" in refusal(root_entry(ROOT, x5c=["\u00e9" * 4]))
    assert "not base64" in refusal(root_entry(ROOT, x5c=[ROOT.pem.decode()]))
    assert "malformed" in refusal(root_entry(ROOT, x5c=[""]))
    assert "canonical" in refusal(root_entry(ROOT, x5c=["AB=="]))
    for data in (ROOT.der[:-1], ROOT.der + b"\0", b"x", ROOT.der + OTHER.der):
        assert refusal(root_entry(ROOT, x5c=[base64.b64encode(data).decode()])) == (
            "key 1 of the bundle cannot be a root: certificate 1 in it is malformed"
        )


class PanicException(BaseException):
    """What PyO3 raises, and does not let anybody import."""


@pytest.mark.parametrize(
    "problem", [RuntimeError("x"), x509.UnsupportedGeneralNameType("x"), PanicException()]
)
def test_a_certificate_that_breaks_its_parser_is_malformed(
    monkeypatch: pytest.MonkeyPatch, problem: BaseException
) -> None:
    def broken(_: bytes) -> None:
        raise problem

    monkeypatch.setattr(x509, "load_der_x509_certificate", broken)

    assert "malformed" in refusal(root_entry(ROOT))


def test_a_request_to_stop_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(_: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(x509, "load_der_x509_certificate", stopped)

    with pytest.raises(KeyboardInterrupt):
        read(root_entry(ROOT))


def test_a_certificate_has_a_bound() -> None:
    def padded(size: int) -> Any:
        extra = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"x" * size)
        return root(extra=[(extra, False)])

    def of_size(size: int) -> Any:
        # The length of a signature, and with it that of the rest, is up to chance.
        spare = size - len(padded(size - 1000).der)
        return next(found for _ in range(500) if len((found := padded(size - 1000 + spare)).der) == size)

    assert read(root_entry(of_size(MAX_CERTIFICATE_BYTES))).bundle.roots
    assert "more than 16384 bytes" in refusal(root_entry(of_size(MAX_CERTIFICATE_BYTES + 1)))


@pytest.mark.parametrize(
    ("party", "why"),
    [
        (leaf(ROOT), "it is not a CA certificate"),
        (root(basic=None), "no basic constraints"),
        (root(key_usage=None), "it has no key usage"),
        (root(key_usage=usage("digital_signature")), "does not allow signing"),
        (root(uris=("spiffe://other.example",)), "its URI is not `spiffe://partner.example`"),
        (root(uris=(f"spiffe://{PARTNER}/x",)), "its URI is not `spiffe://partner.example`"),
        (root(uris=(f"spiffe://{PARTNER}", "spiffe://other.example")), "its URI is not"),
        (leaf(ROOT, uris=(), purposes=BOTH_ENDS), "it is not a CA certificate"),
    ],
)
def test_a_root_has_to_be_fit_to_sign_for_its_trust_domain(party: Any, why: str) -> None:
    assert why in refusal(root_entry(OTHER), root_entry(party))


def test_a_root_may_name_its_own_trust_domain() -> None:
    assert read(root_entry(root(uris=(f"spiffe://{PARTNER}",)))).bundle.roots


@pytest.mark.parametrize("name", ["crv", "x", "y"])
def test_the_key_beside_a_certificate_is_that_of_the_certificate(name: str) -> None:
    theirs = {"crv": "P-384"} | {each: root_entry(OTHER)[each] for each in "xy"}
    for wrong in (theirs[name], None, 1, root_entry(ROOT)[name] + "="):
        assert refusal(root_entry(ROOT, **{name: wrong})).endswith(
            f"its `{name}` is not that of the key in its certificate"
        )


@pytest.mark.parametrize("name", ["n", "e"])
def test_the_same_of_rsa(name: str) -> None:
    party = root(key=rsa_key().private)
    wrong = {"n": rsa_key(which=1).jwk["n"], "e": "Aw"}[name]

    assert f"its `{name}` is not that" in refusal(root_entry(party, **{name: wrong}))
    assert "its `kty` is not that" in refusal(root_entry(party, kty="EC"))
    assert "its `kty` is not that" in refusal(root_entry(ROOT, kty="RSA"))


@pytest.mark.parametrize("curve", [ec.SECP224R1, ec.SECP256K1])
def test_a_certificate_with_another_kind_of_key_is_no_root(curve: type[ec.EllipticCurve]) -> None:
    party = root(key=ec.generate_private_key(curve()))

    assert "of no kind that is used" in refusal(root_entry(ROOT, x5c=[base64.b64encode(party.der).decode()]))


def test_bounds() -> None:
    keys = [key_entry(KEY, f"{n}") for n in range(MAX_KEY_SET_KEYS)]
    assert len(read(*keys).bundle.keys.keys) == MAX_KEY_SET_KEYS
    assert "at most 64" in refusal(*keys, root_entry(ROOT))
    data = document(root_entry(ROOT))
    assert read_bundle_document(data + b" " * (MAX_TRUST_FILE_BYTES - len(data)), PARTNER).bundle.roots
    with pytest.raises(BundleDocumentError, match="more than 1048576 bytes"):
        read_bundle_document(data + b" " * (MAX_TRUST_FILE_BYTES - len(data) + 1), PARTNER)


# -- whatever is sent ------------------------------------------------------------------

_GOOD = [root_entry(ROOT), root_entry(OTHER), key_entry(KEY, "a"), key_entry(rsa_key(), "b")]
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4) | st.sampled_from(
        ["x509-svid", "jwt-svid", "EC", "RSA", "P-256", root_entry(ROOT)["x5c"][0], root_entry(OTHER)["x"]]
    ),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
_members = st.sampled_from(["use", "kty", "crv", "x", "y", "n", "e", "kid", "x5c", "alg", "key_ops", "d"])
_entries = st.builds(lambda entry, change: entry | change, st.sampled_from(_GOOD),
                     st.dictionaries(_members, _values, max_size=2))  # fmt: skip


@given(entries=st.lists(_entries, max_size=4), more=st.dictionaries(st.sampled_from(
    ["spiffe_sequence", "spiffe_refresh_hint", "x"]), _values, max_size=2))  # fmt: skip
def test_what_is_taken_was_said_and_what_was_said_is_taken_or_told(entries: list[Any], more: Any) -> None:
    """Each entry is a root, a key or ignored; no root is there but those of entries that say so."""
    try:
        found = read_bundle_document(json.dumps({"keys": entries, **more}).encode(), PARTNER)
    except BundleDocumentError:
        return
    ignored = {each.number for each in found.ignored}
    used = [entry for number, entry in enumerate(entries, 1) if number not in ignored]
    said = {entry["x5c"][0] for entry in used if entry["use"] == "x509-svid"}
    assert {base64.b64encode(each.public_bytes(Encoding.DER)).decode() for each in found.bundle.roots} == said
    assert {entry["kid"] for entry in used if entry["use"] == "jwt-svid"} == {
        key.key_id for key in found.bundle.keys.keys
    }
    assert all(entry["use"] in {"x509-svid", "jwt-svid"} and "d" not in entry for entry in used)


@given(data=st.binary(max_size=40) | st.text(max_size=40).map(str.encode), at=st.integers(0, 2000))
def test_any_bytes_are_a_bundle_or_refused(data: bytes, at: int) -> None:
    good = document(*_GOOD, sequence=1)
    for each in (data, good[:at] + data + good[at:], good[:at] + data + good[at + len(data) :]):
        with contextlib.suppress(BundleDocumentError):
            read_bundle_document(each, PARTNER)
