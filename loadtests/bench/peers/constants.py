"""What answers the same to everything, and so bounds what any peer can come to: nginx, a route of FastAPI."""

import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Literal

from fastapi import FastAPI
from pydantic import BaseModel

from loadtests.bench.peers.endpoint import Endpoint, free_port, running
from loadtests.bench.peers.pdp_service import asked

__all__ = ["FASTAPI", "NGINX", "app"]

_CONF: Final = """\
daemon off; master_process off; error_log stderr error; pid {folder}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 100000000; default_type application/json;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 '{{"decision":"allow"}}'; }}
    }}
}}
"""


class Nginx:
    """nginx in one process that returns a constant."""

    name = "nginx, a constant"

    def missing(self) -> str | None:
        """The program."""
        return None if shutil.which("nginx") else "no nginx here"

    def serve(self, folder: Path, _: int, held: ExitStack) -> Endpoint:
        """Begin it."""
        port = free_port()
        conf = folder / "nginx.conf"
        conf.write_text(_CONF.format(folder=folder, port=port), encoding="utf-8")
        process = held.enter_context(
            running(["nginx", "-e", "stderr", "-p", str(folder), "-c", str(conf)], folder)
        )
        return Endpoint(name=self.name, port=port, pid=process.pid, target="/v1/decide", ask=asked, read=None)


class Asked(BaseModel):
    """The question, checked by pydantic as FastAPI's pages do it."""

    principal: str
    service: str
    method: str
    path: str


class Answered(BaseModel):
    """The answer."""

    decision: Literal["allow", "deny"]


app = FastAPI()


@app.post("/v1/decide")
async def decide(_: Asked) -> Answered:
    """Nothing at all."""
    return Answered(decision="allow")


class PlainRoute:
    """The route above, on uvicorn with uvloop and httptools, without an access log."""

    name = "FastAPI, a constant"

    def missing(self) -> None:
        """Nothing: pdp brings it."""

    def serve(self, folder: Path, _: int, held: ExitStack) -> Endpoint:
        """Begin it."""
        port = free_port()
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            f"{__name__}:app",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        fast = ["--no-access-log", "--log-level", "warning", "--loop", "uvloop", "--http", "httptools"]
        process = held.enter_context(running([*command, *fast], folder))
        return Endpoint(name=self.name, port=port, pid=process.pid, target="/v1/decide", ask=asked, read=None)


NGINX: Final = Nginx()
FASTAPI: Final = PlainRoute()
