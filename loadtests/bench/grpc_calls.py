"""Calls over gRPC: how many a second, and how long one takes, of pdp and of grpcio's servers that do nothing.

.venv/bin/python -m loadtests.bench.grpc_calls [--rounds 5] [--calls 6000] [--works ...] [--json]

Mutual TLS, over eight connections, 32 calls at a time. `h2load` asks (Debian's nghttp2-client), since it
takes a fraction of what a server does; that it can show a certificate takes a few lines of C that a compiler
has to be there for. It sends the same message over and over: `pdp` knows the answer by heart, and
`pdp, anew` remembers nothing. A client of grpcio looks first whether answers are right. The works take turns;
figures are medians. A stream has a hundred messages, all of them sent at once.
"""

import argparse
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from envoy.service.auth.v3.external_auth_pb2 import CheckResponse

from loadtests.bench.grpc_null import AUTHORIZATION, DECISION, SAID
from pdp.adapters.grpc.v1 import decision_pb2 as v1
from tests.e2e.grpc_calls import call, channel, grpc_port, streaming, to_question
from tests.e2e.proxies.edges import free_ports
from tests.e2e.proxy_calls import PROXY, Asked, check_request
from tests.e2e.running import WEB, Pki, Service, make_policies, question, until

FEW: Final = 8  # connections
AT_ONCE: Final = 32  # calls, over all of them
IN_A_STREAM: Final = 100
NULLS: Final = {"null, asyncio": "asyncio", "null, uvloop": "uvloop", "null, threads": "threads"}
SERVICES: Final[dict[str, tuple[str, ...]]] = {
    "pdp": (),
    "pdp, anew": ("remembered_answers = 0",),
    "pdp, 2 workers": ("workers = 2",),
    "pdp, 2 workers, anew": ("remembered_answers = 0", "workers = 2"),
}
POLICY: Final = """\
language 1
trust domain prod = "prod.example.org"
service web.shop {
    host "web.shop.example.com"
    allow prod/ns/shop/sa/* to GET /v1/items/{id} as read-item
    deny anyone to any /** when has header.x-debug as no-debug
}
caller prod/ns/pdp/sa/pep fronts any service
    may assert any principal of prod
    supplies source, header, request
caller prod/ns/edge/sa/proxy fronts web.shop
    may assert any principal of prod
    supplies source, header, request
"""
#: What a browser sends through an edge proxy.
HEADERS: Final = (
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "en-US,en;q=0.5"), ("accept-encoding", "gzip, deflate, br, zstd"),
    ("cookie", "session=0123456789abcdef0123456789abcdef"), ("x-forwarded-proto", "https"),
    ("x-request-id", "7c9a1f6e-7f43-4b5e-9a55-6d5f0e0e1f3a"), ("x-forwarded-for", "192.0.2.7"),
)  # fmt: skip


@dataclass(frozen=True)
class Method:
    """One method, with what is sent to it in one call."""

    path: str
    messages: tuple[bytes, ...]
    caller: str


@dataclass(frozen=True)
class Round:
    """What one run came to."""

    per_second: float
    p50_ms: float
    p99_ms: float


