"""What proxies forward is read as they write it, in every form, and verified again by nobody but us.

What one form alone has is in `test_forwarded_forms.py`.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.identity.forwarded.chain import ForwardedChain
from pdp.identity.forwarded.forms import FORMS, read_forwarded
from pdp.identity.forwarded.refusal import ForwardedError, ForwardedFault
from pdp.identity.x509 import Refusal, UntrustedCertificateError, verify_caller
from pdp.limits import MAX_CHAIN_CERTIFICATES, MAX_HEAD_BYTES
from pdp.principals import Principal, PrincipalKind
from pdp.vocabulary import EvidenceKind
from tests.identity.forwarding import (
    CERTIFICATES,
    DIRECT,
    MESH,
    MIDDLE,
    OURS,
    RIGHT,
    SHOWN,
    SINGLE,
    TRUST,
    read,
    refused,
    replaced,
    told,
    value_of,
)
from tests.identity.mint import DAY, NOW, WEB, authority, leaf
from tests.identity.proxies import CHAINS, base64_of, client_cert, traefik

EACH = pytest.mark.parametrize("form", FORMS.values(), ids=lambda form: form.value)


# -- what proxies write --------------------------------------------------------------------


@pytest.mark.parametrize("form", CERTIFICATES, ids=lambda form: form.value)
def test_what_a_proxy_forwards_is_what_was_shown_to_it(form: EvidenceKind) -> None:
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
def test_what_a_proxy_has_verified_is_verified_again(form: EvidenceKind, shown, why: Refusal) -> None:
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
    found = read(EvidenceKind.LINKERD, [(b"l5d-client-id", text.encode())])

    assert isinstance(found, Principal)
    assert (found.kind, found.id) == (kind, ident)


def test_xfcc_names_a_workload_for_us_and_nobody_can_forget_to_ask() -> None:
    lines = RIGHT[EvidenceKind.XFCC]

    assert read_forwarded(EvidenceKind.XFCC, lines, ours=OURS).id == WEB
    with pytest.raises(ForwardedError) as elsewhere:
        read_forwarded(EvidenceKind.XFCC, lines, ours=WEB)
    with pytest.raises(ValueError, match="our own SPIFFE ID"):
        read_forwarded(EvidenceKind.XFCC, lines)

    assert elsewhere.value.fault is ForwardedFault.ELSEWHERE


@pytest.mark.parametrize("form", CERTIFICATES, ids=lambda form: form.value)
@given(chain=st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=8, unique=True))
def test_whatever_is_written_as_a_proxy_does_is_read_as_it_was(
    form: EvidenceKind, chain: list[bytes]
) -> None:
    """Any octets: whether they are certificates is for whoever verifies them."""
    write, whole = CHAINS[form.value]

    assert read(form, write(chain)) == ForwardedChain(chain[0], tuple(chain[1:]) if whole else ())


@pytest.mark.parametrize("form", CERTIFICATES, ids=lambda form: form.value)
@given(data=st.data())
def test_a_change_in_any_place_is_refused_or_is_another_text_for_nothing_else(
    form: EvidenceKind, data: st.DataObject
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
    if form is EvidenceKind.CLIENT_CERT:
        assert changed.replace(b" ", b"").replace(b"\t", b"").startswith(again.partition(b", ")[0])
    else:
        assert again.lower() == changed.lower()


# -- rules of every form -------------------------------------------------------------------


@EACH
def test_no_header_is_nobody(form: EvidenceKind) -> None:
    others = [(name, value) for name, value in RIGHT[form] if name != SINGLE[form]]

    for headers in ([], others, [(b"host", b"a"), (b"cookie", b"x")]):
        assert refused(form, headers).fault is ForwardedFault.MISSING


@EACH
def test_a_header_of_another_form_is_nobody(form: EvidenceKind) -> None:
    for other, lines in RIGHT.items():
        if other is not form:
            assert refused(form, lines).fault is ForwardedFault.MISSING


@EACH
def test_headers_of_other_forms_are_not_looked_at(form: EvidenceKind) -> None:
    others = [line for other, lines in RIGHT.items() for line in lines if other is not form]
    hostile = [(name, b"\xff{$" + value) for name, value in others]

    assert read(form, [*hostile, *RIGHT[form], *hostile]) == read(form, RIGHT[form])


@EACH
def test_several_lines_are_nobody_whatever_their_case(form: EvidenceKind) -> None:
    name, value = SINGLE[form], value_of(form)

    for again in ((name, value), (name.upper(), value), (name.title(), b"")):
        for headers in ([*RIGHT[form], again], [again, *RIGHT[form]]):
            error = refused(form, headers)
            assert error.fault is ForwardedFault.INVALID
            assert "more than once" in error.message


@EACH
def test_capitals_in_a_name_are_the_same_name(form: EvidenceKind) -> None:
    assert read(form, [(name.title(), value) for name, value in RIGHT[form]]) == read(form, RIGHT[form])


@EACH
def test_a_name_with_underscores_is_another_name(form: EvidenceKind) -> None:
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
@EACH
def test_a_value_of_no_form_is_refused_with_the_reason(form: EvidenceKind, value: bytes, why: str) -> None:
    error = refused(form, replaced(form, value))

    assert error.fault is ForwardedFault.INVALID
    assert error.message.startswith(f"`{SINGLE[form].decode()}` is refused: ")
    assert why in error.message


@EACH
def test_a_value_may_be_as_long_as_the_bound(form: EvidenceKind) -> None:
    """It is refused all the same, but not for its length."""
    assert "bytes" not in refused(form, replaced(form, b"?" * MAX_HEAD_BYTES)).message


@EACH
def test_two_values_joined_by_a_comma_are_not_one(form: EvidenceKind) -> None:
    value = value_of(form)
    commas = {b",", b", ", b" ,\t"}
    if form is EvidenceKind.TRAEFIK:  # its form is such a list: there these are the certificates in it
        found = read(form, replaced(form, value + b"," + value))
        assert found == ForwardedChain(SHOWN[0], tuple([*SHOWN, *SHOWN][1:]))
        commas -= {b","}

    for comma in commas:
        assert refused(form, replaced(form, value + comma + value)).fault is ForwardedFault.INVALID


@EACH
def test_nothing_of_a_value_is_told(form: EvidenceKind) -> None:
    for secret in (b"secret", b"SECRET;secret", b":secret:;secret", b"FAILED:secret", b"-----BEGIN secret"):
        for name, value in RIGHT[form]:
            for changed in (secret, value + secret, secret + value, value[:9] + secret + value[9:]):
                headers = [(found, changed if found == name else v) for found, v in RIGHT[form]]
                assert "secret" not in told(form, headers).lower()


@pytest.mark.parametrize(
    ("form", "write"),
    [(EvidenceKind.TRAEFIK, traefik), (EvidenceKind.CLIENT_CERT, client_cert)]
    + [(form, CHAINS[form.value][0]) for form in (EvidenceKind.ALB_PASSTHROUGH,)],
)
def test_a_chain_has_a_bound(form: EvidenceKind, write) -> None:
    chain = [bytes([number]) for number in range(MAX_CHAIN_CERTIFICATES + 1)]

    found = read(form, write(chain[:-1]))
    error = refused(form, write(chain))

    assert isinstance(found, ForwardedChain)
    assert [found.leaf, *found.intermediates] == chain[:-1]
    assert f"more than {MAX_CHAIN_CERTIFICATES} certificates" in error.message


@pytest.mark.parametrize("form", CERTIFICATES, ids=lambda form: form.value)
def test_a_certificate_is_written_in_one_way(form: EvidenceKind) -> None:
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
