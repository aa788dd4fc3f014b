"""What bundle endpoints tell: documents with the roots and keys of a trust domain."""

import base64
import json
from collections.abc import Hashable
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pdp.diagnostics import escape
from pdp.identity.federation.document import BundleDocumentError, read_bundle_document
from tests.fuzz.engine import Target, wording
from tests.fuzz.mutate import ODD_TEXT, Mutator
from tests.identity.federating import PARTNER, document, root_entry
from tests.identity.mint import authority

__all__ = ["TARGETS"]

# Of keys, names and dates that are the same in every run: an input that failed is to fail again. What
# is signed differs, since ECDSA draws a number; the entry's own text is what is changed.
_SPAN: Final = {"start": datetime(2027, 1, 1, tzinfo=UTC), "end": datetime(2028, 1, 1, tzinfo=UTC)}
_ROOT, _NEXT = (
    authority(
        f"root {n}", key=ec.derive_private_key(n, ec.SECP256R1()), uris=[f"spiffe://{PARTNER}"], **_SPAN
    )
    for n in (11, 12)
)
_KEY: Final = {**root_entry(_NEXT, x5c=None), "use": "jwt-svid", "kid": "a"}


def _bundle(text: str) -> Hashable:
    data = text.encode("utf-8", "surrogatepass")
    try:
        found = read_bundle_document(data, PARTNER)
    except BundleDocumentError as error:
        assert str(error) == escape(str(error))
        assert str(error)
        return wording(str(error))
    value, bundle = json.loads(data), found.bundle
    ignored = {each.number for each in found.ignored}
    used = [entry for number, entry in enumerate(value["keys"], 1) if number not in ignored]
    assert not any({"d", "p", "q", "dp", "dq", "qi", "oth", "k"} & entry.keys() for entry in value["keys"])
    roots = [entry for entry in used if entry["use"] == "x509-svid"]
    assert len(bundle.keys.keys) <= len(used) - len(roots)
    assert {each.public_bytes(Encoding.DER) for each in bundle.roots} == {_der(entry) for entry in roots}
    for entry in roots:
        _require_key(entry)
    for name, said in (("spiffe_sequence", found.sequence), ("spiffe_refresh_hint", found.refresh_hint)):
        assert value.get(name) == said
        assert said is None or said >= 0
    return (
        len(roots),
        len(bundle.keys.keys),
        tuple(sorted({wording(each.why) for each in found.ignored})),
    )


def _der(entry: dict[str, Any]) -> bytes:
    (only,) = entry["x5c"]
    return base64.b64decode(only)


def _require_key(entry: dict[str, Any]) -> None:
    """The point beside a certificate is the last of its key's octets: SEC 1, section 2.3.3."""
    certificate = x509.load_der_x509_certificate(_der(entry))
    assert (entry["kty"], entry["crv"]) == ("EC", "P-256")
    point = base64.urlsafe_b64decode(entry["x"] + "=") + base64.urlsafe_b64decode(entry["y"] + "=")
    assert certificate.tbs_certificate_bytes.count(b"\x04" + point) == 1
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


_SEEDS: Final = (
    document(root_entry(_ROOT), root_entry(_NEXT), _KEY, sequence=7, hint=60).decode(),
    document(_KEY, root_entry(_ROOT, kty="AKP"), {"kty": "new"}, sequence=1).decode(),
    document(sequence=2).decode(),
)
_WORDS: Final = (
    '"use":"x509-svid",', '"use":"jwt-svid",', '"use":"wit-svid",', '"kty":"EC",', '"kty":"OKP",',
    '"crv":"P-384",', '"x5c":[],', '"x5c":["x"],', '"d":"AA",', '"kid":"a",', '"spiffe_sequence":-1,',
    '"spiffe_sequence":1e3,', '"kty":"oct",', '"keys":[],', "null", "[]", "{}", root_entry(_ROOT)["x5c"][0],
    root_entry(_NEXT)["x"],
)  # fmt: skip

TARGETS: Final = (
    Target(
        name="bundle-documents",
        seeds=_SEEDS,
        mutate=Mutator(
            _SEEDS, r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[\w.+-]+', ODD_TEXT, extra=_WORDS, largest=40_000
        ),
        check=_bundle,
        examples=1500,
    ),
)
