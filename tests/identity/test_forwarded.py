"""What proxies forward is read as they write it, in every form, and verified again by nobody but us."""

from collections.abc import Sequence
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.identity.forwarded.chain import ForwardedChain
from pdp.identity.forwarded.forms import VOUCHED_FOR, ForwardedForm, read_forwarded
from pdp.identity.forwarded.nginx import NginxHeaders
from pdp.identity.forwarded.refusal import ForwardedError, ForwardedFault
from pdp.identity.trust import TrustStore
from pdp.identity.x509 import Refusal, UntrustedCertificateError, verify_caller
from pdp.limits import MAX_CHAIN_CERTIFICATES, MAX_HEAD_BYTES
from pdp.principals import Principal, PrincipalKind
from tests.identity.mint import DAY, DOMAIN, NOW, WEB, authority, leaf
from tests.identity.proxies import CHAINS, Line, base64_of, client_cert, nginx, traefik

OURS = f"spiffe://{DOMAIN}/ns/pdp/sa/pdp"
MESH = "web.shop.serviceaccount.identity.linkerd.cluster.local"
ROOT = authority("root", uris=[f"spiffe://{DOMAIN}"])
MIDDLE = authority("intermediate", ROOT)
SHOWN = [leaf(MIDDLE).der, MIDDLE.der]
TRUST = TrustStore(domains={DOMAIN: (ROOT.certificate,)})
DIRECT = TrustStore(domains={DOMAIN: (MIDDLE.certificate,)})  # for the forms that hold the leaf alone
CERTIFICATES = [form for form in ForwardedForm if form not in VOUCHED_FOR]
#: One header of each form, as it is right.
RIGHT: dict[ForwardedForm, list[Line]] = {
    ForwardedForm.XFCC: [(b"x-forwarded-client-cert", f"By={OURS};URI={WEB}".encode())],
    ForwardedForm.LINKERD: [(b"l5d-client-id", MESH.encode())],
    **{form: CHAINS[form.value][0](SHOWN) for form in CERTIFICATES},
}
#: The header that has to be there once, in each form.
SINGLE = {form: lines[0][0] for form, lines in RIGHT.items()} | {
    ForwardedForm.ALB: b"x-amzn-mtls-clientcert-leaf"
}
FORMS = pytest.mark.parametrize("form", ForwardedForm, ids=lambda form: form.value)


def read(form: ForwardedForm, headers: Sequence[Line]) -> ForwardedChain | Principal:
    return read_forwarded(form, headers, ours=OURS)


def refused(form: ForwardedForm, headers: Sequence[Line]) -> ForwardedError:
    with pytest.raises(ForwardedError) as error:
        read(form, headers)
    assert error.value.message.isprintable()
    return error.value


def told(form: ForwardedForm, headers: Sequence[Line]) -> str:
    """What is said of them, if they are refused."""
    try:
        read(form, headers)
    except ForwardedError as error:
        return error.message
    return ""


def replaced(form: ForwardedForm, value: bytes) -> list[Line]:
    """What is right, but for the value of the header that has to be there once."""
    return [(name, value if name == SINGLE[form] else before) for name, before in RIGHT[form]]


def value_of(form: ForwardedForm) -> bytes:
    return dict(RIGHT[form])[SINGLE[form]]


# -- what proxies write --------------------------------------------------------------------


@pytest.mark.parametrize("form", CERTIFICATES, ids=lambda form: form.value)
def test_what_a_proxy_forwards_is_what_was_shown_to_it(form: ForwardedForm) -> None:
    found = read(form, RIGHT[form])

    whole = CHAINS[form.value][1]
    assert found == ForwardedChain(SHOWN[0], tuple(SHOWN[1:]) if whole else ())
    caller = verify_caller(found.leaf, found.intermediates, TRUST if whole else DIRECT, NOW)
    assert caller.id == WEB


