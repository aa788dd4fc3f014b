"""The lists that `pdp quarantine` changes: a file, or a running service by its admin listener."""

import http.client
import json
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, final
from urllib.parse import quote

from pdp.cli.output import CannotError, MistakenError, current_instant
from pdp.diagnostics import escape
from pdp.identity.fetch import parse_source_url
from pdp.identity.quarantine.entries import BadEntryError, Entry, entry_of
from pdp.identity.quarantine.file import NotConfirmedError, add_entry, lift_entry, make_entry, quarantine_in
from pdp.identity.quarantine.lists import QuarantineError

__all__ = ["Credentials", "InFile", "OfService", "Place"]

_SECONDS: Final = 10.0
_PATH: Final = "/v1/quarantine"


class Place(Protocol):
    """Where a list is. Every method raises CannotError, or MistakenError for what is no entry."""

    @property
    def by(self) -> str:
        """By whose word it is changed, or with which certificate."""

    def entries(self) -> tuple[Entry, ...]:
        """What is in it."""

    def add(self, named: Mapping[str, str], *, why: str, seconds: int, confirm: int | None) -> Entry:
        """Add an entry about something; `confirm` is how many identities it is known to be about."""

    def lift(self, entry_id: str, *, why: str) -> Entry:
        """Take an entry out."""


@final
class InFile:
    """A list in a file that services follow."""

    def __init__(self, path: Path, who: Callable[[], str]) -> None:
        """Change it by the word of `who`, which is asked once something is changed."""
        self._path, self._who = path, who

    @property
    def by(self) -> str:
        """By whose word it is changed."""
        return f"by {self._who()}"

    def entries(self) -> tuple[Entry, ...]:
        """What is in it."""
        try:
            return quarantine_in(self._path).entries
        except QuarantineError as error:
            raise CannotError("not_read", str(error)) from error

    def add(self, named: Mapping[str, str], *, why: str, seconds: int, confirm: int | None) -> Entry:
        """Add an entry; nobody counts here whom it is about."""
        del confirm
        now = current_instant()
        try:
            entry = make_entry(named, who=self._who(), why=why, since=now, until=now + seconds * 1000)
            add_entry(self._path, entry, now)
        except BadEntryError as error:
            raise MistakenError("invalid_entry", str(error)) from error
        except QuarantineError as error:
            raise CannotError("not_changed", str(error)) from error
        except NotConfirmedError as error:
            raise CannotError("not_confirmed", str(error)) from error
        return entry

    def lift(self, entry_id: str, *, why: str) -> Entry:
        """Take an entry out; the list has no room for why."""
        del why
        try:
            return lift_entry(self._path, entry_id, current_instant())
        except QuarantineError as error:
            raise CannotError("not_changed", str(error)) from error
        except NotConfirmedError as error:
            raise CannotError("not_confirmed", str(error)) from error


class Credentials(NamedTuple):
    """What a service is asked with: our certificate and key, and the roots of its own."""

    certificate: Path
    key: Path
    roots: Path


@final
class OfService:
    """The list of a running service, by its admin listener."""

    def __init__(self, url: str, credentials: Credentials) -> None:
        """Ask the service at `https://HOST:PORT`.

        Raises:
            MistakenError: That is no such URL.
            CannotError: Certificate, key or roots cannot be read.
        """
        try:
            self._url = parse_source_url(url)
            self._context = ssl.create_default_context(cafile=str(credentials.roots))
            self._context.load_cert_chain(credentials.certificate, credentials.key)
        except ValueError as error:
            if isinstance(error, ssl.SSLError):
                raise CannotError("no_credentials", f"certificate, key and roots: {error.reason}") from error
            raise MistakenError("invalid_url", str(error)) from error
        except OSError as error:
            raise CannotError("no_credentials", f"certificate, key and roots: {error.strerror}") from error
        self._certificate = credentials.certificate

    @property
    def by(self) -> str:
        """With which certificate it is changed; whose that is, the service says."""
        return f"with {self._certificate}"

    def entries(self) -> tuple[Entry, ...]:
        """What is in it."""
        return tuple(map(_entry, self._ask("GET", _PATH, None)["entries"]))

    def add(self, named: Mapping[str, str], *, why: str, seconds: int, confirm: int | None) -> Entry:
        """Add an entry; the service counts whom it is about."""
        sure = {} if confirm is None else {"confirm": confirm}
        return _entry(self._ask("POST", _PATH, {**named, "why": why, "seconds": seconds, **sure}))

    def lift(self, entry_id: str, *, why: str) -> Entry:
        """Take an entry out."""
        return _entry(self._ask("POST", f"{_PATH}/{quote(entry_id, safe='')}/lift", {"why": why}))

    def _ask(self, method: str, path: str, body: object) -> Any:
        connection = http.client.HTTPSConnection(
            self._url.host, self._url.port, timeout=_SECONDS, context=self._context
        )
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, {"content-type": "application/json"})
            answer = connection.getresponse()
            said = _json(answer)
            if answer.status >= http.client.BAD_REQUEST:
                raise CannotError(said["error"]["code"], escape(said["error"]["message"]))
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
            reason = escape(str(error) or type(error).__name__)
            raise CannotError("not_answered", f"{self._url.text}: {reason}") from error
        finally:
            connection.close()
        return said


def _json(answer: http.client.HTTPResponse) -> Any:
    """What an answer says.

    Raises:
        ValueError: It is not in JSON, so of nobody who keeps a list.
    """
    try:
        return json.loads(answer.read())
    except ValueError as error:
        raise ValueError(f"answers with status {answer.status}, and not in JSON") from error


def _entry(said: object) -> Entry:
    try:
        return entry_of(said)
    except BadEntryError as error:
        raise CannotError("not_answered", f"the service answers with what is no entry: {error}") from error
