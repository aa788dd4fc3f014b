"""The HTTP application: routes, bodies, statuses.

A deny is 200: it is an answer. Everything that is not an answer is a 4xx or 5xx with a code and a
sentence, and nothing of our insides. What a question may hold is in `pdp.adapters.schemas`, how one
is answered in `pdp.adapters.answering`, who may ask it in `pdp.service`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final, final

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from pdp import __version__
from pdp.adapters.bounded import target_of
from pdp.adapters.connection import CALLER
from pdp.adapters.events import RevisionEvents
from pdp.adapters.json_answers import answer, answer_batch
from pdp.adapters.openapi import describe, page
from pdp.adapters.proxies.forward_auth import ForwardAuth
from pdp.adapters.proxies.places import is_of_proxy
from pdp.adapters.proxies.profiles import NO_PROFILES, Profile
from pdp.adapters.reuse import read_reuse_body, take_report
from pdp.adapters.schemas import BadQuestionError, error_body
from pdp.adapters.strict_json import BadJsonError
from pdp.adapters.watching import begin_watch
from pdp.identity.caller import Caller
from pdp.identity.local import LocalCaller
from pdp.identity.refusal import UntrustedCertificateError
from pdp.limits import MAX_BATCH_BODY_BYTES, MAX_BODY_BYTES, MAX_REUSE_BODY_BYTES
from pdp.service.decision_service import DecisionService
from pdp.service.errors import (
    CannotAnswerError,
    EvidenceRefusedError,
    NotPermittedError,
    OverloadedError,
)

if TYPE_CHECKING:
    from pdp.adapters.metrics_page import MetricsPage  # imports its library: only where metrics are read

__all__ = ["METRICS_TYPE", "build_app"]

#: Version 0.0.4 of the text format of Prometheus.
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_log: Final = logging.getLogger("pdp.http")
_JSON: Final = "application/json"
_Handler = Callable[[Request], Awaitable[Response]]


class _StatusError(Exception):
    """An answer that is none, decided before the question was read."""

    def __init__(self, status: int, code: str, message: str, *, close: bool = False) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = {"connection": "close"} if close else {}


def build_app(
    service: DecisionService,
    metrics: "MetricsPage | None" = None,
    profiles: Mapping[str, Profile] = NO_PROFILES,
) -> FastAPI:
    """The application over one decision service.

    Args:
        service: Who decides.
        metrics: The page of metrics; without one nobody may read them.
        profiles: How proxies ask that have a protocol of their own.
    """
    app = FastAPI(
        title="pdp", version=__version__, docs_url=None, redoc_url=None, openapi_url=None,
        redirect_slashes=False,
    )  # fmt: skip

    async def decide(request: Request) -> Response:
        body = await _body(request, MAX_BODY_BYTES)
        answered = await answer(service, _caller(request.scope), body)
        _caller(request.scope)  # trust may have changed while the question waited
        return _json(200, answered)

    async def decide_batch(request: Request) -> Response:
        body = await _body(request, MAX_BATCH_BODY_BYTES)
        answered = await answer_batch(service, _caller(request.scope), body)
        _caller(request.scope)
        return _json(200, answered)

    async def reuse(request: Request) -> Response:
        body = await _body(request, MAX_REUSE_BODY_BYTES)
        take_report(service, _caller(request.scope), lambda: read_reuse_body(body))
        return Response(status_code=204)

    async def revisions(request: Request) -> Response:
        caller = _caller(request.scope)
        return RevisionEvents(service, caller, begin_watch(service, caller))

    async def counts(request: Request) -> Response:
        caller = _caller(request.scope)
        listed = metrics is not None and caller.id in metrics.readers and service.now() <= caller.not_after
        service.require_free(caller, service.now())
        if metrics is None or not listed or isinstance(caller, LocalCaller):
            raise NotPermittedError("metrics_not_permitted", "this caller may not read metrics")
        return Response(metrics.render(), media_type=METRICS_TYPE)

    async def document(_: Request) -> Response:
        return _json(200, msgspec.json.encode(app.openapi()))

    async def documentation(_: Request) -> Response:
        return Response(page(app.openapi()), media_type="text/html", headers=_PAGE_HEADERS)

    for path in ("/v1/decide", "/decide"):
        app.add_api_route(path, _guarded(decide), methods=["POST"], include_in_schema=path.startswith("/v1"))
    for path in ("/v1/decide/batch", "/decide/batch"):
        app.add_api_route(
            path, _guarded(decide_batch), methods=["POST"], include_in_schema=path.startswith("/v1")
        )
    app.add_api_route("/v1/reuse", _guarded(reuse), methods=["POST"])
    app.add_api_route("/v1/revisions", _guarded(revisions), methods=["GET"])
    app.add_api_route("/metrics", _guarded(counts), methods=["GET"], include_in_schema=False)
    app.add_api_route("/openapi.json", _guarded(document), methods=["GET"], include_in_schema=False)
    app.add_api_route("/docs", _guarded(documentation), methods=["GET"], include_in_schema=False)
    app.add_exception_handler(HTTPException, _no_route)
    app.add_middleware(_Gate, proxies=ForwardAuth(service, profiles))
    describe(app)
    return app


@final
class _Gate:
    """Before any route: a caller, and a request that means what it seems to mean."""

    def __init__(self, app: ASGIApp, proxies: ForwardAuth) -> None:
        self._app, self._proxies = app, proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            _caller(scope)
            target = target_of(scope)
            if is_of_proxy(target):
                response = await self._proxies.answer(scope, target, lambda: _caller(scope))
                await response(scope, receive, send)
                return
            _require_plain(scope)
        except _StatusError as error:
            await _error(error.status, error.code, error.message, error.headers)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _require_plain(scope: Scope) -> None:
    """Our own paths have one spelling each, and nothing but HTTP/1.1 is spoken after a request."""
    if b"%" in scope["raw_path"]:
        raise _StatusError(404, "not_found", "there is nothing at this path; ours hold no percent sign")
    if any(name == b"upgrade" for name, _ in scope["headers"]):
        # The parser takes what follows for another protocol, thus the body is lost.
        raise _StatusError(400, "upgrade_refused", "no other protocol is spoken here", close=True)


# The page is ours and loads nothing; the browser is told so.
_PAGE_HEADERS: Final = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}


def _guarded(handler: _Handler) -> _Handler:
    """Turn every error into its status. An unexpected one is ours: 500, and never a decision."""

    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except _StatusError as error:
            return _error(error.status, error.code, error.message, error.headers)
        except (BadJsonError, BadQuestionError, EvidenceRefusedError) as error:
            return _error(400, error.code, error.message)
        except NotPermittedError as error:
            return _error(403, error.code, error.message)
        except (CannotAnswerError, OverloadedError) as error:
            return _error(503, error.code, error.message)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except asyncio.CancelledError:
            return _error(503, "ending", "the decision point ends, and waits no longer for this request")
        except Exception:  # noqa: BLE001 - whatever it was, it must not become a decision
            _log.exception("a request failed by a defect of pdp")
            return _error(500, "internal", "the decision point failed; this is not a decision")

    return guarded


async def _no_route(_: Request, error: Exception) -> Response:
    """What the router says where no route fits."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    code, message = _NO_ROUTE.get(status, ("internal", "the decision point failed; this is not a decision"))
    return _error(status, code, message, headers)


