"""Where no program can be run here: what it would send is answered, with the files of its guide.

What each sends is written from its documentation (`tests.e2e.proxy_calls`), or is in the guide's own plugin.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.grpc_calls import channel, grpc_port
from tests.e2e.proxies.edges import OTHER, WEB
from tests.e2e.proxies.samples import CLIENTS
from tests.e2e.proxy_calls import Asked, by_forward_auth, check, check_request
from tests.e2e.running import PROD, Pki, Service, make_policies

OVERRIDE = ("x-http-method-override", "DELETE")
MESH = "cluster.local"


@contextmanager
def served(pki: Pki, folder: Path, policy: Path, *settings: str) -> Iterator[Service]:
    text = policy.read_text(encoding="utf-8").replace(f'"{MESH}"', f'"{PROD}"')
    policies = make_policies(folder / "policies", text)
    service = Service(pki, policies, "--grpc", "127.0.0.1:0", *settings)
    try:
        yield service
    finally:
        assert service.stop() == 0, service.log


@pytest.mark.parametrize("kind", ["apisix", "kong"])
def test_what_its_plugin_sends_is_answered(pki: Pki, tmp_path: Path, kind: str) -> None:
    pki.issue("proxy", uris=[f"spiffe://{PROD}/ns/edge/sa/{kind}"])
    asked = Asked(path="/v1/charges/41?a=b", host="payments.example.com", leaf=pki.folder / "web.pem")
    with served(
        pki, tmp_path, CLIENTS / kind / "edge.policy", "--config", str(CLIENTS / kind / "pdp.toml")
    ) as service:

        def answer(**other: object) -> tuple[int, dict[str, str]]:
            reply = by_forward_auth(service, kind, "edge", replace(asked, **other))
            return reply.status, reply.headers

        status, headers = answer()
        assert (status, headers["x-pdp-principal"], headers["x-pdp-user"]) == (200, WEB, "")
        assert answer(path="/v1/plan")[1]["x-plan"] == "gold"
        for denied in ("/admin/users", "/%61dmin", "/x/../admin", "//admin", "/admin;x", "https://a/admin"):
            assert answer(path=denied)[0] == 403, denied
        assert answer(leaf=pki.folder / "other.pem")[0] == 403
        assert answer(leaf=pki.folder / "stranger.pem")[0] == 401
        assert answer(leaf=None)[0] == 401
        assert answer(headers=(OVERRIDE,))[0] == 403


@pytest.mark.parametrize(
    ("policy", "caller", "client"),
    [
        ("istio/mesh.policy", "shop/sa/web", WEB),
        ("envoy-gateway/edge.policy", "edge/sa/gateway", WEB),
        ("gateway-api/edge.policy", "edge/sa/gateway", WEB),
    ],
)
def test_what_its_envoy_sends_is_answered(
    pki: Pki, tmp_path: Path, policy: str, caller: str, client: str
) -> None:
    """Without a profile, without the peer's certificate, and with headers that are merged."""
    pki.issue("proxy", uris=[f"spiffe://{PROD}/ns/{caller}"])
    asked = Asked(path="/v1/charges/41", host="web.shop.svc.cluster.local", principal=client)
    with (
        served(pki, tmp_path, CLIENTS / policy) as service,
        channel(pki, grpc_port(service), "proxy") as open_channel,
    ):

        def status(**other: object) -> int:
            message = check_request(replace(asked, **other), raw=False, certificate=False)
            return check(open_channel, message).status.code

        assert status() == 0
        for denied in ("/admin/users", "/%61dmin", "/x/../admin", "//admin", "/admin;x"):
            assert status(path=denied) == 7, denied
        assert status(path="/v1/a!") == 7
        assert status(path="/v1/a?b=!") == 0
        assert status(principal=OTHER) == 7
        assert status(principal="") != 0
        assert status(headers=(OVERRIDE,)) == 7
