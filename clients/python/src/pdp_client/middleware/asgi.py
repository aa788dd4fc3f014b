"""For ASGI: FastAPI, Starlette, and whatever else is an application of that kind.

A deny is 403, and where there is no answer it is 503. The path is asked about as it was received
(`raw_path`); a server that does not say it, or says another one than the application is given, gets 503.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any, Final, TypeAlias, final
from urllib.parse import quote, unquote

from pdp_client.async_client import AsyncClient
from pdp_client.errors import CouldNotAnswerError
from pdp_client.middleware.duties import headers_after, set_and_removed
from pdp_client.middleware.incoming import Family, Incoming, Withheld, question_of
from pdp_client.question import Principal, User, UserToken

__all__ = ["PdpMiddleware"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_log: Final = logging.getLogger("pdp_client")
_POLICY_VIOLATION: Final = 1008


@final
class PdpMiddleware:
    """The outermost one: what stands before it is not asked about."""

    def __init__(
        self,
        app: App,
        client: AsyncClient,
        *,
        service: str,
        principal: Callable[[Scope], Principal | None],
        user: Callable[[Scope], User | UserToken | None] | None = None,
        supplies: Collection[Family] = (),
        trust_decoded_path: bool = False,
    ) -> None:
        """Put pdp in front of an application.

        Args:
            app: The application.
            client: Who is asked.
            service: What the application is called in the policy set.
            principal: Says who is at the other end; `pdp_client.middleware.peers` has some. None is denied.
            user: Says on whose behalf, if it is known.
            supplies: Families of attributes that our entry in the policy set says we supply.
            trust_decoded_path: Ask about the decoded path where the server does not say the one that it
                received. Then `%2F` and `/` are one to the policy.
        """
        self._app = app
        self._client = client
        self._service = service
        self._principal = principal
        self._user = user
        self._supplies = frozenset(supplies)
        self._trust_decoded_path = trust_decoded_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request go on, or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        try:
            admitted = await self._admitted(scope)
        except Withheld as withheld:
            _log.info("a request was withheld: %s", withheld.why)
            await _refuse(scope, receive, send, 403 if withheld.denied else 503)
        except CouldNotAnswerError as error:
            _log.warning("a request was withheld: there is no answer: %s", error)
            await _refuse(scope, receive, send, 503)
        except Exception:  # noqa: BLE001 - whatever it was, nothing passes
            _log.exception("a request was withheld by a defect")
            await _refuse(scope, receive, send, 503)
        else:
            await self._app(admitted, receive, send)

    async def _admitted(self, scope: Scope) -> Scope:
        """The request as the application is to see it."""
        if scope["type"] not in {"http", "websocket"}:
            raise Withheld(f"nothing is known of {scope['type']!r}", denied=False)
        principal = self._principal(scope)
        if principal is None:
            raise Withheld("nobody is known to be at the other end", denied=True)
        user = None if self._user is None else self._user(scope)
        question = question_of(self._incoming(scope), self._service, principal, user, self._supplies)
        changes = set_and_removed(await self._client.decide(question))
        return {**scope, "headers": headers_after(scope["headers"], changes)} if changes else scope

    def _incoming(self, scope: Scope) -> Incoming:
        peer, server = scope.get("client"), scope.get("server")
        return Incoming(
            method=scope.get("method", "GET"),  # a WebSocket begins with a GET
            target=self._target(scope),
            headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
            source=peer[0] if peer else None,
            scheme={"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"]),
            port=server[1] if server else None,
        )

    def _target(self, scope: Scope) -> str:
        """The path as it was received, with its query."""
        raw, query = scope.get("raw_path"), scope.get("query_string", b"").decode("latin-1")
        if raw is not None:
            path = raw.decode("latin-1").partition("?")[0]
            if unquote(path) != scope["path"]:
                raise Withheld("the application is given another path than was received", denied=False)
        elif self._trust_decoded_path:
            path = quote(scope["path"], safe="/!$&'()*+,=:@~;")
        else:
            raise Withheld("this server does not say which path it received", denied=False)
        return f"{path}?{query}" if query else path


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int) -> None:
    """Answer in the place of the application."""
    kind = "http.response"
    if scope["type"] == "websocket":
        await receive()  # its beginning
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})  # a 403 on the wire
            return
        kind = "websocket.http.response"
    elif scope["type"] != "http":
        raise RuntimeError(f"nothing is known of {scope['type']!r}, so it does not go on")
    body = b"forbidden\n" if status == 403 else b"no decision\n"
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    if status == 503:
        headers.append((b"retry-after", b"1"))
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})
