"""Which certificate chains make a caller, and why the others do not.

Every refusal is shown on a real chain that is right in all other respects.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID

from pdp.identity.caller import Caller, CallerKind
from pdp.identity.certificates import serial_text
from pdp.identity.trust import TrustStore
from pdp.identity.x509 import Refusal, UntrustedCertificateError, verify_caller
from pdp.limits import MAX_CERTIFICATE_BYTES, MAX_CHAIN_CERTIFICATES
from tests.identity.mint import DAY, DOMAIN, NOW, WEB, Party, authority, leaf, usage

PARTNER = "partner.example.net"
MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class World:
    """Two federated trust domains and an authority for DNS names, all of them believed."""

    root: Party
    middle: Party
    partner_root: Party
    partner_middle: Party
    dns_root: Party
    trust: TrustStore


def _world() -> World:
    root = authority("root", uris=[f"spiffe://{DOMAIN}"], end=NOW + 300 * DAY)
    partner = authority("partner root", uris=[f"spiffe://{PARTNER}"])
    dns = authority("dns root")
    trust = TrustStore(
        domains={DOMAIN: (root.certificate,), PARTNER: (partner.certificate,)}, dns=(dns.certificate,)
    )
    middle = authority("intermediate", root, uris=[f"spiffe://{DOMAIN}"])
    partner_middle = authority("partner intermediate", partner)
    return World(
        root=root,
        middle=middle,
        partner_root=partner,
        partner_middle=partner_middle,
        dns_root=dns,
        trust=trust,
    )


W = _world()
SPIFFE_ONLY = TrustStore(domains=W.trust.domains)


def verify(
    party: Party, *extra: Party, trust: TrustStore = SPIFFE_ONLY, after: timedelta = timedelta()
) -> Caller:
    return verify_caller(party.der, [sent.der for sent in extra], trust, NOW + after)


def refusal(
    party: Party, *extra: Party, trust: TrustStore = SPIFFE_ONLY, after: timedelta = timedelta()
) -> UntrustedCertificateError:
    with pytest.raises(UntrustedCertificateError) as caught:
        verify(party, *extra, trust=trust, after=after)
    return caught.value


# -- what makes a caller ---------------------------------------------------------------


def test_chain_to_the_roots_of_its_own_trust_domain_makes_a_caller() -> None:
    web = leaf(W.middle, dns=["web.shop"], ips=["10.0.0.1"])

    assert verify(web, W.middle) == Caller(
        kind=CallerKind.SPIFFE,
        id=WEB,
        trust_domain=DOMAIN,
        segments=("ns", "shop", "sa", "web"),
        fingerprint=web.certificate.fingerprint(hashes.SHA256()).hex(),
        not_after=int((NOW + DAY).timestamp()) * 1000,
        epoch=SPIFFE_ONLY.epoch,
        serial=serial_text(web.certificate.serial_number),
    )


def test_leaf_signed_by_the_root_itself_makes_a_caller() -> None:
    assert verify(leaf(W.root)).id == WEB


def test_each_federated_domain_vouches_for_its_own() -> None:
    theirs = leaf(W.partner_middle, uris=[f"spiffe://{PARTNER}/ns/x/sa/y"])

    assert verify(theirs, W.partner_middle).trust_domain == PARTNER


def test_intermediate_may_itself_be_the_anchor() -> None:
    trust = TrustStore(domains={DOMAIN: (W.middle.certificate,)})

    assert verify(leaf(W.middle), trust=trust).id == WEB


def test_leaf_without_extended_key_usage_or_basic_constraints_makes_a_caller() -> None:
    assert verify(leaf(W.middle, purposes=None), W.middle).id == WEB
    assert verify(leaf(W.middle, basic=None), W.middle).id == WEB


def test_leaf_for_clients_only_makes_a_caller() -> None:
    assert verify(leaf(W.middle, purposes=[ExtendedKeyUsageOID.CLIENT_AUTH]), W.middle).id == WEB


def test_key_usage_may_allow_encryption_besides_signatures() -> None:
    web = leaf(W.middle, key_usage=usage("digital_signature", "key_encipherment", "key_agreement"))

    assert verify(web, W.middle).id == WEB


def test_chain_is_found_in_whatever_order_it_was_sent() -> None:
    upper = authority("upper", W.root)
    lower = authority("lower", upper)
    web = leaf(lower)

    assert verify(web, lower, upper, W.root).id == WEB
    assert verify(web, W.root, upper, lower).id == WEB


def test_certificates_that_do_not_belong_to_the_chain_are_ignored() -> None:
    junk = [authority("junk"), leaf(W.partner_middle), W.partner_root, W.middle, authority("intermediate")]

    assert verify(leaf(W.middle), *junk, W.middle).id == WEB


def test_root_whose_successor_is_trusted_beside_it_still_verifies() -> None:
    successor = authority("root", uris=[f"spiffe://{DOMAIN}"])  # the same name, another key
    trust = TrustStore(domains={DOMAIN: (successor.certificate, W.root.certificate)})

    assert verify(leaf(W.middle), W.middle, trust=trust).id == WEB


@pytest.mark.parametrize("soonest", ["leaf", "intermediate", "root"])
def test_caller_ends_with_the_first_certificate_of_its_chain_to_end(soonest: str) -> None:
    end = {name: NOW + (1 if name == soonest else 5) * DAY for name in ("leaf", "intermediate", "root")}
    root = authority("r", end=end["root"])
    middle = authority("m", root, end=end["intermediate"])
    trust = TrustStore(domains={DOMAIN: (root.certificate,)})

    caller = verify(leaf(middle, end=end["leaf"]), middle, trust=trust)

    assert caller.not_after == int((NOW + DAY).timestamp()) * 1000


# -- dates: both ends belong to the validity ---------------------------------------------


def test_leaf_is_valid_from_its_first_to_its_last_second_and_not_a_moment_more() -> None:
    web = leaf(W.middle, start=NOW - timedelta(hours=1), end=NOW + timedelta(hours=1))

    for inside in (timedelta(hours=-1), timedelta(hours=1)):
        assert verify(web, W.middle, after=inside).id == WEB
    early = refusal(web, W.middle, after=timedelta(hours=-1) - MOMENT)
    late = refusal(web, W.middle, after=timedelta(hours=1) + MOMENT)
    assert (early.code, late.code) == (Refusal.NOT_YET_VALID, Refusal.EXPIRED)
    assert early.message == "the certificate is valid only from 2027-03-01T11:00:00Z"
    assert late.message == "the certificate expired at 2027-03-01T13:00:00Z"


@pytest.mark.parametrize("which", ["intermediate", "root"])
def test_signing_certificate_is_valid_from_its_first_to_its_last_second(which: str) -> None:
    hour = timedelta(hours=1)
    short = {"start": NOW - hour, "end": NOW + hour}
    root = authority("r", **(short if which == "root" else {}))  # type: ignore[arg-type]
    middle = authority("i", root, **(short if which == "intermediate" else {}))  # type: ignore[arg-type]
    trust = TrustStore(domains={DOMAIN: (root.certificate,)})
    web = leaf(middle, start=NOW - DAY, end=NOW + DAY)

    for inside in (-hour, hour):
        assert verify(web, middle, trust=trust, after=inside).id == WEB
    for outside, code in ((-hour - MOMENT, Refusal.NOT_YET_VALID), (hour + MOMENT, Refusal.EXPIRED)):
        got = refusal(web, middle, trust=trust, after=outside)
        assert got.code is code
        assert got.message.startswith(f"the signing certificate `CN={which[0]}` ")
    assert refusal(web, middle, trust=trust, after=3 * hour).code is Refusal.EXPIRED


def test_dead_certificate_beside_a_live_chain_does_no_harm() -> None:
    dead = authority("intermediate", W.root, key=W.middle.key, start=NOW - 9 * DAY, end=NOW - DAY)

    assert verify(leaf(W.middle), dead, W.middle).id == WEB


def test_instant_without_a_time_zone_is_a_defect_and_no_refusal() -> None:
    with pytest.raises(ValueError, match="needs a time zone"):
        verify_caller(b"", [], SPIFFE_ONLY, NOW.replace(tzinfo=None))


# -- whose roots -------------------------------------------------------------------------


def test_partners_authority_cannot_mint_our_identities() -> None:
    """The roots of both domains are believed, each for its own: pooled, this would pass."""
    forged = leaf(W.partner_middle, uris=[WEB])

    got = refusal(forged, W.partner_middle, W.partner_root)

    assert got.code is Refusal.UNTRUSTED_CHAIN
    assert got.message.startswith(f"the chain does not lead to a root of the trust domain `{DOMAIN}`")


def test_partners_authority_under_our_names_cannot_mint_our_identities() -> None:
    middle = authority("intermediate", W.partner_root, uris=[f"spiffe://{DOMAIN}"])

    assert refusal(leaf(middle), middle, W.middle, W.root).code is Refusal.UNTRUSTED_CHAIN


def test_our_authority_cannot_mint_the_partners_identities() -> None:
    forged = leaf(W.middle, uris=[f"spiffe://{PARTNER}/ns/x/sa/y"])

    assert refusal(forged, W.middle).code is Refusal.UNTRUSTED_CHAIN


def test_authority_of_dns_names_cannot_mint_workloads_nor_the_reverse() -> None:
    assert refusal(leaf(W.dns_root), trust=W.trust).code is Refusal.UNTRUSTED_CHAIN
    assert refusal(leaf(W.root, uris=[], dns=["db1"]), trust=W.trust).code is Refusal.UNTRUSTED_CHAIN


def test_chain_of_an_unknown_authority_of_the_same_name_is_refused() -> None:
    root = authority("root", uris=[f"spiffe://{DOMAIN}"])
    middle = authority("intermediate", root)

    assert refusal(leaf(middle), middle, root).code is Refusal.UNTRUSTED_CHAIN


def test_self_signed_leaf_is_refused() -> None:
    assert refusal(leaf(None)).code is Refusal.UNTRUSTED_CHAIN


def test_missing_intermediate_is_refused_and_the_message_says_what_to_send() -> None:
    got = refusal(leaf(W.middle))

    assert got.code is Refusal.UNTRUSTED_CHAIN
    assert "are the intermediate certificates sent along?" in got.message


def test_unknown_trust_domain_is_refused_by_name() -> None:
    got = refusal(leaf(W.middle, uris=["spiffe://other.test/x"]), W.middle)

    assert got.code is Refusal.UNKNOWN_TRUST_DOMAIN
    assert got.message == "nobody is trusted for the trust domain `other.test`"


def test_domain_without_roots_verifies_nothing() -> None:
    trust = TrustStore(domains={DOMAIN: ()})

    assert refusal(leaf(W.middle), W.middle, W.root, trust=trust).code is Refusal.UNTRUSTED_CHAIN


def test_leaf_that_claims_a_signer_it_does_not_have_is_refused() -> None:
    stranger = Party(certificate=W.middle.certificate, key=ec.generate_private_key(ec.SECP256R1()))

    assert refusal(leaf(stranger), W.middle).code is Refusal.UNTRUSTED_CHAIN


def test_strangers_who_sign_each_other_in_a_circle_never_reach_the_path_builder() -> None:
    """The path builder would spend its whole allowance of signature checks on them."""
    key = ec.generate_private_key(ec.SECP256R1())
    circle = [authority("a", key=key) for _ in range(MAX_CHAIN_CERTIFICATES - 1)]

    assert refusal(leaf(circle[0]), *circle).code is Refusal.UNTRUSTED_CHAIN


# -- the name on the leaf ------------------------------------------------------------------

NAMES: dict[str, tuple[list[str], Refusal, str]] = {
    "none": ([], Refusal.NO_URI, "has no URI, and DNS identities are not trusted here"),
    "two": ([WEB, WEB + "2"], Refusal.SEVERAL_URIS, "has 2 URIs"),
    "the same twice": ([WEB, WEB], Refusal.SEVERAL_URIS, "has 2 URIs"),
    "one that is no SPIFFE ID besides": ([WEB, "https://x"], Refusal.SEVERAL_URIS, "has 2 URIs"),
    "no path": ([f"spiffe://{DOMAIN}"], Refusal.NOT_A_SPIFFE_ID, "it has no path"),
    "empty path": ([f"spiffe://{DOMAIN}/"], Refusal.NOT_A_SPIFFE_ID, "empty segment"),
    "trailing slash": ([WEB + "/"], Refusal.NOT_A_SPIFFE_ID, "empty segment"),
    "https": ([f"https://{DOMAIN}/x"], Refusal.NOT_A_SPIFFE_ID, "begins with `spiffe://`"),
    "capital scheme": ([f"SPIFFE://{DOMAIN}/x"], Refusal.NOT_A_SPIFFE_ID, "begins with `spiffe://`"),
    "capital domain": (["spiffe://Prod.example.org/x"], Refusal.NOT_A_SPIFFE_ID, "lower-case"),
    "port": ([f"spiffe://{DOMAIN}:1/x"], Refusal.NOT_A_SPIFFE_ID, "trust domain"),
    "user": ([f"spiffe://u@{DOMAIN}/x"], Refusal.NOT_A_SPIFFE_ID, "trust domain"),
    "dots": ([f"spiffe://{DOMAIN}/ns/../x"], Refusal.NOT_A_SPIFFE_ID, "dot segment"),
    "query": ([WEB + "?x"], Refusal.NOT_A_SPIFFE_ID, "path segment"),
    "percent": ([f"spiffe://{DOMAIN}/%61"], Refusal.NOT_A_SPIFFE_ID, "path segment"),
    "NUL": ([WEB + "\0.evil"], Refusal.NOT_A_SPIFFE_ID, "path segment"),
    "newline": ([WEB + "\n"], Refusal.NOT_A_SPIFFE_ID, "path segment"),
    "too long": ([WEB + "a" * 2048], Refusal.NOT_A_SPIFFE_ID, "at most 2048 bytes"),
    "empty": ([""], Refusal.NOT_A_SPIFFE_ID, "begins with `spiffe://`"),
}


@pytest.mark.parametrize("case", NAMES)
def test_leaf_names_exactly_one_workload(case: str) -> None:
    names, code, message = NAMES[case]

    got = refusal(leaf(W.middle, uris=names, dns=["web.shop"]), W.middle)

    assert got.code is code
    assert message in got.message


# -- what the leaf may be used for ----------------------------------------------------------

USES: dict[str, tuple[Callable[[], Party], Refusal, str]] = {
    "a CA certificate": (
        lambda: leaf(W.middle, basic=x509.BasicConstraints(ca=True, path_length=None)),
        Refusal.CA_AS_LEAF,
        "CA certificate",
    ),
    "a real intermediate with a workload's ID": (
        lambda: authority("x", W.middle, uris=[WEB]),
        Refusal.CA_AS_LEAF,
        "CA certificate",
    ),
    "no key usage": (lambda: leaf(W.middle, key_usage=None), Refusal.KEY_USAGE, "is missing"),
    "key usage not critical": (
        lambda: leaf(W.middle, key_usage_critical=False),
        Refusal.KEY_USAGE,
        "is not marked critical",
    ),
    "keyCertSign": (
        lambda: leaf(W.middle, key_usage=usage("digital_signature", "key_cert_sign")),
        Refusal.KEY_USAGE,
        "allows signing",
    ),
    "cRLSign": (
        lambda: leaf(W.middle, key_usage=usage("digital_signature", "crl_sign")),
        Refusal.KEY_USAGE,
        "allows signing",
    ),
    "no digitalSignature": (
        lambda: leaf(W.middle, key_usage=usage("key_encipherment")),
        Refusal.KEY_USAGE,
        "leaves out digitalSignature",
    ),
    "serverAuth only": (
        lambda: leaf(W.middle, purposes=[ExtendedKeyUsageOID.SERVER_AUTH]),
        Refusal.EXTENDED_KEY_USAGE,
        "leaves out clientAuth",
    ),
    "any purpose": (
        lambda: leaf(W.middle, purposes=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]),
        Refusal.EXTENDED_KEY_USAGE,
        "leaves out clientAuth",
    ),
}


@pytest.mark.parametrize("case", USES)
def test_leaf_is_for_authenticating_and_nothing_more(case: str) -> None:
    make, code, message = USES[case]

    got = refusal(make(), W.middle)

    assert got.code is code
    assert message in got.message


# -- who may sign -----------------------------------------------------------------------------

SIGNERS: dict[str, tuple[Callable[[], Party], str]] = {
    "a workload's ID": (lambda: authority("m", W.root, uris=[WEB]), "is not `spiffe://prod.example.org`"),
    "a path that is only a slash": (
        lambda: authority("m", W.root, uris=[f"spiffe://{DOMAIN}/"]),
        "is not `spiffe://prod.example.org`",
    ),
    "another trust domain": (
        lambda: authority("m", W.root, uris=[f"spiffe://{PARTNER}"]),
        "is not `spiffe://prod.example.org`",
    ),
    "one URI too many": (
        lambda: authority("m", W.root, uris=[f"spiffe://{DOMAIN}", WEB]),
        "is not `spiffe://prod.example.org`",
    ),
    "cA false": (
        lambda: authority("m", W.root, basic=x509.BasicConstraints(ca=False, path_length=None)),
        "is not a CA certificate",
    ),
    "no basic constraints": (lambda: authority("m", W.root, basic=None), "has no basic constraints"),
    "no keyCertSign": (
        lambda: authority("m", W.root, key_usage=usage("crl_sign")),
        "does not allow signing certificates",
    ),
    "no key usage": (lambda: authority("m", W.root, key_usage=None), "has no key usage"),
    "a workload": (lambda: leaf(W.root, name="m"), "is not a CA certificate"),
}


@pytest.mark.parametrize("case", SIGNERS)
def test_certificate_that_may_not_sign_makes_no_callers(case: str) -> None:
    make, message = SIGNERS[case]
    signer = make()

    got = refusal(leaf(signer), signer)

    assert got.code is Refusal.SIGNING_CERTIFICATE
    assert got.message.startswith("the signing certificate `CN=m` is refused: ")
    assert message in got.message


def test_descendants_of_a_certificate_that_may_not_sign_make_no_callers() -> None:
    workload = authority("m", W.root, uris=[WEB])
    lower = authority("lower", workload)

    assert refusal(leaf(lower), lower, workload).code is Refusal.SIGNING_CERTIFICATE


def test_chain_around_a_certificate_that_may_not_sign_is_found() -> None:
    refused = authority("intermediate", W.root, key=W.middle.key, uris=[WEB])

    assert verify(leaf(W.middle), refused, W.middle).id == WEB


@pytest.mark.parametrize(
    "permitted",
    [x509.UniformResourceIdentifier(DOMAIN), x509.DNSName("example.net")],
    ids=["URI, even one that fits", "DNS"],
)
def test_name_constraints_are_honoured_or_refused_never_ignored(permitted: x509.GeneralName) -> None:
    limits = x509.NameConstraints(permitted_subtrees=[permitted], excluded_subtrees=None)
    signer = authority("m", W.root, extra=[(limits, True)])

    assert refusal(leaf(signer, dns=["web.example.org"]), signer).code is Refusal.CHAIN_RULES


def test_unknown_critical_extension_is_refused_on_signer_and_leaf() -> None:
    unknown = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"x"), True)
    signer = authority("m", W.root, extra=[unknown])

    assert refusal(leaf(signer), signer).code is Refusal.CHAIN_RULES
    assert refusal(leaf(W.middle, extra=[unknown]), W.middle).code is Refusal.CHAIN_RULES


def test_path_length_limits_how_many_signers_may_follow() -> None:
    upper = authority("upper", W.root, basic=x509.BasicConstraints(ca=True, path_length=0))
    lower = authority("lower", upper)

    assert verify(leaf(upper), upper).id == WEB
    got = refusal(leaf(lower), lower, upper)
    assert got.code is Refusal.CHAIN_RULES
    assert got.__cause__ is not None  # the library's words are kept for the operator


# -- bounds ----------------------------------------------------------------------------------


def test_longest_chain_is_verified_and_one_more_certificate_is_refused() -> None:
    signers = [W.root]
    for depth in range(MAX_CHAIN_CERTIFICATES):
        signers.append(authority(f"depth {depth}", signers[-1]))
    longest, beyond = signers[1:-1], signers[1:]

    assert verify(leaf(longest[-1]), *longest).id == WEB
    assert len(longest) + 1 == MAX_CHAIN_CERTIFICATES
    got = refusal(leaf(beyond[-1]), *beyond)
    assert got.code is Refusal.TOO_LARGE
    assert f"at most {MAX_CHAIN_CERTIFICATES}" in got.message


def _leaf_of_size(wanted: int) -> Party:
    padding = wanted - 700
    while True:  # the signature's own length varies by a byte or two
        filler = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"x" * padding)
        made = leaf(W.middle, extra=[(filler, False)])
        if len(made.der) == wanted:
            return made
        padding += wanted - len(made.der)


def test_largest_certificate_is_read_and_one_byte_more_is_refused() -> None:
    assert verify(_leaf_of_size(MAX_CERTIFICATE_BYTES), W.middle).id == WEB

    got = refusal(_leaf_of_size(MAX_CERTIFICATE_BYTES + 1), W.middle)
    assert got.code is Refusal.TOO_LARGE
    assert f"at most {MAX_CERTIFICATE_BYTES}" in got.message


@pytest.mark.parametrize("where", ["leaf", "intermediate"])
def test_certificate_of_a_megabyte_is_refused_unread(where: str) -> None:
    filler = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"x" * 1_000_000)
    if where == "leaf":
        chain = (leaf(W.middle, extra=[(filler, False)]), W.middle)
    else:
        big = authority("big", W.root, extra=[(filler, False)])
        chain = (leaf(big), big)

    assert refusal(*chain).code is Refusal.TOO_LARGE


# -- fingerprints ---------------------------------------------------------------------------


def test_holder_of_a_certificate_can_change_its_fingerprint_and_nothing_else() -> None:
    """Why nobody may be refused by fingerprint: (r, s) and (r, order - s) are both valid."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256, FIPS 186-4
    web = leaf(W.middle)
    r, s = decode_dss_signature(web.certificate.signature)
    twin = encode_dss_signature(r, order - s)
    signature = b"\x03" + bytes([len(twin) + 1]) + b"\x00" + twin
    body = web.certificate.tbs_certificate_bytes + bytes.fromhex("300a06082a8648ce3d040302") + signature
    variant = b"\x30\x82" + len(body).to_bytes(2, "big") + body

    first, second = verify(web, W.middle), verify_caller(variant, [W.middle.der], SPIFFE_ONLY, NOW)

    assert first.fingerprint != second.fingerprint
    assert first == msgspec.structs.replace(second, fingerprint=first.fingerprint)


