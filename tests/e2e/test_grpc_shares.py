"""One caller that opens all that it can keeps no other from being answered."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from pdp.adapters.grpc.v1 import decision_pb2 as v1
from pdp.limits import (
    MAX_GRPC_CALLS,
    MAX_GRPC_CALLS_PER_CALLER,
    MAX_GRPC_CALLS_PER_CONNECTION,
    MAX_REVISION_WATCHERS,
    MAX_WATCHERS_PER_CALLER,
)
from tests.e2e.greedy import FIRST
from tests.e2e.grpc_calls import Failure, call, channel, grpc_port, streaming, to_question
from tests.e2e.running import PEP, PROD, Pki, Service, clean_environment, make_policies, question, until

ROOT = Path(__file__).parents[2]
DECIDE, WATCH, WATCH_HEALTH = FIRST
ASKED = to_question(question())
FRONT_ASKED = to_question(question(principal=f"spiffe://{PROD}/ns/gate/sa/front")).SerializeToString()
TOO_MANY_CALLS, TOO_MANY_WATCHERS = (f"RESOURCE_EXHAUSTED too_many_{what}" for what in ("calls", "watchers"))


@pytest.fixture(scope="module")
def service(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("shares")
    settings = folder / "pdp.toml"
    settings.write_text(f'[metrics]\nreaders = ["{PEP}"]\n')
    pki.issue("front", uris=[f"spiffe://{PROD}/ns/gate/sa/front"])
    policy = make_policies(folder / "set") / "main.policy"
    front = "prod/ns/gate/sa/front to GET /v1/items"
    policy.write_text(policy.read_text().replace("sa/* to GET /v1/items", f"sa/*, {front}"))
    service = Service(pki, policy.parent, "--grpc", "127.0.0.1:0", "--config", str(settings))
    yield service
    assert service.stop() == 0, service.log
    assert "Traceback" not in service.log


@contextmanager
def greedy(service: Service, connections: int, *methods: str) -> Iterator[dict[str, int]]:
    """What came of the calls that a caller began; within this, it keeps those that are open."""
    command = [sys.executable, "-m", "tests.e2e.greedy", str(grpc_port(service)), str(service.pki.folder)]
    process = subprocess.Popen(
        [*command, str(connections), *methods],
        cwd=ROOT, env=clean_environment(), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
        assert process.poll() is None
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(60)


def assert_answered(service: Service, name: str) -> None:
    """A caller gets answers of all kinds."""
    with channel(service.pki, grpc_port(service), name) as on:
        assert call(on, "Decide", FRONT_ASKED, v1.Answer).decision == v1.DECISION_ALLOW
        health = call(on, "/grpc.health.v1.Health/Check", HealthCheckRequest(), HealthCheckResponse)
        assert health.status == HealthCheckResponse.SERVING
        with streaming(on, "DecideStream", [FRONT_ASKED]) as stream:
            assert v1.Result.FromString(next(stream)).answer.decision == v1.DECISION_ALLOW
        with streaming(on, "WatchRevisions", [b""]) as stream:
            assert v1.RevisionEvent.FromString(next(stream)).WhichOneof("event") == "revision"


def asked(service: Service) -> str:
    """What a question of the greedy one comes to."""
    with channel(service.pki, grpc_port(service)) as on:
        found = call(on, "Decide", ASKED)
    return f"{found.status} {found.code}" if isinstance(found, Failure) else "answered"


def watched(service: Service, name: str) -> str:
    """What watching revisions over HTTP comes to."""
    connection = service.connect(name)
    try:
        connection.request("GET", "/v1/revisions")
        response = connection.getresponse()
        return "watches" if response.status == 200 else json.loads(response.read())["error"]["code"]
    finally:
        connection.close()


def counted(service: Service, name: str) -> float:
    page = service.send("", method="GET", path="/metrics", headers={}).body.decode()
    return next(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(name))


def test_one_caller_s_open_calls_leave_room_for_another(service: Service) -> None:
    connections = MAX_GRPC_CALLS // MAX_GRPC_CALLS_PER_CONNECTION + 1  # more than all that there are

    with greedy(service, connections, DECIDE, WATCH_HEALTH) as found:
        assert_answered(service, "front")
        assert asked(service) == TOO_MANY_CALLS
        assert watched(service, "pep") == "watches"  # over HTTP it is bounded by itself

    refused = connections * MAX_GRPC_CALLS_PER_CONNECTION - MAX_GRPC_CALLS_PER_CALLER
    assert found == {"open": MAX_GRPC_CALLS_PER_CALLER, TOO_MANY_CALLS: refused}
    until(lambda: asked(service) == "answered")  # its calls are gone
    assert counted(service, 'pdp_questions_shed_total{why="calls"}') > refused
    assert_answered(service, "pep")


def test_one_caller_s_watchers_leave_room_for_another_over_both_protocols(service: Service) -> None:
    assert MAX_WATCHERS_PER_CALLER <= MAX_REVISION_WATCHERS // 4
    connections = MAX_REVISION_WATCHERS // MAX_GRPC_CALLS_PER_CONNECTION

    with greedy(service, connections, WATCH) as found:
        assert_answered(service, "front")
        assert (watched(service, "front"), watched(service, "pep")) == ("watches", "too_many_watchers")
        assert asked(service) == "answered"  # it may not watch, and ask all the same

    refused = connections * MAX_GRPC_CALLS_PER_CONNECTION - MAX_WATCHERS_PER_CALLER
    assert found == {"open": MAX_WATCHERS_PER_CALLER, TOO_MANY_WATCHERS: refused}
    until(lambda: watched(service, "pep") == "watches")
    assert counted(service, 'pdp_questions_refused_total{code="too_many_watchers"}') > refused


def test_calls_that_a_caller_ends_make_room(service: Service) -> None:
    """However they end: answered, refused, cancelled."""
    with channel(service.pki, grpc_port(service)) as on:
        for _ in range(MAX_GRPC_CALLS_PER_CALLER // 3 + 1):
            assert isinstance(call(on, "Decide", ASKED), bytes)
            assert call(on, "Decide", b"\xff").code == "invalid_protobuf"
            with streaming(on, "DecideStream", []) as stream, pytest.raises(StopIteration):
                next(stream)

        assert isinstance(call(on, "Decide", ASKED), bytes)
    assert grpc.StatusCode.RESOURCE_EXHAUSTED.name not in asked(service)
