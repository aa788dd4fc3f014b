"""Envoy with the PDP, with authorizers that do nothing, and alone: requests a second, and how long one takes.

.venv/bin/python loadtests/bench/through_envoy.py [--rounds 5] [--requests 6000] [--connections 32] [--json]

Each is the sample configuration of `clients/envoy`, with one thread, mutual TLS on both sides, and the same
nginx behind. The PDP is one process, with its decision log on. What does nothing over HTTP is nginx, over
gRPC a server of grpcio: a constant each. `ab` asks (Debian's apache2-utils), with a certificate, over
connections that it keeps. The works take turns; figures are medians.
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, Final

import grpc

from tests.e2e.proxies.edges import Edge, free_ports, issue_for
from tests.e2e.proxies.samples import SAMPLES, Sample
from tests.e2e.running import Pki
from tests.programs import brought

ALONE, NULL_HTTP, NULL_GRPC, HTTP, GRPC = "alone", "null HTTP", "null gRPC", "pdp HTTP", "pdp gRPC"
WORKS: Final = (ALONE, NULL_HTTP, NULL_GRPC, HTTP, GRPC)
URL: Final = "/v1/charges/41"
_FILTER: Final = re.compile(r" {18}- name: envoy\.filters\.http\.ext_authz\n(?: {20}.*\n)+")
_PER_ROUTE: Final = re.compile(r" {22}typed_per_filter_config:\n(?: {24}.*\n)+")
_HEAD: Final = (
    "| Envoy with | requests/s | p50 ms | p99 ms | of null HTTP | of alone |\n|---|---|---|---|---|---|"
)
#: `ab` speaks HTTP/1.0, which Envoy refuses unless it is told not to.
_OLD: Final = (
    "codec_type: AUTO",
    "codec_type: AUTO\n                http_protocol_options: { accept_http_10: true }",
)
NGINX: Final = """\
daemon off; master_process off; error_log stderr error; pid {folder}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 100000000;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{ listen 127.0.0.1:{behind}; location / {{ return 200 "ok\\n"; }} }}
    server {{
        listen 127.0.0.1:{null} ssl;
        ssl_certificate {pki}/pdp-server.pem; ssl_certificate_key {pki}/pdp-server-key.pem;
        ssl_client_certificate {pki}/prod.pem; ssl_verify_client on; ssl_protocols TLSv1.3;
        location / {{ return 200; }}
    }}
}}
"""


@dataclass(frozen=True)
class Round:
    """What one run of `ab` came to."""

    per_second: float
    p50_ms: float
    p99_ms: float


def ab(folder: Path, port: int, requests: int, connections: int) -> Round:
    """So many requests over so many connections; every answer has to be 200."""
    times = folder / "times.csv"
    command = [
        "ab", "-q", "-k", "-n", str(requests), "-c", str(connections), "-e", str(times), "-f", "TLS1.3",
        "-E", str(folder / "web-both.pem"), "-H", "Host: payments.example.com", f"https://127.0.0.1:{port}{URL}",
    ]  # fmt: skip
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout
    assert f"Complete requests:      {requests}\n" in said, said
    assert "Non-2xx" not in said, said
    assert "Failed requests:        0\n" in said, said
    rate = re.search(r"Requests per second:\s+([0-9.]+)", said)
    assert rate is not None, said
    rows = dict(line.split(",") for line in times.read_text("ascii").splitlines()[1:])
    return Round(float(rate[1]), float(rows["50"]), float(rows["99"]))


@contextmanager
def process(*command: str) -> Iterator[None]:
    """Run a program until the end of the block."""
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        running.terminate()
        running.wait(20)


def answer_constantly(port: int, pki: Path) -> None:
    """A server of grpcio that says yes, over mutual TLS."""
    from envoy.service.auth.v3.external_auth_pb2 import CheckResponse, OkHttpResponse  # noqa: PLC0415
    from google.rpc.status_pb2 import Status  # noqa: PLC0415

    said = CheckResponse(status=Status(code=0), ok_response=OkHttpResponse()).SerializeToString()

    async def check(_: bytes, __: Any) -> bytes:
        return said

    async def serve() -> None:
        server = grpc.aio.server()
        name = "envoy.service.auth.v3.Authorization"
        handlers = {"Check": grpc.unary_unary_rpc_method_handler(check)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
        key, leaf = ((pki / f"pdp-server{part}.pem").read_bytes() for part in ("-key", ""))
        roots = (pki / "prod.pem").read_bytes()
        server.add_secure_port(
            f"127.0.0.1:{port}", grpc.ssl_server_credentials([(key, leaf)], roots, require_client_auth=True)
        )
        await server.start()
        await server.wait_for_termination()

    asyncio.run(serve())


def configured(work: str, edge: Edge, listen: int, ports: Mapping[str, int]) -> str:
    """The configuration of one Envoy, from that of the sample that runs already."""
    text = (edge.folder / "envoy.yaml").read_text("utf-8")
    changes = {
        f"port_value: {edge.places.listen} ": f"port_value: {listen} ",
        f"port_value: {edge.places.upstream} ": f"port_value: {ports['behind']} ",
        _OLD[0]: _OLD[1],
        # Under a benchmark on two cores some answers take long: that has to be measured, and not cut off.
        "timeout: 0.3s": "timeout: 5s",
        "connect_timeout: 0.2s": "connect_timeout: 5s",
    }
    if work == ALONE:
        text = _FILTER.sub("", _PER_ROUTE.sub("", text))
        del changes["timeout: 0.3s"]
    if work in {NULL_HTTP, NULL_GRPC}:
        asked = edge.places.http if work == NULL_HTTP else edge.places.grpc
        changes[f"port_value: {asked} "] = f"port_value: {ports[work]} "
    for old, new in changes.items():
        assert text.count(old) == 1, (work, old, text.count(old))
        text = text.replace(old, new)
    return text


def sample(name: str) -> Sample:
    return next(each for each in SAMPLES if each.name == name)


def begin(held: ExitStack, folder: Path) -> dict[str, int]:
    """Everything that runs; where each Envoy listens."""
    (folder / "pki").mkdir()
    pki = Pki(folder / "pki")
    issue_for(pki)
    both = (pki.folder / "web.pem").read_bytes() + (pki.folder / "web-key.pem").read_bytes()
    (folder / "web-both.pem").write_bytes(both)
    ports = dict(zip(("behind", NULL_HTTP, NULL_GRPC), free_ports(3), strict=True))
    (folder / "nginx.conf").write_text(
        NGINX.format(folder=folder, pki=pki.folder, behind=ports["behind"], null=ports[NULL_HTTP])
    )
    held.enter_context(process("nginx", "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")))
    null = get_context("spawn").Process(target=answer_constantly, args=(ports[NULL_GRPC], pki.folder))
    null.start()
    held.callback(null.join)
    held.callback(null.terminate)
    edges = {}
    for name in ("envoy-grpc", "envoy-http"):
        (folder / name).mkdir()
        edges[name] = held.enter_context(Edge(sample(name), pki, folder / name))
    listening = dict(zip(WORKS, free_ports(len(WORKS)), strict=True))
    for work in WORKS:
        edge = edges["envoy-http" if work in {NULL_HTTP, HTTP} else "envoy-grpc"]
        conf = edge.folder / f"{work.replace(' ', '-')}.yaml"
        conf.write_text(configured(work, edge, listening[work], ports), encoding="utf-8")
        quiet = ("--log-level", "error", "--concurrency", "1", "--disable-hot-restart")
        held.enter_context(process(str(brought("envoy")), "-c", str(conf), *quiet))
    time.sleep(3)
    return listening


def measured(
    listening: Mapping[str, int], folder: Path, rounds: int, requests: int, connections: int
) -> dict[str, Round]:
    """Medians of rounds in which the works take turns; the first round is for nobody's sake."""
    found: dict[str, list[Round]] = {work: [] for work in WORKS}
    for number in range(rounds + 1):
        for work in WORKS:
            one = ab(folder, listening[work], requests, connections)
            if number:
                found[work].append(one)
        print(f"round {number} of {rounds}", file=sys.stderr)

    def middle(work: str, name: str) -> float:
        return median(getattr(each, name) for each in found[work])

    return {
        work: Round(middle(work, "per_second"), middle(work, "p50_ms"), middle(work, "p99_ms"))
        for work in WORKS
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=6000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as held:
        folder = Path(name)
        listening = begin(held, folder)
        found = {
            number: measured(
                listening, folder, given.rounds, given.requests // (1 if number > 1 else 4), number
            )
            for number in (1, given.connections)
        }
    if given.json:
        print(json.dumps({n: {work: vars(each) for work, each in by.items()} for n, by in found.items()}))
        return
    for number, by in found.items():
        print(f"\n{number} connection{'s' if number > 1 else ''}\n\n{_HEAD}")
        for work, one in by.items():
            ratios = (one.per_second / by[of].per_second for of in (NULL_HTTP, ALONE))
            shown = " | ".join(f"{ratio:.2f}" for ratio in ratios)
            print(f"| {work} | {one.per_second:.0f} | {one.p50_ms:.2f} | {one.p99_ms:.2f} | {shown} |")


if __name__ == "__main__":
    main()
