"""The HTTP application: routes and bodies.

Statuses are in `pdp.adapters.replies`; what a question may hold is in `pdp.adapters.schemas`, how one is
answered in `pdp.adapters.answering`, who may ask it in `pdp.service`. Most questions do not come by here
(`pdp.adapters.direct`).
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, final

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from pdp import __version__
from pdp.adapters.bounded import target_of
from pdp.adapters.events import RevisionEvents
from pdp.adapters.json_answers import answer_batch
from pdp.adapters.openapi import describe, page
from pdp.adapters.proxies.places import is_of_proxy
from pdp.adapters.questions import DECIDE, Questions, require_json, too_large
from pdp.adapters.replies import Head, StatusError, as_response, caller_of, failed, json_reply
from pdp.adapters.reuse import read_reuse_body, take_report
from pdp.adapters.watching import begin_watch
from pdp.identity.local import LocalCaller
from pdp.limits import MAX_BATCH_BODY_BYTES, MAX_BODY_BYTES, MAX_REUSE_BODY_BYTES
from pdp.service.decision_service import DecisionService
from pdp.service.errors import NotPermittedError

if TYPE_CHECKING:
    from pdp.adapters.metrics_page import MetricsPage  # imports its library: only where metrics are read

__all__ = ["METRICS_TYPE", "build_app"]

#: Version 0.0.4 of the text format of Prometheus.
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_Handler = Callable[[Request], Awaitable[Response]]


def build_app(
    service: DecisionService,
    metrics: "MetricsPage | None" = None,
    questions: Questions | None = None,
) -> FastAPI:
    """The application over one decision service.

    Args:
        service: Who decides.
        metrics: The page of metrics; without one nobody may read them.
        questions: What answers single questions; by default none of a proxy's.
    """
    questions = questions or Questions(service)
    app = FastAPI(
        title="pdp", version=__version__, docs_url=None, redoc_url=None, openapi_url=None,
        redirect_slashes=False,
    )  # fmt: skip

    async def decide(request: Request) -> Response:
        body = await _body(request, MAX_BODY_BYTES)
        return as_response(
            await questions.decide(_head(request.scope), body, lambda: caller_of(request.scope))
        )

    async def decide_batch(request: Request) -> Response:
        body = await _body(request, MAX_BATCH_BODY_BYTES)
        answered = await answer_batch(service, caller_of(request.scope), body)
        caller_of(request.scope)  # trust may have changed while the questions waited
        return as_response(json_reply(answered))

    async def reuse(request: Request) -> Response:
        body = await _body(request, MAX_REUSE_BODY_BYTES)
        take_report(service, caller_of(request.scope), lambda: read_reuse_body(body))
        return Response(status_code=204)

    async def revisions(request: Request) -> Response:
        caller = caller_of(request.scope)
        return RevisionEvents(service, caller, begin_watch(service, caller))

    async def counts(request: Request) -> Response:
        caller = caller_of(request.scope)
        listed = metrics is not None and caller.id in metrics.readers and service.now() <= caller.not_after
        service.require_free(caller, service.now())
        if metrics is None or not listed or isinstance(caller, LocalCaller):
            raise NotPermittedError("metrics_not_permitted", "this caller may not read metrics")
        return Response(metrics.render(), media_type=METRICS_TYPE)

    async def document(_: Request) -> Response:
        return as_response(json_reply(msgspec.json.encode(app.openapi())))

    async def documentation(_: Request) -> Response:
        return Response(page(app.openapi()), media_type="text/html", headers=_PAGE_HEADERS)

    for path in DECIDE:
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
    app.add_middleware(_Gate, questions=questions)
    describe(app)
    return app


@final
class _Gate:
    """Before any route: a caller, and a request that means what it seems to mean."""

    def __init__(self, app: ASGIApp, questions: Questions) -> None:
        self._app, self._questions = app, questions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            caller_of(scope)
            head = _head(scope)
            if is_of_proxy(head.target):
                reply = await self._questions.proxied(head, b"", lambda: caller_of(scope))
                await as_response(reply)(scope, receive, send)
                return
            _require_plain(scope)
        except StatusError as error:
            await as_response(failed(error))(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _head(scope: Scope) -> Head:
    return Head(scope["method"], target_of(scope), scope["headers"])


def _require_plain(scope: Scope) -> None:
    """Our own paths have one spelling each, and nothing but HTTP/1.1 is spoken after a request."""
    if b"%" in scope["raw_path"]:
        raise StatusError(404, "not_found", "there is nothing at this path; ours hold no percent sign")
    if any(name == b"upgrade" for name, _ in scope["headers"]):
        # The parser takes what follows for another protocol, thus the body is lost.
        raise StatusError(400, "upgrade_refused", "no other protocol is spoken here", close=True)


# The page is ours and loads nothing; the browser is told so.
_PAGE_HEADERS: Final = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}


def _guarded(handler: _Handler) -> _Handler:
    """Turn every error into its status."""

    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except BaseException as error:  # noqa: BLE001 - whatever it was, it must not become a decision
            return as_response(failed(error))

    return guarded


async def _no_route(_: Request, error: Exception) -> Response:
    """What the router says where no route fits."""
    if not isinstance(error, HTTPException) or error.status_code not in _NO_ROUTE:
        return as_response(failed(error))
    code, message = _NO_ROUTE[error.status_code]
    response = as_response(failed(StatusError(error.status_code, code, message)))
    response.headers.update(error.headers or {})
    return response


_NO_ROUTE: Final = {
    404: ("not_found", "there is nothing at this path"),
    405: ("method_not_allowed", "this path is not for this method; see the header `allow`"),
}


async def _body(request: Request, most: int) -> bytes:
    """The request's body, never more than the bound of it in memory."""
    require_json(request.scope["headers"], most)
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise too_large(most)
        chunks.append(chunk)
    return b"".join(chunks)