@pytest.mark.parametrize("form", CERTIFICATES, ids=lambda form: form.value)
@pytest.mark.parametrize(
    ("shown", "why"),
    [
        (leaf(authority("other")), Refusal.UNTRUSTED_CHAIN),
        (leaf(MIDDLE, end=NOW - DAY / 48), Refusal.EXPIRED),
        (leaf(MIDDLE, uris=["spiffe://other.example.org/x"]), Refusal.UNKNOWN_TRUST_DOMAIN),
    ],
    ids=["forged", "expired", "foreign"],
)
def test_what_a_proxy_has_verified_is_verified_again(form: ForwardedForm, shown, why: Refusal) -> None:
    found = read(form, CHAINS[form.value][0]([shown.der]))

    assert isinstance(found, ForwardedChain)
    with pytest.raises(UntrustedCertificateError) as error:
        verify_caller(found.leaf, found.intermediates, DIRECT, NOW)
    assert error.value.code is why


@pytest.mark.parametrize(
    ("text", "kind", "ident"),
    [
        (MESH, PrincipalKind.DNS, f"dns:{MESH}"),
        (WEB, PrincipalKind.SPIFFE, WEB),
        ("a.b", PrincipalKind.DNS, "dns:a.b"),
        ("10.example", PrincipalKind.DNS, "dns:10.example"),
    ],
)
def test_linkerd_names_a_workload(text: str, kind: PrincipalKind, ident: str) -> None:
    found = read(ForwardedForm.LINKERD, [(b"l5d-client-id", text.encode())])

    assert isinstance(found, Principal)
    assert (found.kind, found.id) == (kind, ident)


def test_xfcc_names_a_workload_for_us_and_nobody_can_forget_to_ask() -> None:
    lines = RIGHT[ForwardedForm.XFCC]

    assert read_forwarded(ForwardedForm.XFCC, lines, ours=OURS).id == WEB
    with pytest.raises(ForwardedError) as elsewhere:
        read_forwarded(ForwardedForm.XFCC, lines, ours=WEB)
    with pytest.raises(ValueError, match="our own SPIFFE ID"):
        read_forwarded(ForwardedForm.XFCC, lines)

    assert elsewhere.value.fault is ForwardedFault.ELSEWHERE


@pytest.mark.parametrize("form", CERTIFICATES, ids=lambda form: form.value)
@given(chain=st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=8, unique=True))
def test_whatever_is_written_as_a_proxy_does_is_read_as_it_was(
    form: ForwardedForm, chain: list[bytes]
) -> None:
    """Any octets: whether they are certificates is for whoever verifies them."""
    write, whole = CHAINS[form.value]

    assert read(form, write(chain)) == ForwardedChain(chain[0], tuple(chain[1:]) if whole else ())


@pytest.mark.parametrize("form", CERTIFICATES, ids=lambda form: form.value)
@given(data=st.data())
def test_a_change_in_any_place_is_refused_or_is_another_text_for_nothing_else(
    form: ForwardedForm, data: st.DataObject
) -> None:
    """Every chain is written in one way, but for the case of escapes, and what RFC 9651 has one ignore."""
    chain = data.draw(st.lists(st.binary(min_size=1, max_size=100), min_size=1, max_size=3, unique=True))
    lines = CHAINS[form.value][0](chain)
    which = data.draw(st.integers(0, len(lines) - 1))
    name, value = lines[which]
    at = data.draw(st.integers(0, len(value)))
    length = data.draw(st.integers(0, 1))
    changed = value[:at] + data.draw(st.binary(max_size=2)) + value[at + length :]
    try:
        found = read(form, [*lines[:which], (name, changed), *lines[which + 1 :]])
    except ForwardedError:
        return
    if name.endswith((b"-number", b"-issuer", b"-subject", b"-validity")):
        return
    again = dict(CHAINS[form.value][0]([found.leaf, *found.intermediates]))[name]
    if form is ForwardedForm.CLIENT_CERT:
        assert changed.replace(b" ", b"").replace(b"\t", b"").startswith(again.partition(b", ")[0])
    else:
        assert again.lower() == changed.lower()


# -- rules of every form -------------------------------------------------------------------


@FORMS
def test_no_header_is_nobody(form: ForwardedForm) -> None:
    others = [(name, value) for name, value in RIGHT[form] if name != SINGLE[form]]

    for headers in ([], others, [(b"host", b"a"), (b"cookie", b"x")]):
        assert refused(form, headers).fault is ForwardedFault.MISSING


@FORMS
def test_a_header_of_another_form_is_nobody(form: ForwardedForm) -> None:
    for other, lines in RIGHT.items():
        if other is not form:
            assert refused(form, lines).fault is ForwardedFault.MISSING


