"""What a client says of itself in headers changes no decision and reaches no upstream."""

import pytest

from tests.e2e.proxies.edges import OTHER, WEB, Edge

IDENTITY = ("x-pdp-principal", "x-pdp-user", "x-pdp-decision-id")
CARRIERS = (
    "x-original-uri",
    "x-original-method",
    "x-original-host",
    "x-forwarded-uri",
    "x-forwarded-method",
    "x-forwarded-host",
    "x-forwarded-client-cert",
    "x-forwarded-tls-client-cert",
    "ssl-client-cert",
    "ssl-client-verify",
    "client-cert",
    "client-cert-chain",
    "x-envoy-auth-headers-to-remove",
    "x-envoy-original-path",
    "x-original-url",
    "x-rewrite-url",
)
OVERRIDES = ("x-http-method-override", "x-method-override", "x-http-method")  # fmt: skip
NAMES = IDENTITY + CARRIERS
MARK = "spoofed"


def spellings(name: str) -> tuple[str, ...]:
    """Names that some backend takes for this one."""
    return name, name.title(), name.upper(), name.replace("-", "_"), name.replace("-", "_", 1)


def values(edge: Edge, name: str) -> tuple[str, ...]:
    """What would help, if it were believed."""
    leaf = (edge.pki.folder / "web.pem").read_text(encoding="ascii").replace("\n", "%0A").replace(" ", "%20")
    if name.endswith("-uri"):
        return (f"/v1/{MARK}",)
    if name.endswith("-verify"):
        return ("SUCCESS",)
    if "cert" in name:
        return leaf, f"By={edge.sample.identity};URI={WEB}", f":{MARK}:"
    return {"x-pdp-principal": (WEB,), "x-original-method": ("GET",), "x-forwarded-method": ("GET",)}.get(
        name, (MARK,)
    )


@pytest.mark.parametrize("name", NAMES)
def test_no_header_of_a_client_opens_anything(edge: Edge, name: str) -> None:
    for spelling in spellings(name):
        for value in values(edge, name):
            line = f"{spelling}: {value}"
            edge.refused("/admin/users", line)
            edge.refused("/v1/charges/41", line, client="other")
            edge.refused("/admin/users", line, line, f"connection: {spelling}")


def test_without_a_certificate_nothing_that_is_said_helps(edge: Edge) -> None:
    said = [f"{name}: {value}" for name in NAMES for value in values(edge, name)]

    edge.refused("/v1/charges/41", *said, client=None)


@pytest.mark.parametrize("name", IDENTITY)
def test_the_upstream_is_told_by_the_pdp_alone(edge: Edge, name: str) -> None:
    """Whether the request is let through or refused for the header is the proxy's choice."""
    for spelling in spellings(name):
        for lines in (
            [f"{spelling}: {OTHER}"],
            [f"{spelling}: {OTHER}"] * 2,
            [f"{spelling}: {OTHER}, {OTHER}"],
        ):
            _, arrived = edge.get("/v1/charges/41", *lines)
            for one in arrived:
                assert OTHER not in one.head.decode("latin-1"), spelling
                assert one.values("x-pdp-principal") == [WEB]
    assert edge.allowed("/v1/charges/41", f"{name}: {OTHER}").values("x-pdp-principal") == [WEB]


@pytest.mark.parametrize("name", IDENTITY)
def test_a_client_cannot_have_the_proxy_drop_what_the_pdp_says(edge: Edge, name: str) -> None:
    _, arrived = edge.get("/v1/charges/41", f"connection: close, {name}")

    for one in arrived:
        assert one.values("x-pdp-principal") == [WEB]
        assert len(one.values("x-pdp-decision-id")) == 1


@pytest.mark.parametrize("name", OVERRIDES)
def test_a_header_that_overrides_the_method_is_denied(edge: Edge, name: str) -> None:
    """Some frameworks obey it, so the PDP has to be told of it."""
    for spelling in (name, name.title(), name.upper()):
        edge.refused("/v1/charges/41", f"{spelling}: DELETE")
    _, arrived = edge.get("/v1/charges/41", f"{name.replace('-', '_')}: DELETE")
    assert all("DELETE" not in one.head.decode("latin-1") for one in arrived)
    edge.allowed("/v1/charges/41", f"{name}: GET")


@pytest.mark.parametrize("name", ["x-original-url", "x-rewrite-url"])
def test_no_upstream_is_told_another_target_by_a_client(edge: Edge, name: str) -> None:
    """Some frameworks believe these more than the request line."""
    for spelling in spellings(name):
        _, arrived = edge.get("/v1/charges/41", f"{spelling}: /admin/{MARK}")
        assert all(MARK not in one.head.decode("latin-1") for one in arrived), spelling


@pytest.mark.parametrize("name", [name for name in CARRIERS if "cert" in name or name.startswith("ssl-")])
def test_no_upstream_is_shown_a_certificate_by_a_client(edge: Edge, name: str) -> None:
    for spelling in spellings(name):
        _, arrived = edge.get("/v1/charges/41", f"{spelling}: {MARK}")
        for one in arrived:
            assert MARK not in one.head.decode("latin-1"), spelling


@pytest.mark.parametrize("name", ["x-plan", "x-debug"])
def test_what_only_the_pdp_may_set_is_not_set_by_a_client(edge: Edge, name: str) -> None:
    for spelling in spellings(name):
        for path in ("/v1/plan", "/v1/charges/41"):
            _, arrived = edge.get(path, f"{spelling}: {MARK}")
            for one in arrived:
                assert MARK not in one.head.decode("latin-1"), spelling