_NO_ROUTE: Final = {
    404: ("not_found", "there is nothing at this path"),
    405: ("method_not_allowed", "this path is not for this method; see the header `allow`"),
}


def _caller(scope: Scope) -> Caller:
    """The caller, as its connection establishes it under the trust of the moment."""
    ask = scope.get("state", {}).get(CALLER)
    caller = ask() if callable(ask) else ask
    if isinstance(caller, Caller):
        return caller
    if isinstance(caller, UntrustedCertificateError):
        raise _StatusError(
            403, "caller_untrusted", f"the client certificate is not accepted: {caller.message}"
        )
    if isinstance(caller, NotPermittedError):  # of a plaintext listener: pdp.adapters.local
        raise _StatusError(403, caller.code, caller.message)
    raise _StatusError(403, "caller_untrusted", "the connection has no authenticated caller")


async def _body(request: Request, most: int) -> bytes:
    """The request's body, never more than the bound of it in memory."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
        raise _StatusError(415, "unsupported_media_type", "the body is `application/json`")
    if "content-encoding" in request.headers:
        raise _StatusError(415, "unsupported_encoding", "the body is not compressed")
    too_large = _StatusError(413, "body_too_large", f"the body has at most {most} bytes")
    stated = request.headers.get("content-length", "0")
    if not stated.isdecimal() or int(stated) > most:
        raise too_large
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise too_large
        chunks.append(chunk)
    return b"".join(chunks)


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    more = {**(headers or {}), **({"retry-after": "1"} if status == 503 else {})}
    return _json(status, msgspec.json.encode(error_body(code, message)), more)


def _json(status: int, body: bytes, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status_code=status, media_type=_JSON, headers=headers)
