"""The files for meshes and gateways: each field is a documented one, and none leaves anything open."""

from pathlib import Path
from typing import Any

import pytest

from tests.clients.fields import FIELDS, unknown
from tests.clients.guides import CLIENTS, MANIFESTS, documents, profile


def of_kind(folder: str, kind: str) -> dict[str, Any]:
    """The only resource of a kind."""
    files = (CLIENTS / folder).glob("*.yaml")
    (found,) = [each for file in files for each in documents(file) if each["kind"] == kind]
    return found["spec"]


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_field_is_documented(file: Path) -> None:
    for document in documents(file):
        kind = f"{document['apiVersion']} {document['kind']}" if "kind" in document else ""
        assert list(unknown(document, FIELDS[kind], kind)) == []


def test_a_slip_is_found() -> None:
    route = documents(CLIENTS / "apisix" / "route.yaml")[0]
    route["routes"][0]["plugins"]["forward-auth"]["allow_degradaton"] = False

    assert list(unknown(route, FIELDS[""])) == [".routes.plugins.forward-auth.allow_degradaton"]


def test_the_mesh_waits_for_a_moment_and_refuses_without_an_answer() -> None:
    (provider,) = of_kind("istio", "IstioOperator")["meshConfig"]["extensionProviders"]
    grpc = provider["envoyExtAuthzGrpc"]
    rule = of_kind("istio", "DestinationRule")
    asked = of_kind("istio", "AuthorizationPolicy")

    assert grpc["timeout"] == "0.3s"
    assert grpc["failOpen"] is False
    assert grpc["statusOnError"] == "503"
    assert grpc["service"] == rule["host"]
    assert rule["trafficPolicy"]["tls"]["mode"] == "ISTIO_MUTUAL"
    assert rule["trafficPolicy"]["tls"]["subjectAltNames"] == ["spiffe://cluster.local/ns/pdp/sa/pdp"]
    assert [port["port"] for port in of_kind("istio", "Service")["ports"]] == [grpc["port"]]
    assert (asked["action"], asked["provider"]["name"], asked["rules"]) == ("CUSTOM", provider["name"], [{}])
    assert of_kind("istio", "PeerAuthentication")["mtls"]["mode"] == "STRICT"


def test_the_gateway_waits_for_a_moment_and_refuses_without_an_answer() -> None:
    policy, client = (
        of_kind("envoy-gateway", "SecurityPolicy"),
        of_kind("envoy-gateway", "ClientTrafficPolicy"),
    )
    (backend,) = policy["extAuth"]["grpc"]["backendRefs"]
    verified = of_kind("envoy-gateway", "BackendTLSPolicy")

    assert policy["extAuth"]["timeout"] == "300ms"
    assert policy["extAuth"]["failOpen"] is False
    assert client["tls"]["minVersion"] == "1.3"
    assert client["tls"]["clientValidation"]["optional"] is False
    assert client["headers"]["xForwardedClientCert"]["mode"] == "Sanitize"
    assert verified["validation"]["hostname"] == "pdp.example.com"
    assert [ref["name"] for ref in verified["targetRefs"]] == [backend["name"]]
    assert of_kind("envoy-gateway", "EnvoyProxy")["backendTLS"]["clientCertificateRef"]["name"] == "edge"


def test_apisix_refuses_without_an_answer_and_takes_over_what_the_settings_name() -> None:
    (route,) = documents(CLIENTS / "apisix" / "route.yaml")[0]["routes"]
    asked = route["plugins"]["forward-auth"]
    told = set(profile(CLIENTS / "apisix" / "pdp.toml")["headers"])

    assert asked["allow_degradation"] is False
    assert asked["status_on_error"] == 503
    assert asked["timeout"] == 300
    assert asked["extra_headers"]["X-Forwarded-Uri"] == "$request_uri"
    assert set(asked["upstream_headers"]) == told | {"x-pdp-principal", "x-pdp-user", "x-pdp-decision-id"}
    for header in told:
        assert f'plain == "{header}"' in route["plugins"]["serverless-pre-function"]["functions"][0]