@FORMS
def test_headers_of_other_forms_are_not_looked_at(form: ForwardedForm) -> None:
    others = [line for other, lines in RIGHT.items() for line in lines if other is not form]
    hostile = [(name, b"\xff{$" + value) for name, value in others]

    assert read(form, [*hostile, *RIGHT[form], *hostile]) == read(form, RIGHT[form])


@FORMS
def test_several_lines_are_nobody_whatever_their_case(form: ForwardedForm) -> None:
    name, value = SINGLE[form], value_of(form)

    for again in ((name, value), (name.upper(), value), (name.title(), b"")):
        for headers in ([*RIGHT[form], again], [again, *RIGHT[form]]):
            error = refused(form, headers)
            assert error.fault is ForwardedFault.INVALID
            assert "more than once" in error.message


@FORMS
def test_capitals_in_a_name_are_the_same_name(form: ForwardedForm) -> None:
    assert read(form, [(name.title(), value) for name, value in RIGHT[form]]) == read(form, RIGHT[form])


@FORMS
def test_a_name_with_underscores_is_another_name(form: ForwardedForm) -> None:
    headers = [(name.replace(b"-", b"_"), value) for name, value in RIGHT[form]]

    assert refused(form, headers).fault is ForwardedFault.MISSING


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"", "it is empty"),
        (b" ", "it is empty"),
        (b"\t \t", "it is empty"),
        (b"\xc3\xa9", "beyond ASCII"),
        (b"a\xff", "beyond ASCII"),
        (b"a\x00", "a control character"),
        (b"a\r\nb", "a control character"),
        (b"a\nb", "a control character"),
        (b"\x7f", "a control character"),
        (b"\x1f", "a control character"),
        (b"{http.request.tls.client.certificate_der_base64}", "a placeholder"),
        (b":{http.request.tls.client.certificate_der_base64}:", "a placeholder"),
        (b"%[ssl_c_der,base64]", "a placeholder"),
        (b":%[ssl_c_der,base64]:", "a placeholder"),
        (b"$ssl_client_escaped_cert", "a placeholder"),
        (b"${DOWNSTREAM_PEER_CERT}", "a placeholder"),
        (b"%{SSL_CLIENT_CERT}s", "a placeholder"),
        (b"%DOWNSTREAM_PEER_CERT%", "a placeholder"),
        (b":%REQ(client-cert)%:", "a placeholder"),
        (b"a" * (MAX_HEAD_BYTES + 1), f"more than {MAX_HEAD_BYTES} bytes"),
    ],
)
@FORMS
def test_a_value_of_no_form_is_refused_with_the_reason(form: ForwardedForm, value: bytes, why: str) -> None:
    error = refused(form, replaced(form, value))

    assert error.fault is ForwardedFault.INVALID
    assert error.message.startswith(f"`{SINGLE[form].decode()}` is refused: ")
    assert why in error.message


@FORMS
def test_a_value_may_be_as_long_as_the_bound(form: ForwardedForm) -> None:
    """It is refused all the same, but not for its length."""
    assert "bytes" not in refused(form, replaced(form, b"?" * MAX_HEAD_BYTES)).message


@FORMS
def test_two_values_joined_by_a_comma_are_not_one(form: ForwardedForm) -> None:
    value = value_of(form)
    commas = {b",", b", ", b" ,\t"}
    if form is ForwardedForm.TRAEFIK:  # its form is such a list: there these are the certificates in it
        found = read(form, replaced(form, value + b"," + value))
        assert found == ForwardedChain(SHOWN[0], tuple([*SHOWN, *SHOWN][1:]))
        commas -= {b","}

    for comma in commas:
        assert refused(form, replaced(form, value + comma + value)).fault is ForwardedFault.INVALID


@FORMS
def test_nothing_of_a_value_is_told(form: ForwardedForm) -> None:
    for secret in (b"secret", b"SECRET;secret", b":secret:;secret", b"FAILED:secret", b"-----BEGIN secret"):
        for name, value in RIGHT[form]:
            for changed in (secret, value + secret, secret + value, value[:9] + secret + value[9:]):
                headers = [(found, changed if found == name else v) for found, v in RIGHT[form]]
                assert "secret" not in told(form, headers).lower()


