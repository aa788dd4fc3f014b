"""What the application does with a defect of ours, and with requests that no connection vouched for.

The rest of it is tested over real sockets in `tests/e2e`; a defect cannot be asked for there.
"""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from pdp.adapters.app import build_app
from pdp.adapters.replies import CALLER
from pdp.identity.caller import Caller, CallerKind
from pdp.identity.refusal import Refusal, UntrustedCertificateError
from pdp.service.gate import Gate

SOMEBODY = Caller(
    kind=CallerKind.SPIFFE, id="spiffe://a.test/x", trust_domain="a.test", segments=("x",), fingerprint="00",
    not_after=1 << 60, epoch=1, serial="",
)  # fmt: skip


class Broken:
    """A service of which nearly everything fails."""

    gate = Gate()

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"secret of {name}")


class Waiting:
    """A service that never comes to an answer."""

    gate = Gate()
    versions = SimpleNamespace(current=SimpleNamespace(number=1))
    log = None

    def now(self) -> int:
        raise asyncio.CancelledError


def post(
    service: object, state: dict[str, object], path: str = "/v1/decide"
) -> tuple[int, dict[str, str], Any]:
    app = build_app(service)  # type: ignore[arg-type]
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": path, "raw_path": path.encode(),
        "root_path": "", "query_string": b"", "scheme": "https", "server": None, "client": None,
        "state": state,
        "headers": [(b"content-type", b"application/json")],
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def run() -> None:
        async def send(message: Any) -> None:
            sent.append(message)

        await app(scope, receive, send)

    asyncio.run(run())
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, json.loads(b"".join(part.get("body", b"") for part in sent[1:]))


@pytest.mark.parametrize("path", ["/v1/decide", "/decide", "/v1/decide/batch", "/decide/batch"])
def test_defect_is_a_500_that_tells_nothing(path: str, caplog: pytest.LogCaptureFixture) -> None:
    status, _, body = post(Broken(), {CALLER: SOMEBODY}, path)

    assert status == 500
    assert body["error"]["code"] == "internal"
    assert "secret" not in json.dumps(body)
    assert "secret of " in caplog.text  # the operator is told


@pytest.mark.parametrize(
    "state", [{}, {CALLER: None}, {CALLER: "spiffe://a.test/x"}], ids=["none", "null", "text"]
)
def test_request_without_a_verified_caller_reaches_nothing(state: dict[str, object]) -> None:
    status, _, body = post(Broken(), state)

    assert (status, body["error"]["code"]) == (403, "caller_untrusted")


def test_refusal_says_why() -> None:
    refused = UntrustedCertificateError(Refusal.NO_URI, "the certificate has no URI")

    status, _, body = post(Broken(), {CALLER: refused})

    assert status == 403
    assert "the certificate has no URI" in body["error"]["message"]


def test_request_that_is_given_up_at_the_end_is_no_decision() -> None:
    status, headers, body = post(Waiting(), {CALLER: SOMEBODY})

    assert (status, body["error"]["code"]) == (503, "ending")
    assert headers["retry-after"] == "1"