# -- malformed ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "junk",
    [b"", b"\x30", b"\x30\x80", b"hello", b"\x00" * 64, b"\xff" * 64],
    ids=["empty", "cut", "indefinite", "text", "zeros", "ones"],
)
def test_bytes_that_are_no_certificate_are_malformed(junk: bytes) -> None:
    for leaf_der, extra in ((junk, [W.middle.der]), (leaf(W.middle).der, [W.middle.der, junk])):
        with pytest.raises(UntrustedCertificateError, match="is malformed") as caught:
            verify_caller(leaf_der, extra, SPIFFE_ONLY, NOW)
        assert caught.value.code is Refusal.MALFORMED


def test_pem_where_der_belongs_is_malformed() -> None:
    with pytest.raises(UntrustedCertificateError) as caught:
        verify_caller(leaf(W.middle).pem, [], SPIFFE_ONLY, NOW)

    assert caught.value.code is Refusal.MALFORMED


def test_certificate_with_bytes_behind_it_is_malformed() -> None:
    with pytest.raises(UntrustedCertificateError) as caught:
        verify_caller(leaf(W.middle).der + b"\0", [W.middle.der], SPIFFE_ONLY, NOW)

    assert caught.value.code is Refusal.MALFORMED


def test_connection_without_a_certificate_is_a_refusal_and_no_crash() -> None:
    """What `getpeercert` gives then is None, whatever the types say."""
    with pytest.raises(UntrustedCertificateError) as caught:
        verify_caller(None, [], SPIFFE_ONLY, NOW)  # type: ignore[arg-type]

    assert caught.value.code is Refusal.MALFORMED