@pytest.mark.parametrize(
    ("form", "write"),
    [(ForwardedForm.TRAEFIK, traefik), (ForwardedForm.CLIENT_CERT, client_cert)]
    + [(form, CHAINS[form.value][0]) for form in (ForwardedForm.ALB_PASSTHROUGH,)],
)
def test_a_chain_has_a_bound(form: ForwardedForm, write) -> None:
    chain = [bytes([number]) for number in range(MAX_CHAIN_CERTIFICATES + 1)]

    found = read(form, write(chain[:-1]))
    error = refused(form, write(chain))

    assert isinstance(found, ForwardedChain)
    assert [found.leaf, *found.intermediates] == chain[:-1]
    assert f"more than {MAX_CHAIN_CERTIFICATES} certificates" in error.message


@pytest.mark.parametrize("form", CERTIFICATES, ids=lambda form: form.value)
def test_a_certificate_is_written_in_one_way(form: ForwardedForm) -> None:
    """Base64 without its padding, with bits left over, of another alphabet, or of nothing."""
    for text, why in [
        ("AA", "not base64"), ("AA=", "not base64"), ("AAA", "not base64"), ("AB==", "canonical"),
        ("AAB=", "canonical"), ("AA==AA==", "not base64"), ("A-_A", ""), ("====", ""), ("A===", "not base64"),
    ]:  # fmt: skip
        value = value_of(form).decode()
        body = base64_of(SHOWN[0])
        if "BEGIN" in value:
            escaped = text.replace("=", "%3D")
            value = f"-----BEGIN%20CERTIFICATE-----%0A{escaped}%0A-----END%20CERTIFICATE-----%0A"
        else:
            assert body in value
            value = value.replace(body, text)
        error = refused(form, replaced(form, value.encode()))
        assert error.fault is ForwardedFault.INVALID
        assert why in error.message


# -- nginx ---------------------------------------------------------------------------------

PEM = dict(nginx(SHOWN))[b"ssl-client-cert"]


def nginx_refused(certificate: bytes = PEM, verify: bytes = b"SUCCESS") -> ForwardedError:
    return refused(ForwardedForm.NGINX, [(b"ssl-client-cert", certificate), (b"ssl-client-verify", verify)])


FAILED = "nginx says `FAILED`, it did not verify the certificate"


@pytest.mark.parametrize(
    ("said", "fault", "why"),
    [
        (b"NONE", ForwardedFault.MISSING, "nginx says `NONE`: no certificate was shown to it"),
        (b"FAILED:certificate has expired", ForwardedFault.INVALID, f"{FAILED}: certificate has expired"),
        (b"FAILED:something else", ForwardedFault.INVALID, FAILED),
        (b"FAILED", ForwardedFault.INVALID, FAILED),
        (b"FAILED:", ForwardedFault.INVALID, FAILED),
    ],
)
def test_what_nginx_says_is_told(said: bytes, fault: ForwardedFault, why: str) -> None:
    error = nginx_refused(verify=said)

    assert error.fault is fault
    assert error.message.endswith(why)


@pytest.mark.parametrize(
    "said",
    [
        b"success", b"Success", b" SUCCESS", b"SUCCESS ", b"\tSUCCESS", b"SUCCESS,SUCCESS", b"SUCCESS:",
        b"none", b"SUCCESS, FAILED:x", b"failed:x", b"FAILEDx", b"OK", b"1", b"0", b"true", b"NONE ",
        b"SUCCESSFAILED",
    ],
)  # fmt: skip
def test_nothing_but_success_is_success(said: bytes) -> None:
    error = nginx_refused(verify=said)

    assert error.fault is ForwardedFault.INVALID
    assert error.message.endswith("it says neither `SUCCESS` nor `FAILED` nor `NONE`")


