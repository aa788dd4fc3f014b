"""The mistakes that operators make in such configurations, planted: each is found.

So the tests beside this file can fail, and what the guides warn of is true.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.proxies.corpus import bypasses, cross
from tests.e2e.proxies.edges import Edge
from tests.e2e.proxies.impostors import impostor
from tests.e2e.proxies.samples import SAMPLES
from tests.e2e.running import Pki


def past_a_deny(edge: Edge) -> bool:
    """A path of the corpus gets through that some backend reads as a denied one."""
    return bool(bypasses(edge, cross(edge)))


def rewritten(edge: Edge) -> bool:
    """The upstream gets another target than was sent."""
    return edge.allowed("/a%2Db").target != b"/a%2Db"


def two_targets(edge: Edge) -> bool:
    """The upstream gets another target than the PDP was asked about."""
    return edge.allowed("https://payments.example.com/a").target != b"/a"


def open_without_pdp(edge: Edge) -> bool:
    edge.stop_pdp()
    return bool(edge.get("/admin/users")[1])


def believes_somebody_else(edge: Edge) -> bool:
    edge.stop_pdp()
    with impostor(edge, "elsewhere") as said:
        return bool(edge.get("/admin/users")[1]) and bool(said)


def open_to_all(edge: Edge) -> bool:
    return bool(edge.get("/admin/users")[1])


def lets_a_name_stand(edge: Edge) -> bool:
    return edge.allowed("/v1/charges/41", "x-pdp-user: mallory").values("x-pdp-user") == ["mallory"]


def lets_a_like_name_stand(edge: Edge) -> bool:
    return edge.allowed("/v1/charges/41", "x_pdp_user: mallory").values("x_pdp_user") == ["mallory"]


def drops_what_the_pdp_said(edge: Edge) -> bool:
    return not edge.allowed("/v1/charges/41", "connection: x-pdp-principal").values("x-pdp-principal")


def hides_an_override(edge: Edge) -> bool:
    return bool(edge.get("/v1/charges/41", "x-http-method-override: DELETE")[1])


MISTAKES = [
    ("nginx", "x-original-uri $request_uri", "x-original-uri $uri", past_a_deny),
    ("nginx", "proxy_pass http://payments;", "proxy_pass http://payments/;", rewritten),
    ("nginx", "proxy_set_header x-pdp-user $pdp_user;", "", lets_a_name_stand),
    ("nginx", "proxy_ssl_verify on", "proxy_ssl_verify off", believes_somebody_else),
    ("envoy-http", "exact: pdp.example.com", "suffix: example.com", believes_somebody_else),
    ("haproxy", "verify required verifyhost", "verify none verifyhost", believes_somebody_else),
    ("envoy-grpc", "failure_mode_allow: false", "failure_mode_allow: true", open_without_pdp),
    ("envoy-http", 'regex: ".+"', 'regex: "x-forwarded-.+"', hides_an_override),
    ("caddy", "request_header @plain -Connection", "", drops_what_the_pdp_said),
    ("haproxy", "http-request set-uri %[pathq]", "", two_targets),
    (
        "haproxy",
        "unless { var(txn.pdp_status) -m int 200 }",
        "if { var(txn.pdp_status) -m int 404 }",
        open_to_all,
    ),
    (
        "traefik",
        "underscoreHeadersStrategy: delete",
        "underscoreHeadersStrategy: keep",
        lets_a_like_name_stand,
    ),
]


@pytest.mark.parametrize(
    ("name", "right", "wrong", "found"),
    [
        pytest.param(*mistake, marks=sample.marks, id=f"{sample.name}-{mistake[3].__name__}")
        for mistake in MISTAKES
        for sample in SAMPLES
        if sample.name == mistake[0]
    ],
)
def test_a_mistake_in_a_configuration_is_found(
    pki: Pki, folder: Path, name: str, right: str, wrong: str, found: Callable[[Edge], bool]
) -> None:
    (sample,) = (sample for sample in SAMPLES if sample.name == name)

    with Edge(sample, pki, folder, planted={right: wrong}) as edge:
        assert found(edge)
