"""The real Envoy asks about connections whose bytes nobody reads, with the sample for these."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.local_calls import short_folder
from tests.e2e.proxies.client import get, send
from tests.e2e.proxies.edges import Edge
from tests.e2e.proxies.samples import SOON, Places, Sample, Substitutions, envoy_command
from tests.e2e.running import DEADLINE, Pki, until

TABLE = "/rows/7"


def _substitutions(places: Places) -> Substitutions:
    return {
        "address: 0.0.0.0, port_value: 8443": (f"address: 127.0.0.1, port_value: {places.listen}", 1),
        "address: pdp.example.com, port_value: 9444": (f"address: 127.0.0.1, port_value: {places.grpc}", 1),
        "address: 127.0.0.1, port_value: 5432": (f"address: 127.0.0.1, port_value: {places.upstream}", 1),
    }


SAMPLE = Sample(
    name="envoy-tcp",
    folder="envoy/tcp",
    files=("envoy.yaml",),
    caller="ledger",
    substitutions=_substitutions,
    command=envoy_command,
    unavailable=frozenset({0}),
    without_certificate=0,
)


@pytest.fixture(scope="module")
def ledger(pki: Pki) -> Iterator[Edge]:
    with short_folder() as folder, Edge(SAMPLE, pki, folder) as running:
        yield running


def policies(edge: Edge) -> Path:
    return edge.folder / "policies" / "edge.policy"


def test_who_may_do_everything_has_a_connection_and_its_bytes_go_through_as_they_are(ledger: Edge) -> None:
    arrived = ledger.allowed(TABLE, "x-pdp-principal: me")

    assert arrived.line == b"GET /rows/7 HTTP/1.1"
    assert arrived.values("x-pdp-principal") == ["me"]  # nobody reads them: nothing is taken out


@pytest.mark.parametrize("client", ["other", None])
def test_others_have_none(client: str | None, ledger: Edge) -> None:
    answer, arrived = ledger.get(TABLE, client=client)

    assert (answer.status, arrived) == (0, [])


def test_a_certificate_of_another_authority_is_none(ledger: Edge) -> None:
    answer, arrived = ledger.get(TABLE, client="stranger")

    assert (answer.status, arrived) == (0, [])


def test_a_rule_about_a_path_closes_the_service_for_connections(ledger: Edge) -> None:
    """Bytes on a connection can be a request for any path."""
    file = policies(ledger)
    whole = file.read_text("utf-8")
    ledger.allowed(TABLE)

    file.write_text(
        whole.replace("as checkout\n", "as checkout\n    deny anyone to any /admin/**\n"), "utf-8"
    )
    try:
        until(lambda: ledger.get(TABLE)[0].status == 0)
        ledger.refused(TABLE)
    finally:
        file.write_text(whole, "utf-8")
    until(lambda: ledger.get(TABLE)[0].status == 200)


def test_while_the_pdp_does_not_answer_there_are_no_connections(ledger: Edge) -> None:
    with ledger.frozen_pdp():
        answer = send(ledger.pki, ledger.places.listen, get(TABLE))

    assert answer.status == 0
    assert answer.seconds < SOON
    assert until(lambda: ledger.get(TABLE)[0].status == 200) < DEADLINE
    assert ledger.upstream.take() == []


def test_what_is_asked_is_logged_with_the_sidecar_as_caller(ledger: Edge) -> None:
    ledger.allowed(TABLE)

    until(lambda: bool(ledger.asked()))
    asked = ledger.asked().values()
    assert {(each["caller"], each["service"]) for each in asked} == {(SAMPLE.identity, "ledger.edge")}