def test_neither_header_of_nginx_is_anything_without_the_other() -> None:
    certificate, verify = nginx(SHOWN)

    assert "`ssl-client-verify` is missing" in refused(ForwardedForm.NGINX, [certificate]).message
    assert "`ssl-client-cert` is missing" in refused(ForwardedForm.NGINX, [verify]).message
    assert "more than once" in refused(ForwardedForm.NGINX, [certificate, verify, verify]).message
    assert "more than once" in refused(ForwardedForm.NGINX, [certificate, certificate, verify]).message


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (PEM.replace(b"%20", b"+"), "would have percent-encoded"),  # a form of a page
        (PEM.replace(b"%20", b" "), "would have percent-encoded"),
        (PEM.replace(b"%2B", b"+").replace(b"%2F", b"/"), "would have percent-encoded"),
        (PEM.replace(b"%0A", b"\t"), "would have percent-encoded"),  # `$ssl_client_cert`
        (PEM + b",", "would have percent-encoded"),
        (PEM.replace(b"%0A", b"%0", 1), "hexadecimal"),
        (PEM.replace(b"%0A", b"%0G", 1), "hexadecimal"),
        (PEM + b"%", "hexadecimal"),
        (PEM + b"%4", "hexadecimal"),
        (PEM.replace(b"%0A", b"%250A"), "not PEM"),  # encoded twice
        (PEM.replace(b"%0A", b"%25%30%41"), "not PEM"),
        (PEM.replace(b"%0A", b"%0D%0A"), "not PEM"),
        (PEM.replace(b"%0A", b"%0D%0A", 1), "not PEM"),
        (PEM.replace(b"%0A", b""), "not PEM"),
        (PEM.replace(b"%0A", b"%0A%20", 1), "not PEM"),
        (PEM.replace(b"%0A", b"%0A%0A", 1), "not PEM"),
        (PEM.removesuffix(b"%0A"), "not PEM"),
        (PEM + b"%0A", "not PEM"),
        (PEM + b"%00", "not PEM"),
        (PEM + b"%C3%A9", "not PEM"),
        (b"a" + PEM, "not PEM"),
        (PEM[:200], "not PEM"),
        (PEM.replace(b"CERTIFICATE", b"PRIVATE%20KEY"), "not PEM"),
        (PEM.replace(b"CERTIFICATE", b"X509%20CERTIFICATE"), "not PEM"),
        (b"-----BEGIN%20CERTIFICATE-----%0A-----END%20CERTIFICATE-----%0A", "not PEM"),
        (b"-----BEGIN%20CERTIFICATE-----%0A%0A-----END%20CERTIFICATE-----%0A", "not PEM"),
        (b"-----BEGIN%20CERTIFICATE-----%0AA1-_%0A-----END%20CERTIFICATE-----%0A", "not PEM"),
        (PEM + PEM, "more than one certificate"),
        (b"CERTIFICATE", "not PEM"),
    ],
)
def test_a_certificate_of_nginx_is_read_as_it_is_written(value: bytes, why: str) -> None:
    error = nginx_refused(value)

    assert error.fault is ForwardedFault.INVALID
    assert why in error.message


@pytest.mark.parametrize("width", [1, 4, 60, 63, 65, 68, 76, 10_000])
def test_lines_of_a_certificate_have_64_characters(width: int) -> None:
    """RFC 7468, section 3: generators wrap so; where lines end may not make two texts of one certificate."""
    body = base64_of(SHOWN[0])
    lines = [body[at : at + width] for at in range(0, len(body), width)]
    text = "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])

    assert "lines of 64 characters" in nginx_refused(quote(text, safe="").encode()).message


def test_the_last_line_of_a_certificate_may_be_full() -> None:
    for length in (48, 47, 49, 96):
        assert read(ForwardedForm.NGINX, nginx([b"x" * length])) == ForwardedChain(b"x" * length)
    full = quote(f"-----BEGIN CERTIFICATE-----\n{base64_of(b'x' * 51)}\n-----END CERTIFICATE-----\n", safe="")
    assert "lines of 64 characters" in nginx_refused(full.encode()).message


def test_escapes_in_small_letters_are_the_same() -> None:
    small = (
        PEM.replace(b"%2B", b"%2b").replace(b"%2F", b"%2f").replace(b"%0A", b"%0a").replace(b"%3D", b"%3d")
    )

    assert read(ForwardedForm.NGINX, replaced(ForwardedForm.NGINX, small)) == ForwardedChain(SHOWN[0])


