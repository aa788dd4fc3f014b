"""`GET /v1/revisions`: revisions as server-sent events."""

import asyncio
from typing import Final, final

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pdp.adapters.schemas import error_body
from pdp.adapters.watching import watch
from pdp.identity.caller import Caller
from pdp.service.decision_service import DecisionService
from pdp.service.errors import NotPermittedError
from pdp.service.revisions import Following
from pdp.store.versions import Published

__all__ = ["RevisionBody", "RevisionEvents"]

_HEARTBEAT: Final = b": alive\n\n"
_encode = msgspec.json.Encoder().encode


class RevisionBody(msgspec.Struct, frozen=True, kw_only=True):
    """A revision that is served.

    Attributes:
        revision: Its name, as answers have it.
        number: Orders the revisions that one process publishes; another process counts anew.
    """

    revision: str
    number: int


@final
class RevisionEvents(Response):
    """A response that goes on until the client goes, the service ends, or the rights do."""

    media_type = "text/event-stream"

    def __init__(self, service: DecisionService, caller: Caller, following: Following) -> None:
        super().__init__(headers={"cache-control": "no-store"})
        del self.headers["content-length"]
        self._service, self._caller, self._following = service, caller, following

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        del scope
        with self._following:
            gone = asyncio.create_task(self._until_gone(receive))
            try:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                last = await self._send_all(send)
                await send({"type": "http.response.body", "body": last, "more_body": False})
            finally:
                gone.cancel()

    async def _send_all(self, send: Send) -> bytes:
        """Send what happens; what is to be said last."""
        try:
            async for published in watch(self._service, lambda: self._caller, self._following):
                event = _HEARTBEAT if published is None else _event(published)
                await send({"type": "http.response.body", "body": event, "more_body": True})
        except NotPermittedError as error:
            return b"event: error\ndata: " + _encode(error_body(error.code, error.message)) + b"\n\n"
        return b""

    async def _until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._following.close()


def _event(published: Published) -> bytes:
    body = RevisionBody(revision=published.snapshot.revision, number=published.number)
    return b"event: revision\nid: %d\ndata: %b\n\n" % (published.number, _encode(body))
