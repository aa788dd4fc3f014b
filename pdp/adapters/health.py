"""The health listener: three paths in plaintext, for probes that bring no certificate.

It tells yes by 200 and no by 503, and nothing else to anybody: no revision, no counts, no policies.
"""

from collections.abc import Callable
from typing import Final, final

from starlette.types import Receive, Scope, Send

from pdp.service.health import Health

__all__ = ["HealthApp"]

_PATHS: Final[dict[str, Callable[[Health], bool]]] = {
    "/health/live": lambda health: health.live,
    "/health/ready": lambda health: health.ready,
    "/health/fresh": lambda health: health.fresh,
}
_TEXT: Final = {200: b"yes\n", 503: b"no\n", 404: b"not found\n", 405: b"method not allowed\n"}


@final
class HealthApp:
    """An ASGI application over the health of a service."""

    def __init__(self, health: Health) -> None:
        self._health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; its body, if it has one, is not read."""
        del receive
        if scope["type"] != "http":
            return
        status = self._status(scope["method"], scope["path"])
        body = _TEXT[status]
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(body)).encode("ascii")),
            (b"cache-control", b"no-store"),
        ]
        if status == 405:
            headers.append((b"allow", b"GET, HEAD"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def _status(self, method: str, path: str) -> int:
        asked = _PATHS.get(path)
        if asked is None:
            return 404
        if method not in {"GET", "HEAD"}:
            return 405
        return 200 if asked(self._health) else 503
