"""What a caller without a certificate never gets, whatever its entry says."""

import msgspec
import pytest

from pdp.adapters.app import build_app
from pdp.adapters.metrics_page import MetricsPage
from pdp.identity.caller import Caller
from pdp.identity.local import forwarded_caller, named_caller
from pdp.principals import spiffe_principal
from pdp.service.authorization import rights_of
from pdp.service.decision_service import DecisionService
from pdp.service.errors import NotPermittedError
from tests.docs import application
from tests.docs.application import PROXY, WEB, caller, post, service
from tests.docs.sets import NOW

POLICY = """language 1
trust domain prod = "prod.example.org"
service payments { allow prod/ns/checkout/sa/web to GET /v1/** because "secret" }
caller prod/ns/mesh/sa/proxy fronts payments may assert any principal of prod may explain supplies source
"""
WITHOUT = [named_caller(PROXY), forwarded_caller(spiffe_principal(PROXY))]
ASK = {"principal": WEB, "service": "payments", "method": "GET", "path": "/v1/charges"}


def answer(to: DecisionService, who: Caller, **more: object) -> dict:
    found: dict = post(to, msgspec.json.encode({**ASK, **more}), who=who).json()
    return found


@pytest.mark.parametrize("who", WITHOUT, ids=["named", "forwarded"])
def test_no_explanation_and_no_reasons(who: Caller) -> None:
    to = service(POLICY)

    assert answer(to, caller())["rules"][0]["because"] == "secret"
    assert "explanation" in answer(to, caller(), explain=True)
    assert answer(to, who)["decision"] == "allow"
    assert "because" not in answer(to, who)["rules"][0]
    assert answer(to, who, explain=True)["error"]["code"] == "explain_not_permitted"
    assert answer(to, caller())["rules"][0]["because"] == "secret"  # rights of one are not those of the other


@pytest.mark.parametrize("who", WITHOUT, ids=["named", "forwarded"])
def test_no_metrics(who: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    to = service(POLICY)
    page = MetricsPage(to, readers=frozenset({PROXY}), expiries=list)
    monkeypatch.setattr(application, "build_app", lambda given: build_app(given, page))

    assert post(to, b"", method="GET", path="/metrics", who=caller()).status_code == 200
    refused = post(to, b"", method="GET", path="/metrics", who=who)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "metrics_not_permitted")


@pytest.mark.parametrize("who", WITHOUT, ids=["named", "forwarded"])
def test_everything_else_is_as_its_entry_says(who: Caller) -> None:
    to = service(POLICY)
    snapshot = to.versions.current.snapshot
    (given,) = rights_of(who, snapshot.callers, snapshot.index).grants
    (full,) = rights_of(caller(), snapshot.callers, snapshot.index).grants

    assert full.explain
    assert not given.explain
    for name in ("services", "asserts", "itself", "claims", "supplies"):
        assert getattr(given, name) == getattr(full, name)


def test_it_needs_an_entry_like_everybody() -> None:
    to = service(POLICY)

    with pytest.raises(NotPermittedError, match="no caller entry"):
        to.rights(named_caller(WEB), to.versions.current, NOW)
