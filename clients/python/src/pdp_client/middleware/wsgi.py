"""For WSGI: Flask (`app.wsgi_app = PdpMiddleware(app.wsgi_app, ...)`), Django, and whatever else is of it.

A deny is 403, and where there is no answer it is 503. The path is asked about as it was received: `RAW_URI`
of gunicorn, `REQUEST_URI` of waitress, uWSGI and mod_wsgi. A server that does not say it, or says another one
than the application is given, gets 503.

In WSGI `X-Plan` and `X_Plan` are one header. What an obligation sets or removes is both; but a server that
lets clients send underscores lets them write over what a proxy in front of us says. gunicorn and waitress do
not, but for `SCRIPT_NAME` and `PATH_INFO`, which gunicorn takes from whoever it trusts: with these nothing
passes.
"""

import logging
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, TypeAlias, final
from urllib.parse import quote, unquote_to_bytes

from pdp_client.client import Client
from pdp_client.errors import CouldNotAnswerError
from pdp_client.middleware.duties import set_and_removed
from pdp_client.middleware.incoming import Family, Incoming, Withheld, question_of
from pdp_client.question import Principal, User, UserToken

__all__ = ["PdpMiddleware"]

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[..., Any]
App: TypeAlias = Callable[[Environ, StartResponse], Iterable[bytes]]

_log: Final = logging.getLogger("pdp_client")
_TARGETS: Final = ("RAW_URI", "REQUEST_URI")
_PLACES: Final = frozenset({"HTTP_SCRIPT_NAME", "HTTP_PATH_INFO"})
#: Headers that the environment has under names of their own.
_OWN_NAMES: Final = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


@final
class PdpMiddleware:
    """The outermost one: what stands before it is not asked about."""

    def __init__(
        self,
        app: App,
        client: Client,
        *,
        service: str,
        principal: Callable[[Environ], Principal | None],
        user: Callable[[Environ], User | UserToken | None] | None = None,
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

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Let a request go on, or answer it."""
        try:
            admitted = self._admitted(environ)
        except Withheld as withheld:
            _log.info("a request was withheld: %s", withheld.why)
            return _refuse(start_response, denied=withheld.denied)
        except CouldNotAnswerError as error:
            _log.warning("a request was withheld: there is no answer: %s", error)
            return _refuse(start_response, denied=False)
        except Exception:  # noqa: BLE001 - whatever it was, nothing passes
            _log.exception("a request was withheld by a defect")
            return _refuse(start_response, denied=False)
        return self._app(admitted, start_response)

    def _admitted(self, environ: Environ) -> Environ:
        """The request as the application is to see it."""
        principal = self._principal(environ)
        if principal is None:
            raise Withheld("nobody is known to be at the other end", denied=True)
        user = None if self._user is None else self._user(environ)
        question = question_of(self._incoming(environ), self._service, principal, user, self._supplies)
        changes = set_and_removed(self._client.decide(question))
        return _after(environ, changes) if changes else environ

    def _incoming(self, environ: Environ) -> Incoming:
        port = environ.get("SERVER_PORT", "")
        return Incoming(
            method=environ["REQUEST_METHOD"],
            target=self._target(environ),
            headers=_headers(environ),
            source=environ.get("REMOTE_ADDR") or None,
            scheme=environ.get("wsgi.url_scheme"),
            port=int(port) if port.isdecimal() else None,
        )

    def _target(self, environ: Environ) -> str:
        """The target as it was received, which is what the application is given once it is decoded."""
        if not _PLACES.isdisjoint(environ):
            # gunicorn lets whoever it trusts move the border between the two, and with it what is served.
            raise Withheld("a header says where the application is mounted", denied=True)
        given = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        query = environ.get("QUERY_STRING", "")
        for name in _TARGETS:
            target = environ.get(name)
            if not isinstance(target, str):
                continue
            path, _, received_query = target.partition("?")
            if unquote_to_bytes(path.encode("latin-1")).decode("latin-1") != given or received_query != query:
                raise Withheld("the application is given another path than was received", denied=False)
            return target
        if not self._trust_decoded_path:
            raise Withheld("this server does not say which path it received", denied=False)
        path = quote(given.encode("latin-1"), safe="/!$&'()*+,=:@~;")
        return f"{path}?{query}" if query else path


def _headers(environ: Environ) -> list[tuple[str, str]]:
    found = [
        (name.removeprefix("HTTP_"), value) for name, value in environ.items() if name.startswith("HTTP_")
    ]
    return found + [(name, value) for name, own in _OWN_NAMES.items() if (value := environ.get(own))]


def _after(environ: Environ, changes: dict[str, str | None]) -> Environ:
    """The environment once the obligations are fulfilled."""
    found = dict(environ)
    for name, value in changes.items():
        key = f"HTTP_{name.upper().replace('-', '_')}"
        own = _OWN_NAMES.get(name)
        for each in (key, own):
            if each is not None:
                found.pop(each, None)
        if value is not None:
            found[own or key] = value
    return found


def _refuse(start_response: StartResponse, *, denied: bool) -> Iterable[bytes]:
    body = b"forbidden\n" if denied else b"no decision\n"
    headers = [("content-type", "text/plain"), ("content-length", str(len(body)))]
    if denied:
        start_response("403 Forbidden", headers)
    else:
        start_response("503 Service Unavailable", [*headers, ("retry-after", "1")])
    return [body]
