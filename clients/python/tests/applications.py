"""Applications that say what they see, behind the middleware. Each is loaded by a server of its own."""

import os
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import re_path
from fastapi import FastAPI, Request, WebSocket
from flask import Flask, jsonify, request

from pdp_client import AsyncClient, Client, Timeouts, TlsFiles
from pdp_client.middleware import asgi, peers, wsgi

FOLDER = Path(os.environ["FRONTED_PKI"])
TLS = TlsFiles(FOLDER / "pep.pem", FOLDER / "pep-key.pem", FOLDER / "prod.pem")
ENDPOINTS = [f"https://127.0.0.1:{os.environ['FRONTED_PORT']}"]
SUPPLIES: Any = ("header", "source", "request")
TIMEOUTS = Timeouts(connect=3.0, read=3.0, overall=6.0)


def asgi_peer(scope: Any) -> Any:
    """For tests alone: whoever says so."""
    if os.environ.get("FRONTED_XFCC"):
        return peers.asgi_xfcc(scope)
    found = dict(scope["headers"]).get(b"x-peer", b"").decode()
    if found == "broken":
        raise RuntimeError("a function of the application fails")
    return found or None


def wsgi_peer(environ: Any) -> Any:
    if os.environ.get("FRONTED_XFCC"):
        return peers.wsgi_xfcc(environ)
    if os.environ.get("FRONTED_TLS"):
        return peers.gunicorn(environ)
    found = environ.get("HTTP_X_PEER", "")
    if found == "broken":
        raise RuntimeError("a function of the application fails")
    return found or None


# -- FastAPI ---------------------------------------------------------------------------------

fastapi = FastAPI()


@fastapi.websocket("/ws")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("inside")
    await socket.close()


@fastapi.api_route("/{path:path}", methods=["GET", "HEAD", "POST", "DELETE"])
async def seen_by_fastapi(request: Request) -> dict[str, Any]:
    return {"path": request.url.path, "headers": request.headers.items(), "method": request.method}


fastapi_fronted = asgi.PdpMiddleware(
    fastapi,
    AsyncClient(ENDPOINTS, tls=TLS, timeouts=TIMEOUTS),
    service="web.shop",
    principal=asgi_peer,
    supplies=SUPPLIES,
)
fastapi_bare = asgi.PdpMiddleware(
    fastapi, AsyncClient(ENDPOINTS, tls=TLS, timeouts=TIMEOUTS), service="web.shop", principal=asgi_peer
)

# -- Flask -----------------------------------------------------------------------------------

flask = Flask("fronted")


@flask.route("/", defaults={"path": ""}, methods=["GET", "POST", "DELETE"])
@flask.route("/<path:path>", methods=["GET", "POST", "DELETE"])
def seen_by_flask(path: str) -> Any:
    return jsonify(
        path=f"/{path}", headers=[[k.lower(), v] for k, v in request.headers], method=request.method
    )


flask_fronted = wsgi.PdpMiddleware(
    flask.wsgi_app,
    Client(ENDPOINTS, tls=TLS, timeouts=TIMEOUTS),
    service="web.shop",
    principal=wsgi_peer,
    supplies=SUPPLIES,
)
flask_bare = wsgi.PdpMiddleware(
    flask.wsgi_app,
    Client(ENDPOINTS, tls=TLS, timeouts=TIMEOUTS),
    service="web.shop",
    principal=wsgi_peer,
)

# -- Django ----------------------------------------------------------------------------------


def seen_by_django(request: HttpRequest) -> JsonResponse:
    headers = [[key.lower(), value] for key, value in request.headers.items()]
    return JsonResponse({"path": request.path, "headers": headers, "method": request.method})


urlpatterns = [re_path("", seen_by_django)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="none", MIDDLEWARE=[])
django.setup()
django_fronted = wsgi.PdpMiddleware(
    get_wsgi_application(),
    Client(ENDPOINTS, tls=TLS, timeouts=TIMEOUTS),
    service="web.shop",
    principal=wsgi_peer,
    supplies=SUPPLIES,
)