class PanicException(BaseException):
    """What PyO3 raises, and does not let anybody import."""


class _Raising(list[bytes]):
    def __init__(self, problem: BaseException) -> None:
        super().__init__()
        self._problem = problem

    def __iter__(self) -> Iterator[bytes]:
        raise self._problem


@pytest.mark.parametrize("problem", [MemoryError(), RecursionError(), RuntimeError("x"), PanicException()])
def test_whatever_breaks_on_the_way_is_a_refusal(problem: BaseException) -> None:
    with pytest.raises(UntrustedCertificateError) as caught:
        verify_caller(leaf(W.middle).der, _Raising(problem), SPIFFE_ONLY, NOW)

    assert caught.value.code is Refusal.MALFORMED
    assert caught.value.__cause__ is problem


def test_request_to_stop_is_no_refusal() -> None:
    with pytest.raises(KeyboardInterrupt):
        verify_caller(leaf(W.middle).der, _Raising(KeyboardInterrupt()), SPIFFE_ONLY, NOW)


# -- DNS identities -----------------------------------------------------------------------------


def test_leaf_with_one_dns_name_is_a_dns_caller_where_those_are_trusted() -> None:
    caller = verify(leaf(W.dns_root, uris=[], dns=["DB1.Example.org"]), trust=W.trust)

    assert (caller.kind, caller.id, caller.trust_domain) == (CallerKind.DNS, "dns:db1.example.org", "")
    assert caller.segments == ("db1", "example", "org")


