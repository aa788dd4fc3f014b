"""The rules that one form alone has: what its proxy never writes names nobody."""

from urllib.parse import quote

import pytest

from pdp.identity.forwarded.chain import ForwardedChain
from pdp.identity.forwarded.forms import read_forwarded
from pdp.identity.forwarded.nginx import NginxHeaders
from pdp.identity.forwarded.refusal import ForwardedError, ForwardedFault
from pdp.limits import MAX_HEAD_BYTES
from pdp.vocabulary import EvidenceKind
from tests.identity.forwarding import MESH, RIGHT, SHOWN, SINGLE, read, refused, replaced, value_of
from tests.identity.mint import DOMAIN, WEB
from tests.identity.proxies import CHAINS, base64_of, client_cert, nginx

# -- nginx ---------------------------------------------------------------------------------

PEM = dict(nginx(SHOWN))[b"ssl-client-cert"]


def nginx_refused(certificate: bytes = PEM, verify: bytes = b"SUCCESS") -> ForwardedError:
    return refused(EvidenceKind.NGINX, [(b"ssl-client-cert", certificate), (b"ssl-client-verify", verify)])


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

    assert "`ssl-client-verify` is missing" in refused(EvidenceKind.NGINX, [certificate]).message
    assert "`ssl-client-cert` is missing" in refused(EvidenceKind.NGINX, [verify]).message
    assert "more than once" in refused(EvidenceKind.NGINX, [certificate, verify, verify]).message
    assert "more than once" in refused(EvidenceKind.NGINX, [certificate, certificate, verify]).message


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
        assert read(EvidenceKind.NGINX, nginx([b"x" * length])) == ForwardedChain(b"x" * length)
    full = quote(f"-----BEGIN CERTIFICATE-----\n{base64_of(b'x' * 51)}\n-----END CERTIFICATE-----\n", safe="")
    assert "lines of 64 characters" in nginx_refused(full.encode()).message


def test_escapes_in_small_letters_are_the_same() -> None:
    small = (
        PEM.replace(b"%2B", b"%2b").replace(b"%2F", b"%2f").replace(b"%0A", b"%0a").replace(b"%3D", b"%3d")
    )

    assert read(EvidenceKind.NGINX, replaced(EvidenceKind.NGINX, small)) == ForwardedChain(SHOWN[0])


def test_the_operator_names_the_headers_of_nginx() -> None:
    names = NginxHeaders(certificate=b"x-client-cert", verify=b"x-client-verify")
    headers = [(b"x-client-cert", PEM), (b"x-client-verify", b"SUCCESS")]

    assert read_forwarded(EvidenceKind.NGINX, headers, nginx=names) == ForwardedChain(SHOWN[0])
    with pytest.raises(ForwardedError, match="`x-client-verify` is missing"):
        read_forwarded(EvidenceKind.NGINX, RIGHT[EvidenceKind.NGINX], nginx=names)


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
    assert refused(EvidenceKind.LINKERD, [(b"l5d-client-id", value.encode())]).fault is ForwardedFault.INVALID


def test_a_spiffe_id_of_linkerd_is_refused_as_one() -> None:
    error = refused(EvidenceKind.LINKERD, [(b"l5d-client-id", f"{WEB}/".encode())])

    assert "it is not the SPIFFE ID of a workload: the path has an empty segment" in error.message


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
    value = change(value_of(EvidenceKind.TRAEFIK))

    assert (
        refused(EvidenceKind.TRAEFIK, replaced(EvidenceKind.TRAEFIK, value)).fault is ForwardedFault.INVALID
    )


def test_the_summary_of_traefik_is_no_evidence() -> None:
    info = (
        b"x-forwarded-tls-client-cert-info",
        b"Subject%3D%22CN%3Dadmin%22%3BSAN%3D%22spiffe%3A%2F%2Fa%2Fb%22",
    )

    error = refused(EvidenceKind.TRAEFIK, [info])

    assert error.fault is ForwardedFault.MISSING
    assert "is a summary, and no evidence" in error.message
    assert read(EvidenceKind.TRAEFIK, [info, *RIGHT[EvidenceKind.TRAEFIK]]) == ForwardedChain(
        SHOWN[0], (SHOWN[1],)
    )


# -- Application Load Balancer -------------------------------------------------------------


def test_summaries_of_the_balancer_are_no_evidence() -> None:
    *summaries, _ = RIGHT[EvidenceKind.ALB]

    for summary in summaries:
        assert "summaries of a certificate" in refused(EvidenceKind.ALB, [summary]).message