def test_the_operator_names_the_headers_of_nginx() -> None:
    names = NginxHeaders(certificate=b"x-client-cert", verify=b"x-client-verify")
    headers = [(b"x-client-cert", PEM), (b"x-client-verify", b"SUCCESS")]

    assert read_forwarded(ForwardedForm.NGINX, headers, nginx=names) == ForwardedChain(SHOWN[0])
    with pytest.raises(ForwardedError, match="`x-client-verify` is missing"):
        read_forwarded(ForwardedForm.NGINX, RIGHT[ForwardedForm.NGINX], nginx=names)


@pytest.mark.parametrize(
    "names",
    [
        {"certificate": b"a", "verify": b"a"},
        {"certificate": b"Ssl-Client-Cert"},
        {"verify": b"ssl_client_verify"},
        {"verify": b""},
        {"certificate": b"a b"},
    ],
)
def test_names_that_could_be_met_as_others_are_none(names: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match="header"):
        NginxHeaders(**names)


# -- Linkerd -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        MESH.upper(), f"{MESH}.", f" {MESH}", f"{MESH} ", f"{MESH},{MESH}", f"{MESH}, {MESH}", f"{MESH};a=b",
        f'"{MESH}"', f"dns:{MESH}", f"*.{MESH}", "a..b", "-a.b", ".", "a/b", "10.0.0.1", "a.1", "1", "[::1]",
        "::1", f"{'a' * 64}.b", f"a{'.a' * 127}", "K.example\x0b", f"spiffe://{DOMAIN}",
        f"spiffe://{DOMAIN}/", f"{WEB}/", f"{WEB},{WEB}", f"{WEB}?a", f"SPIFFE://{DOMAIN}/a",
        f"https://{DOMAIN}/a", f"spiffe://{DOMAIN}/a/../b", f"URI={WEB}", "anonymous:", "spiffe:",
    ],
)  # fmt: skip
def test_linkerd_names_nobody_in_any_other_text(value: str) -> None:
    assert (
        refused(ForwardedForm.LINKERD, [(b"l5d-client-id", value.encode())]).fault is ForwardedFault.INVALID
    )


# -- Traefik -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + b",",
        lambda text: b"," + text,
        lambda text: text.replace(b",", b",,"),
        lambda text: text.replace(b",", b", "),
        lambda text: text.replace(b",", b";"),
        lambda text: text.replace(b",", b"%2C"),
        lambda text: b" " + text,
        lambda text: text + b" ",
        lambda text: text[:64] + b" " + text[64:],
        lambda text: text.replace(b"+", b"%2B").replace(b"/", b"%2F").replace(b"=", b"%3D") + b"%3D",
        lambda text: b"-----BEGIN CERTIFICATE-----" + text,
        lambda text: b":" + text + b":",
    ],
)
def test_a_chain_of_traefik_is_read_as_it_is_written(change) -> None:
    value = change(value_of(ForwardedForm.TRAEFIK))

    assert (
        refused(ForwardedForm.TRAEFIK, replaced(ForwardedForm.TRAEFIK, value)).fault is ForwardedFault.INVALID
    )


def test_the_summary_of_traefik_is_no_evidence() -> None:
    info = (
        b"x-forwarded-tls-client-cert-info",
        b"Subject%3D%22CN%3Dadmin%22%3BSAN%3D%22spiffe%3A%2F%2Fa%2Fb%22",
    )

    error = refused(ForwardedForm.TRAEFIK, [info])

    assert error.fault is ForwardedFault.MISSING
    assert "is a summary, and no evidence" in error.message
    assert read(ForwardedForm.TRAEFIK, [info, *RIGHT[ForwardedForm.TRAEFIK]]) == ForwardedChain(
        SHOWN[0], (SHOWN[1],)
    )


# -- Application Load Balancer -------------------------------------------------------------


def test_summaries_of_the_balancer_are_no_evidence() -> None:
    *summaries, _ = RIGHT[ForwardedForm.ALB]

    for summary in summaries:
        assert "summaries of a certificate" in refused(ForwardedForm.ALB, [summary]).message


def test_what_one_mode_of_the_balancer_writes_the_other_does_not_take() -> None:
    assert "passthrough mode" in refused(ForwardedForm.ALB, RIGHT[ForwardedForm.ALB_PASSTHROUGH]).message
    assert "verify mode" in refused(ForwardedForm.ALB_PASSTHROUGH, RIGHT[ForwardedForm.ALB]).message


