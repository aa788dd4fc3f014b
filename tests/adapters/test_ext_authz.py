"""What Envoy is told over gRPC has a status, always, and it is 0 for an allow alone."""

import asyncio
import itertools
from typing import Any

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse

from pdp.adapters.bad_question import BadQuestionError
from pdp.adapters.grpc.ext_authz import ExtAuthz, response
from pdp.adapters.grpc.open_calls import OpenCalls
from pdp.adapters.proxies.verdicts import Verdict, refusal
from pdp.identity.refusal import Refusal, UntrustedCertificateError
from pdp.service.errors import (
    CannotAnswerError,
    EvidenceRefusedError,
    NotPermittedError,
    OverloadedError,
)
from tests.docs.application import caller

ERRORS = [
    BadQuestionError("carrier_refused", "x"),
    CannotAnswerError("log_full", "x"),
    EvidenceRefusedError("x"),
    NotPermittedError("service_not_permitted", "x"),
    OverloadedError("overloaded", "x"),
    UntrustedCertificateError(Refusal.MALFORMED, "x"),
    RuntimeError("secret"),
    KeyError("secret"),
    TimeoutError(),
    RecursionError(),
]


def test_a_response_with_nothing_in_it_would_be_an_allow() -> None:
    """Why all of this matters: protocol buffers write no zeros."""
    assert CheckResponse.FromString(b"").status.code == 0


@pytest.mark.parametrize(
    ("allowed", "unauthenticated", "code"), list(itertools.product([True, False], [True, False], ["", "x"]))
)
def test_every_verdict_has_a_status_of_its_own(allowed, unauthenticated, code) -> None:
    told = CheckResponse.FromString(
        response(Verdict(allowed=allowed, unauthenticated=unauthenticated, code=code)).SerializeToString()
    )

    assert told.HasField("status")
    assert (told.status.code == 0) is allowed
    assert told.WhichOneof("http_response") == ("ok_response" if allowed else "denied_response")
    if not allowed:
        assert told.denied_response.status.code == (401 if unauthenticated else 403)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_no_error_is_an_allow_and_none_tells_a_secret(error: Exception) -> None:
    verdict = refusal(error)

    assert not verdict.allowed
    assert verdict.code
    assert "secret" not in str(response(verdict))


class _Callers:
    """Callers of whom something is wrong at one of three moments."""

    def __init__(self, at: str, error: Exception) -> None:
        self.at, self.error = at, error

    def identify(self, _: Any) -> Any:
        if self.at == "identify":
            raise self.error
        return caller()

    def confirm(self, *_: Any) -> None:
        if self.at == "confirm":
            raise self.error


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("at", ["identify", "message", "confirm"])
def test_wherever_it_goes_wrong_there_is_a_denial(at: str, error: Exception) -> None:
    async def message(_: Any) -> bytes:
        if at == "message":
            raise error
        return b""

    callers: Any = _Callers(at, error)
    service: Any = object()  # what is not a service fails by a defect
    told = asyncio.run(ExtAuthz(service, callers, OpenCalls(lambda: None), {}).check(None, message))  # type: ignore[arg-type]

    assert told.status.code in {7, 16}
    assert told.WhichOneof("http_response") == "denied_response"


def test_a_caller_with_too_many_calls_is_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdp.adapters.grpc.open_calls.MAX_GRPC_CALLS_PER_CALLER", 0)
    callers: Any = _Callers("", RuntimeError())
    service: Any = object()

    told = asyncio.run(ExtAuthz(service, callers, OpenCalls(lambda: None), {}).check(None, None))  # type: ignore[arg-type]

    assert told.status.code == 7
    assert [option.header.value for option in told.denied_response.headers] == ["too_many_calls"]
