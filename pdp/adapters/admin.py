"""The admin application: who is believed no more is listed, added to and lifted here.

It changes nothing but that list, and the list only takes away. Adding and lifting are separate rights, of
identities that the settings name; whoever is quarantined has neither. Every change and every attempt
without the right is told to whoever runs the service. Where the list is kept is another's business.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol, TypeVar, final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pdp.adapters.connection import CALLER
from pdp.adapters.schemas import error_body
from pdp.identity.caller import Caller
from pdp.identity.quarantine.entries import TARGETS, BadEntryError, Entry
from pdp.identity.quarantine.file import NoSuchEntryError, make_entry
from pdp.identity.quarantine.lists import Quarantine, QuarantineError
from pdp.identity.quarantine.workloads import WorkloadPattern
from pdp.identity.refusal import UntrustedCertificateError
from pdp.limits import MAX_ADMIN_BODY_BYTES, MAX_QUARANTINE_HITS, MAX_QUARANTINE_SECONDS
from pdp.service.quarantined import entry_of_caller
from pdp.strictness import BadJsonError, quoted, strict_value
from pdp.vocabulary import Millis

__all__ = ["AdminApp", "AdminRights", "Kept"]

_T = TypeVar("_T")
_LIST: Final = "/v1/quarantine"
_LIFT: Final = "/lift"
_NAMES: Final = frozenset({*TARGETS, "trust_domain", "issuer"})
_MEMBERS: Final = _NAMES | {"why", "seconds", "confirm"}


class Kept(Protocol):
    """Where the list is kept. Its methods block, and return once what they did is in force."""

    @property
    def current(self) -> Quarantine:
        """The list in force."""

    def add(self, entry: Entry) -> None:
        """Add an entry, or raise QuarantineError."""

    def lift(self, entry_id: str) -> Entry:
        """Take an entry out, or raise QuarantineError, NoSuchEntryError."""

    def hits(self, pattern: WorkloadPattern) -> int:
        """How many identities that policies name are in a pattern."""


@final
class AdminRights(msgspec.Struct, frozen=True):
    """Who may do what.

    Attributes:
        quarantine: Ids of those who may add entries.
        lift: Ids of those who may take them out.
    """

    quarantine: frozenset[str]
    lift: frozenset[str]


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@final
class AdminApp:
    """An ASGI application over a list."""

    def __init__(
        self,
        kept: Kept,
        rights: AdminRights,
        *,
        clock: Callable[[], Millis],
        say: Callable[[str], None],
    ) -> None:
        """Serve a list.

        Args:
            kept: Where it is kept.
            rights: Who may change it.
            clock: The wall clock.
            say: Told of each change, and of whoever may not.
        """
        self._kept, self._rights, self._clock, self._say = kept, rights, clock, say

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            status, body = await self._answer(request)
        except _RefusedError as error:
            status, body = error.status, error_body(error.code, error.message)
        except ClientDisconnect:
            status, body = 400, error_body("gone", "the request was cut short")
        await _json(status, body)(scope, receive, send)

    async def _answer(self, request: Request) -> tuple[int, object]:
        caller = self._caller(request.scope)
        path, method = request.url.path, request.method
        if path == _LIST and method == "GET":
            return 200, {"entries": self._kept.current.entries}
        if path == _LIST and method == "POST":
            self._require(caller, self._rights.quarantine, "quarantine_not_permitted")
            said = await _body(request)
            return 201, await self._add(self._caller(request.scope), said)
        if path.startswith(f"{_LIST}/") and path.endswith(_LIFT) and method == "POST":
            self._require(caller, self._rights.lift, "lift_not_permitted")
            entry_id = path.removeprefix(f"{_LIST}/").removesuffix(_LIFT)
            said = await _body(request)
            return 200, await self._lift(self._caller(request.scope), entry_id, said)
        raise _RefusedError(
            404, "not_found", f"there are `GET` and `POST {_LIST}`, and `POST {_LIST}/ID{_LIFT}`"
        )

    # -- who may -------------------------------------------------------------------------

    def _caller(self, scope: Scope) -> Caller:
        """Whoever asks, if they may anything at all. Asked again once a body has come: that may take long."""
        ask = scope.get("state", {}).get(CALLER)
        caller = ask() if callable(ask) else ask
        now = self._clock()
        if isinstance(caller, UntrustedCertificateError):
            message = f"the client certificate is not accepted: {caller.message}"
            raise _RefusedError(403, "caller_untrusted", message)
        if not isinstance(caller, Caller) or now > caller.not_after:
            raise _RefusedError(403, "caller_expired", "the certificate of this caller has expired")
        if entry_of_caller(self._kept.current, caller, now) is not None:
            self._say(f"admin: refused {caller.id}, which is quarantined")
            raise _RefusedError(403, "caller_quarantined", "this caller is quarantined")
        if caller.id not in self._rights.quarantine | self._rights.lift:
            self._say(f"admin: refused {caller.id}, which the settings do not name")
            raise _RefusedError(403, "admin_not_permitted", "this caller may not administer")
        return caller

    def _require(self, caller: Caller, right: frozenset[str], code: str) -> None:
        if caller.id not in right:
            self._say(f"admin: refused {caller.id}: {code}")
            raise _RefusedError(403, code, "this caller has not this right: adding and lifting are two")

    # -- changes -------------------------------------------------------------------------

    async def _add(self, caller: Caller, said: Mapping[str, Any]) -> Entry:
        _require_members(said, _MEMBERS)
        seconds, confirm = said.get("seconds"), said.get("confirm")
        if type(seconds) is not int or not 0 < seconds <= MAX_QUARANTINE_SECONDS:
            message = f"`seconds` is how long it holds: a whole number of 1 to {MAX_QUARANTINE_SECONDS}"
            raise _RefusedError(400, "invalid_entry", message)
        now = self._clock()
        try:
            named = {name: value for name, value in said.items() if name in _NAMES}
            entry = make_entry(named, who=caller.id, why=_why(said), since=now, until=now + seconds * 1000)
        except BadEntryError as error:
            raise _RefusedError(400, "invalid_entry", str(error)) from error
        await self._require_meant(entry, confirm)
        await self._changed(lambda: self._kept.add(entry))
        return entry

    async def _require_meant(self, entry: Entry, confirm: object) -> None:
        """See that an entry is meant: one about many, about a whole trust domain, or about those who lift."""
        pattern = entry.pattern
        if pattern is None:
            return
        hits = await asyncio.to_thread(self._kept.hits, pattern)
        lifters = sum(pattern.holds_id(id_) for id_ in self._rights.lift)
        if confirm == hits + lifters:
            return
        if hits > MAX_QUARANTINE_HITS or lifters or pattern.names_nothing:
            message = (
                f"it is about {hits} identities that policies name, and {lifters} who may lift: "
                f"to mean them all say `confirm: {hits + lifters}`"
            )
            raise _RefusedError(409, "needs_confirmation", message)

    async def _lift(self, caller: Caller, entry_id: str, said: Mapping[str, Any]) -> Entry:
        _require_members(said, frozenset({"why"}))
        why = _why(said)
        entry = await self._changed(lambda: self._kept.lift(entry_id))
        self._say(f"admin: {entry.id} was lifted by {caller.id}: {why}")
        return entry

    async def _changed(self, change: Callable[[], _T]) -> _T:
        try:
            return await asyncio.to_thread(change)
        except NoSuchEntryError as error:
            raise _RefusedError(404, "no_such_entry", str(error)) from error
        except QuarantineError as error:
            self._say(f"admin: the list was not changed: {error}")
            raise _RefusedError(503, "not_changed", f"the list was not changed: {error}") from error
        except Exception as error:
            self._say(f"admin: the change is written, and not known to be in force everywhere: {error}")
            message = "the change is written, and not known to be in force everywhere: see who is quarantined"
            raise _RefusedError(503, "not_confirmed", message) from error


def _why(said: Mapping[str, Any]) -> str:
    why = said.get("why")
    if not isinstance(why, str) or not why.strip() or not why.isprintable():
        raise _RefusedError(400, "invalid_entry", "`why` is a text of one line: what happened")
    return why


def _require_members(said: Mapping[str, Any], known: frozenset[str]) -> None:
    for name in said:
        if name not in known:
            raise _RefusedError(400, "invalid_entry", f"there is no member {quoted(name)}")


async def _body(request: Request) -> Mapping[str, Any]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise _RefusedError(415, "unsupported_media_type", "the body is `application/json`")
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_ADMIN_BODY_BYTES:
            raise _RefusedError(413, "body_too_large", f"the body has at most {MAX_ADMIN_BODY_BYTES} bytes")
        chunks.append(chunk)
    try:
        value = strict_value(b"".join(chunks), "the body")
    except BadJsonError as error:
        raise _RefusedError(400, error.code, error.message) from error
    if not isinstance(value, dict):
        raise _RefusedError(400, "invalid_entry", "the body is an object")
    return value


def _json(status: int, body: object) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    headers = {"cache-control": "no-store"}
    return Response(
        msgspec.json.encode(body), status_code=status, media_type="application/json", headers=headers
    )