def test_the_leaf_of_the_balancer_is_one_certificate() -> None:
    name = b"x-amzn-mtls-clientcert-leaf"
    both = dict(CHAINS["alb-passthrough"][0](SHOWN))[b"x-amzn-mtls-clientcert"]

    assert "more than one certificate" in refused(ForwardedForm.ALB, [(name, both)]).message


@pytest.mark.parametrize("form", [ForwardedForm.ALB, ForwardedForm.ALB_PASSTHROUGH])
def test_a_plus_of_the_balancer_is_a_plus(form: ForwardedForm) -> None:
    """In base64 it stands as it is; what takes it for a space reads another certificate, or none."""
    der = b"\xfb\xef\xbe" * 30
    value = dict(CHAINS[form.value][0]([der]))[SINGLE[form]]
    assert b"+" in value

    assert read(form, [(SINGLE[form], value)]) == ForwardedChain(der)
    for wrong in (value.replace(b"+", b"%20"), value.replace(b"%20", b"+"), value.replace(b"%20", b" ")):
        assert refused(form, [(SINGLE[form], wrong)]).fault is ForwardedFault.INVALID


# -- RFC 9440 ------------------------------------------------------------------------------


def test_a_chain_without_its_leaf_is_nobody() -> None:
    _, chain = RIGHT[ForwardedForm.CLIENT_CERT]

    error = refused(ForwardedForm.CLIENT_CERT, [chain])

    assert error.fault is ForwardedFault.MISSING
    assert "without the certificate that it belongs to" in error.message


def test_the_leaf_is_not_in_the_chain() -> None:
    error = refused(ForwardedForm.CLIENT_CERT, client_cert([SHOWN[0], SHOWN[1], SHOWN[0]]))

    assert "the client's own certificate" in error.message


def test_a_chain_may_be_spread_over_lines() -> None:
    """RFC 9440, section 2.3: it may occur several times."""
    leaf_line, *_ = client_cert([b"leaf"])
    chain = [(b"client-cert-chain", f":{base64_of(der)}:".encode()) for der in (b"a", b"b", b"c")]

    found = read(ForwardedForm.CLIENT_CERT, [chain[0], leaf_line, *chain[1:]])

    assert found == ForwardedChain(b"leaf", (b"a", b"b", b"c"))


def test_lines_of_a_chain_are_bounded_together() -> None:
    leaf_line, *_ = client_cert([b"leaf"])
    half = f":{base64_of(b'a')}:".encode().ljust(MAX_HEAD_BYTES // 2)
    rest = f":{base64_of(b'b')}:".encode().ljust(MAX_HEAD_BYTES // 2)

    lines = [leaf_line, (b"client-cert-chain", half), (b"client-cert-chain", rest)]

    assert read(ForwardedForm.CLIENT_CERT, lines) == ForwardedChain(b"leaf", (b"a", b"b"))
    longer = [*lines[:2], (b"client-cert-chain", rest + b" ")]
    assert f"more than {MAX_HEAD_BYTES} bytes" in refused(ForwardedForm.CLIENT_CERT, longer).message


@pytest.mark.parametrize("bad", [b"", b" ", b"\xff", b":\x00:", b"{chain}", b"::", b"no", b"(:YQ==:)"])
def test_every_line_of_a_chain_is_right_or_none(bad: bytes) -> None:
    leaf_line, *_ = client_cert([b"leaf"])
    good = (b"client-cert-chain", b":YQ==:")

    for lines in ([good, (b"client-cert-chain", bad)], [(b"client-cert-chain", bad), good]):
        error = refused(ForwardedForm.CLIENT_CERT, [leaf_line, *lines])
        assert error.message.startswith("`client-cert-chain` is refused: ")


def test_quotes_of_two_lines_are_not_a_string() -> None:
    """What is between them would be a parameter, and ignored."""
    leaf_line, *_ = client_cert([b"leaf"])
    lines = [(b"client-cert-chain", b':YQ==:;a="'), (b"client-cert-chain", b':Yg==:;a="')]

    assert refused(ForwardedForm.CLIENT_CERT, [leaf_line, *lines]).fault is ForwardedFault.INVALID