def test_dns_identities_are_off_unless_their_roots_are_given() -> None:
    web = leaf(W.dns_root, uris=[], dns=["db1.example.org"])
    none = TrustStore(domains={}, dns=())

    assert refusal(web).code is Refusal.NO_URI
    assert refusal(web, trust=none).code is Refusal.UNTRUSTED_CHAIN


@pytest.mark.parametrize("names", [[], ["a.test", "b.test"], ["*.example.org"], ["a..b"], ["10.0.0.1/8"]])
def test_leaf_without_exactly_one_plain_dns_name_is_no_dns_caller(names: list[str]) -> None:
    got = refusal(leaf(W.dns_root, uris=[], dns=names, ips=["10.0.0.1"]), trust=W.trust)

    assert got.code is Refusal.NOT_A_DNS_IDENTITY


def test_leaf_with_a_uri_never_falls_back_to_its_dns_name() -> None:
    for uris in (["https://example.org"], [WEB, WEB]):
        got = refusal(leaf(W.dns_root, uris=uris, dns=["db1.example.org"]), trust=W.trust)
        assert got.code in {Refusal.NOT_A_SPIFFE_ID, Refusal.SEVERAL_URIS}


def test_signer_of_dns_identities_has_no_uri() -> None:
    signer = authority("m", W.dns_root, uris=[f"spiffe://{DOMAIN}"])

    got = refusal(leaf(signer, uris=[], dns=["db1"]), signer, trust=W.trust)

    assert got.code is Refusal.SIGNING_CERTIFICATE


# -- messages --------------------------------------------------------------------------------------


def test_message_never_carries_control_characters_from_a_certificate() -> None:
    signer = authority("evil\x1b[2J\u202e", W.root, uris=[WEB])

    got = refusal(leaf(signer), signer)

    assert "evil" in got.message
    assert got.message.isprintable()
