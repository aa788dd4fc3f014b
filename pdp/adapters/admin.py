"""The admin application: who is believed no more is listed, added to and lifted here.

It changes nothing but that list, and the list only takes away. Adding and lifting are separate rights, of
identities that the settings name; whoever is quarantined has neither. Every change and every attempt
without the right is told to whoever runs the service. Where the list is kept is another's business.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol, TypeGuard, TypeVar, final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pdp.adapters.admin_body import FORBIDDEN, RefusedError, body_of, require_members, why_of
from pdp.adapters.replies import CALLER
from pdp.adapters.schemas import error_body
from pdp.diagnostics import escape
from pdp.identity.caller import Caller
from pdp.identity.quarantine.entries import TARGETS, BadEntryError, Entry
from pdp.identity.quarantine.file import NoSuchEntryError, make_entry
from pdp.identity.quarantine.lists import Quarantine, QuarantineError
from pdp.identity.quarantine.workloads import WorkloadPattern
from pdp.identity.refusal import UntrustedCertificateError
from pdp.limits import MAX_QUARANTINE_SECONDS
from pdp.service.quarantined import entry_of_caller
from pdp.vocabulary import Millis

__all__ = ["AdminApp", "AdminRights", "Kept"]

_T = TypeVar("_T")
_LIST: Final = "/v1/quarantine"
_LIFT: Final = "/lift"
_SHOWN: Final = 80  # characters of the name of an entry that may be none
_NAMES: Final = frozenset({*TARGETS, "trust_domain", "issuer"})
_MEMBERS: Final = _NAMES | {"why", "seconds", "confirm"}


class Kept(Protocol):
    """Where the list is kept. Its methods block, and return once what they did is in force."""

    @property
    def current(self) -> Quarantine:
        """The list in force."""

    def add(self, entry: Entry) -> None:
        """Add an entry, or raise QuarantineError: nothing is changed. With any other error it may be."""

    def lift(self, entry_id: str) -> Entry:
        """Take an entry out, or raise the same, or NoSuchEntryError."""

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
        except RefusedError as error:
            status, body = error.status, error_body(error.code, error.message)
        except ClientDisconnect:
            status, body = 400, error_body("gone", "the request was cut short")
        # Who may not has had their answer: the next one takes another connection.
        await _json(status, body, last=status == FORBIDDEN)(scope, receive, send)

    async def _answer(self, request: Request) -> tuple[int, object]:
        caller = self._caller(request.scope)
        path, method = request.url.path, request.method
        if path == _LIST and method == "GET":
            return 200, {"entries": self._kept.current.entries}
        if path == _LIST and method == "POST":
            self._require(caller, self._rights.quarantine, "quarantine_not_permitted")
            said = await body_of(request)
            return 201, await self._add(self._caller(request.scope), said)
        if path.startswith(f"{_LIST}/") and path.endswith(_LIFT) and method == "POST":
            self._require(caller, self._rights.lift, "lift_not_permitted")
            entry_id = path.removeprefix(f"{_LIST}/").removesuffix(_LIFT)
            said = await body_of(request)
            return 200, await self._lift(self._caller(request.scope), entry_id, said)
        raise RefusedError(
            404, "not_found", f"there are `GET` and `POST {_LIST}`, and `POST {_LIST}/ID{_LIFT}`"
        )

    # -- who may -------------------------------------------------------------------------

    def admits(self, caller: object) -> TypeGuard[Caller]:
        """Whether whoever connects may anything at all, at this moment."""
        try:
            self._admitted(caller)
        except RefusedError:
            return False
        return True

    def _caller(self, scope: Scope) -> Caller:
        """Whoever asks, if they may anything at all. Asked again once a body has come: that may take long."""
        ask = scope.get("state", {}).get(CALLER)
        try:
            return self._admitted(ask() if callable(ask) else ask)
        except RefusedError as error:
            if error.told:
                self._say(f"admin: refused {error.told}")
            raise

    def _admitted(self, caller: object) -> Caller:
        now = self._clock()
        if isinstance(caller, UntrustedCertificateError):
            message = f"the client certificate is not accepted: {caller.message}"
            raise RefusedError(FORBIDDEN, "caller_untrusted", message)
        if not isinstance(caller, Caller) or now > caller.not_after:
            raise RefusedError(FORBIDDEN, "caller_expired", "the certificate of this caller has expired")
        if entry_of_caller(self._kept.current, caller, now) is not None:
            told = f"{caller.id}, which is quarantined"
            raise RefusedError(FORBIDDEN, "caller_quarantined", "this caller is quarantined", told)
        if caller.id not in self._rights.quarantine | self._rights.lift:
            told = f"{caller.id}, which the settings do not name"
            raise RefusedError(FORBIDDEN, "admin_not_permitted", "this caller may not administer", told)
        return caller

    def _require(self, caller: Caller, right: frozenset[str], code: str) -> None:
        if caller.id not in right:
            self._say(f"admin: refused {caller.id}: {code}")
            raise RefusedError(FORBIDDEN, code, "this caller has not this right: adding and lifting are two")

    # -- changes -------------------------------------------------------------------------

    async def _add(self, caller: Caller, said: Mapping[str, Any]) -> Entry:
        require_members(said, _MEMBERS)
        seconds, confirm = said.get("seconds"), said.get("confirm")
        if type(seconds) is not int or not 0 < seconds <= MAX_QUARANTINE_SECONDS:
            message = f"`seconds` is how long it holds: a whole number of 1 to {MAX_QUARANTINE_SECONDS}"
            raise RefusedError(400, "invalid_entry", message)
        if confirm is not None and type(confirm) is not int:
            raise RefusedError(400, "invalid_entry", "`confirm` is how many it is about: a whole number")
        now = self._clock()
        try:
            named = {name: value for name, value in said.items() if name in _NAMES}
            entry = make_entry(named, who=caller.id, why=why_of(said), since=now, until=now + seconds * 1000)
        except BadEntryError as error:
            raise RefusedError(400, "invalid_entry", str(error)) from error
        await self._require_meant(entry, confirm)
        await self._changed(lambda: self._kept.add(entry))
        return entry

    async def _require_meant(self, entry: Entry, confirm: int | None) -> None:
        """See that an entry is meant: one that is a pattern, or about those who lift."""
        pattern = entry.pattern
        if pattern is None:
            return
        lifters = sum(pattern.holds_id(id_) for id_ in self._rights.lift)
        if pattern.exact and not lifters:
            return
        hits = await asyncio.to_thread(self._kept.hits, pattern)
        if confirm != hits + lifters:
            message = (
                f"it is about {hits} identities that policies name, and {lifters} who may lift: "
                f"to mean them all say `confirm: {hits + lifters}`"
            )
            raise RefusedError(409, "needs_confirmation", message)

    async def _lift(self, caller: Caller, entry_id: str, said: Mapping[str, Any]) -> Entry:
        require_members(said, frozenset({"why"}))
        why = why_of(said)
        # First: the list itself does not say it, and whatever fails from here on, the entry may be gone.
        self._say(f"admin: {escape(entry_id)[:_SHOWN]} is being lifted by {caller.id}: {why}")
        entry = await self._changed(lambda: self._kept.lift(entry_id))
        self._say(f"admin: {entry.id} was lifted by {caller.id}: {why}")
        return entry

    async def _changed(self, change: Callable[[], _T]) -> _T:
        try:
            return await asyncio.to_thread(change)
        except NoSuchEntryError as error:
            raise RefusedError(404, "no_such_entry", str(error)) from error
        except QuarantineError as error:
            self._say(f"admin: the list was not changed: {error}")
            raise RefusedError(503, "not_changed", f"the list was not changed: {error}") from error
        except Exception as error:
            self._say(f"admin: the change is written, and not known to be in force everywhere: {error}")
            message = "the change is written, and not known to be in force everywhere: see who is quarantined"
            raise RefusedError(503, "not_confirmed", message) from error


def _json(status: int, body: object, *, last: bool) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    headers = {"cache-control": "no-store", **({"connection": "close"} if last else {})}
    return Response(
        msgspec.json.encode(body), status_code=status, media_type="application/json", headers=headers
    )