def load(folder: Path, port: int, method: Method, calls: int) -> Round:
    """So many calls; every one has to be answered with as many bytes as an answer has at least."""
    body, times = folder / "body", folder / "times"
    body.write_bytes(b"".join(struct.pack(">BI", 0, len(each)) + each for each in method.messages))
    times.unlink(missing_ok=True)
    command = [
        "h2load", "-n", str(calls), "-c", str(FEW), "-m", str(AT_ONCE // FEW), "-d", str(body),
        "-H", "content-type: application/grpc", "-H", "te: trailers", "--log-file", str(times),
        f"https://127.0.0.1:{port}{method.path}",
    ]  # fmt: skip
    shown = {
        "LD_PRELOAD": str(folder / "client_certificate.so"),
        "CLIENT_CERTIFICATE": str(folder / f"{method.caller}.pem"),
        "CLIENT_KEY": str(folder / f"{method.caller}-key.pem"),
    }
    said = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=600, env={**os.environ, **shown}
    ).stdout
    assert f" {calls} succeeded, 0 failed" in said, said
    rate = re.search(r"finished in .*, ([0-9.]+) req/s", said)
    data = re.search(r"\((\d+)\) data", said)
    assert rate is not None, said
    assert data is not None, said
    assert int(data[1]) > calls * len(method.messages) * 80, said  # an error has none
    took = sorted(int(line.split()[2]) / 1000 for line in times.read_text("ascii").splitlines())
    return Round(float(rate[1]) * len(method.messages), took[len(took) // 2], took[len(took) * 99 // 100])


@contextmanager
def null(kind: str, pki: Pki) -> Iterator[int]:
    """A server that does nothing, in a process of its own; its port."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "loadtests.bench.grpc_null", kind, str(pki.folder), str(port)]
    process = subprocess.Popen(command)
    try:
        until(lambda: _answers(pki, port), 30)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _answers(pki: Pki, port: int) -> bool:
    with channel(pki, port) as on:
        return call(on, "Decide", b"") == SAID


@contextmanager
def serving(pki: Pki, folder: Path, settings: tuple[str, ...]) -> Iterator[int]:
    """The service, with its log in a file; its port for gRPC."""
    folder.mkdir()
    of = {"remembered_answers": "grpc", "workers": "process"}
    lines = [f"[{of[line.partition(' ')[0]]}]\n{line}" for line in settings]
    lines.append(f'[decision_log]\nto = "{folder}/decisions.log"')
    (folder / "pdp.toml").write_text("\n".join(lines) + "\n", "utf-8")
    policies = make_policies(folder / "set", POLICY)
    service = Service(pki, policies, "--grpc", "127.0.0.1:0", "--config", str(folder / "pdp.toml"))
    try:
        yield grpc_port(service)
    finally:
        service.stop()


def methods(leaf: Path) -> dict[str, Method]:
    """What is measured."""
    asked = to_question(question()).SerializeToString()
    check = check_request(Asked(path="/v1/items/7", principal=WEB, leaf=leaf, headers=HEADERS))
    return {
        "Decide": Method(f"/{DECISION}/Decide", (asked,), "pep"),
        "DecideStream": Method(f"/{DECISION}/DecideStream", (asked,) * IN_A_STREAM, "pep"),
        "Check": Method(f"/{AUTHORIZATION}/Check", (check.SerializeToString(),), "proxy"),
    }


def require_right(pki: Pki, port: int, asked: dict[str, Method]) -> None:
    """A client of grpcio gets the right answers from pdp."""
    with channel(pki, port) as on:
        message = asked["Decide"].messages[0]
        for _ in range(2):
            told = call(on, "Decide", message, v1.Answer)
            assert told.decision == v1.DECISION_ALLOW, told
        with streaming(on, "DecideStream", asked["DecideStream"].messages) as stream:
            results = [v1.Result.FromString(each).answer.decision for each in stream]
        assert results == [v1.DECISION_ALLOW] * IN_A_STREAM
    with channel(pki, port, "proxy") as on:
        told = call(on, asked["Check"].path, asked["Check"].messages[0], CheckResponse)
        assert told.WhichOneof("http_response") == "ok_response", told


def measured(works: list[str], rounds: int, calls: int) -> dict[str, dict[str, Round]]:
    """Medians, by method and work; the first round is for nobody's sake."""
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as held:
        folder = Path(temporary)
        shim = Path(__file__).with_name("client_certificate.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "client_certificate.so", shim], check=True)
        pki = Pki(folder)
        pki.issue("proxy", uris=[PROXY])
        ports = {}
        for work in works:
            if work in NULLS:
                ports[work] = held.enter_context(null(NULLS[work], pki))
            else:
                service = serving(pki, folder / work.replace(" ", "-"), SERVICES[work])
                ports[work] = held.enter_context(service)
        pki.issue("web", uris=[WEB])
        asked = methods(folder / "web.pem")
        for work in works:
            if work in SERVICES:
                require_right(pki, ports[work], asked)
        found: dict[str, dict[str, list[Round]]] = {kind: {work: [] for work in works} for kind in asked}
        for number in range(rounds + 1):
            for kind, method in asked.items():
                # In streams there are twice as many messages: an end at which some are idle counts less then.
                count = calls if len(method.messages) == 1 else 2 * calls // len(method.messages)
                for work in works:
                    one = load(folder, ports[work], method, count if number else FEW * 20)
                    if number:
                        found[kind][work].append(one)
            print(f"round {number} of {rounds}", file=sys.stderr)
    return {kind: {work: _middle(each) for work, each in by.items()} for kind, by in found.items()}


def _middle(rounds: list[Round]) -> Round:
    return Round(
        median(each.per_second for each in rounds),
        median(each.p50_ms for each in rounds),
        median(each.p99_ms for each in rounds),
    )


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=6000)
    parser.add_argument("--works", nargs="+", default=[*NULLS, *SERVICES])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measured(given.works, given.rounds, given.calls)
    if given.json:
        print(json.dumps({m: {w: vars(each) for w, each in by.items()} for m, by in found.items()}))
        return
    print(
        f"| method | server | messages/s | p50 ms | p99 ms | of {given.works[0]} |\n|---|---|---|---|---|---|"
    )
    for name, by in found.items():
        first = by[given.works[0]].per_second
        for work, one in by.items():
            figures = f"{one.per_second:.0f} | {one.p50_ms:.2f} | {one.p99_ms:.2f}"
            print(f"| {name} | {work} | {figures} | {one.per_second / first:.2f} |")


if __name__ == "__main__":
    main()
