"""What would be decided is told wherever people look for it: in answers, in the log, in metrics."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pdp.adapters.grpc.v1 import decision_pb2 as v1
from tests.e2e.grpc_calls import call, channel, from_answer, grpc_port, to_question
from tests.e2e.running import PEP, POLICY, Pki, Service, ask, make_policies, question, until

OBSERVED = """
service old.shop observe until 2100-01-01 {
    allow prod/ns/shop/sa/web to GET /v1/known as known
    deny anyone to any /v1/never as never
    shadow deny anyone to GET /v1/known as soon-denied
    shadow allow prod/ns/shop/sa/* to GET /v1/planned as soon-allowed
}
"""
#: By path: what is answered, whether it is enforced, and what shadow rules would make of it.
WANTED = {
    "/v1/known": ("allow", "allowed", True, "deny"),
    "/v1/unknown": ("allow", "observed", False, None),
    "/v1/never": ("deny", "denied_by_rule", True, None),
}


@pytest.fixture(params=[1, 2])
def service(pki: Pki, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    settings = f'[metrics]\nreaders = ["{PEP}"]\n[decision_log]\nto = "{tmp_path}/log"\n'
    (tmp_path / "pdp.toml").write_text(f"{settings}[process]\nworkers = {request.param}\n")
    policies = make_policies(tmp_path / "set", POLICY + OBSERVED)
    service = Service(pki, policies, "--config", str(tmp_path / "pdp.toml"), "--grpc", "127.0.0.1:0")
    yield service
    service.stop(signal.SIGINT)


def seen(answer: dict[str, Any]) -> tuple[str, str, bool, str | None]:
    shadow = answer.get("shadow")
    return (
        answer["decision"],
        answer["reason"],
        answer.get("enforced", True),  # the log leaves out what is most often so
        None if shadow is None else shadow["decision"],
    )


def test_would_be_decisions_are_in_answers_log_and_metrics(service: Service, tmp_path: Path) -> None:
    asked = {path: question(service="old.shop", path=path) for path in WANTED}

    over_http = {path: seen(service.send(each).json) for path, each in asked.items()}
    with channel(service.pki, grpc_port(service)) as on:
        over_grpc = {
            path: seen(from_answer(call(on, "Decide", to_question(each), v1.Answer)))
            for path, each in asked.items()
        }

    assert over_http == over_grpc == WANTED
    until(lambda: (tmp_path / "log").read_text().count("\n") == 2 * len(WANTED))
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {line["path"]: seen(line) for line in lines} == WANTED
    page = service.send("", method="GET", path="/metrics", headers={}).body.decode().splitlines()
    assert 'pdp_observed_total{service="old.shop"} 2.0' in page
    assert 'pdp_shadow_disagreements_total{service="old.shop"} 2.0' in page
    assert 'pdp_decisions_total{decision="deny",reason="denied_by_rule",service="old.shop"} 2.0' in page


def test_a_service_that_is_enforced_denies_what_was_observed(service: Service) -> None:
    main = service.policies / "main.policy"
    main.write_text(main.read_text().replace(" observe until 2100-01-01", ""))

    until(lambda: ask(service, service="old.shop", path="/v1/unknown").json["reason"] == "no_rule_matched")

    assert ask(service, service="old.shop", path="/v1/unknown").json["decision"] == "deny"