def test_what_one_mode_of_the_balancer_writes_the_other_does_not_take() -> None:
    assert "passthrough mode" in refused(EvidenceKind.ALB, RIGHT[EvidenceKind.ALB_PASSTHROUGH]).message
    assert "verify mode" in refused(EvidenceKind.ALB_PASSTHROUGH, RIGHT[EvidenceKind.ALB]).message


def test_the_leaf_of_the_balancer_is_one_certificate() -> None:
    name = b"x-amzn-mtls-clientcert-leaf"
    both = dict(CHAINS["alb-passthrough"][0](SHOWN))[b"x-amzn-mtls-clientcert"]

    assert "more than one certificate" in refused(EvidenceKind.ALB, [(name, both)]).message


@pytest.mark.parametrize("form", [EvidenceKind.ALB, EvidenceKind.ALB_PASSTHROUGH])
def test_a_plus_of_the_balancer_is_a_plus(form: EvidenceKind) -> None:
    """In base64 it stands as it is; what takes it for a space reads another certificate, or none."""
    der = b"\xfb\xef\xbe" * 30
    value = dict(CHAINS[form.value][0]([der]))[SINGLE[form]]
    assert b"+" in value

    assert read(form, [(SINGLE[form], value)]) == ForwardedChain(der)
    for wrong in (value.replace(b"+", b"%20"), value.replace(b"%20", b"+"), value.replace(b"%20", b" ")):
        assert refused(form, [(SINGLE[form], wrong)]).fault is ForwardedFault.INVALID


# -- RFC 9440 ------------------------------------------------------------------------------


def test_a_chain_without_its_leaf_is_nobody() -> None:
    _, chain = RIGHT[EvidenceKind.CLIENT_CERT]

    error = refused(EvidenceKind.CLIENT_CERT, [chain])

    assert error.fault is ForwardedFault.MISSING
    assert "without the certificate that it belongs to" in error.message


def test_the_leaf_is_not_in_the_chain() -> None:
    error = refused(EvidenceKind.CLIENT_CERT, client_cert([SHOWN[0], SHOWN[1], SHOWN[0]]))

    assert "the client's own certificate" in error.message


def test_a_chain_may_be_spread_over_lines() -> None:
    """RFC 9440, section 2.3: it may occur several times."""
    leaf_line, *_ = client_cert([b"leaf"])
    chain = [(b"client-cert-chain", f":{base64_of(der)}:".encode()) for der in (b"a", b"b", b"c")]

    found = read(EvidenceKind.CLIENT_CERT, [chain[0], leaf_line, *chain[1:]])

    assert found == ForwardedChain(b"leaf", (b"a", b"b", b"c"))


def test_lines_of_a_chain_are_bounded_together() -> None:
    leaf_line, *_ = client_cert([b"leaf"])
    half = f":{base64_of(b'a')}:".encode().ljust(MAX_HEAD_BYTES // 2)
    rest = f":{base64_of(b'b')}:".encode().ljust(MAX_HEAD_BYTES // 2)

    lines = [leaf_line, (b"client-cert-chain", half), (b"client-cert-chain", rest)]

    assert read(EvidenceKind.CLIENT_CERT, lines) == ForwardedChain(b"leaf", (b"a", b"b"))
    longer = [*lines[:2], (b"client-cert-chain", rest + b" ")]
    assert f"more than {MAX_HEAD_BYTES} bytes" in refused(EvidenceKind.CLIENT_CERT, longer).message


@pytest.mark.parametrize("bad", [b"", b" ", b"\xff", b":\x00:", b"{chain}", b"::", b"no", b"(:YQ==:)"])
def test_every_line_of_a_chain_is_right_or_none(bad: bytes) -> None:
    leaf_line, *_ = client_cert([b"leaf"])
    good = (b"client-cert-chain", b":YQ==:")

    for lines in ([good, (b"client-cert-chain", bad)], [(b"client-cert-chain", bad), good]):
        error = refused(EvidenceKind.CLIENT_CERT, [leaf_line, *lines])
        assert error.message.startswith("`client-cert-chain` is refused: ")


def test_quotes_of_two_lines_are_not_a_string() -> None:
    """What is between them would be a parameter, and ignored."""
    leaf_line, *_ = client_cert([b"leaf"])
    lines = [(b"client-cert-chain", b':YQ==:;a="'), (b"client-cert-chain", b':Yg==:;a="')]

    assert refused(EvidenceKind.CLIENT_CERT, [leaf_line, *lines]).fault is ForwardedFault.INVALID
