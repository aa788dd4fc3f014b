"""DNS identities over real TLS: callers and principals of a private authority, and nobody else for them."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pdp.adapters.grpc.v1 import decision_pb2 as v1
from tests.e2e.grpc_calls import call, channel, grpc_port, to_question
from tests.e2e.running import PEP, PROD, Pki, Reply, Service, make_policies, question, send, until
from tests.e2e.trusting import replace
from tests.identity.mint import Party, authority

POLICY = """\
language 1

trust domain prod = "prod.example.org"

service db.shop {
    allow dns app.example.org, prod/ns/shop/sa/* to GET /rows/{id} as rows
}

caller dns db.example.org fronts db.shop
    may assert dns app.example.org
    may present certificate of dns app.example.org
caller prod/ns/pdp/sa/pep fronts any service
    may assert any principal of prod
    may present certificate of any principal of prod
"""


class Machines:
    """An authority for DNS identities, leaves of it, and a service that believes it."""

    def __init__(self, folder: Path, *more: str) -> None:
        folder.mkdir()
        self.pki = Pki(folder)
        span: dict[str, Any] = {
            "start": self.pki.now.replace(year=2020),
            "end": self.pki.now.replace(year=2100),
        }
        self.root, self.next = authority("machines", **span), authority("more machines", **span)
        self.pki.issue("db", self.root, uris=[], dns=["DB.example.org"])
        self.pki.issue("app", self.root, uris=[], dns=["app.example.org"])
        self.pki.issue("db-next", self.next, uris=[], dns=["db.example.org"])
        # What must never be taken for one of them, each by the root of the other kind.
        self.pki.issue("web-by-machines", self.root, uris=[PEP])
        self.pki.issue("both-by-machines", self.root, uris=[PEP], dns=["db.example.org"])
        self.pki.issue("db-by-prod", uris=[], dns=["db.example.org"])
        self.pki.issue("two-names", self.root, uris=[], dns=["db.example.org", "app.example.org"])
        self.file = folder / "machines.pem"
        self.believe(self.root)
        settings = folder / "pdp.toml"
        settings.write_text(f'[dns]\ntrust = "{self.file.name}"\n', encoding="utf-8")
        policies = make_policies(folder / "policies", POLICY)
        self.service = Service(
            self.pki, policies, "--config", str(settings), "--grpc", "127.0.0.1:0", *more,
            trust=[f"{PROD}={folder / 'prod.pem'}"],
        )  # fmt: skip
        self.grpc_port = grpc_port(self.service)

    def believe(self, *roots: Party) -> None:
        replace(self.file, b"".join(root.pem for root in roots))

    def ask(self, caller: str, principal: Any) -> Reply:
        return self.service.send(ABOUT(principal), caller=caller)

    def pem(self, name: str) -> str:
        return (self.pki.folder / f"{name}.pem").read_text(encoding="utf-8")


def ABOUT(principal: Any) -> dict[str, Any]:  # noqa: N802 -- a question, but for its principal
    return question(principal=principal, service="db.shop", path="/rows/7")


@pytest.fixture(scope="module", params=[(), ("--workers", "2")], ids=["alone", "workers"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    machines = Machines(tmp_path_factory.mktemp("machines") / "pki", *request.param)
    yield machines
    assert machines.service.stop() == 0, machines.service.log
    assert "Traceback" not in machines.service.log


def test_a_machine_asks_under_its_name(world: Machines) -> None:
    found = world.ask("db", {"dns": "app.example.org"})

    assert (found.status, found.json["decision"]) == (200, "allow")
    assert world.ask("app", {"dns": "app.example.org"}).code == "caller_not_listed"


def test_a_machine_asks_over_grpc(world: Machines) -> None:
    with channel(world.pki, world.grpc_port, "db") as on:
        answer = call(on, "Decide", to_question(ABOUT({"dns": "app.example.org"})), v1.Answer)

    assert answer.decision == v1.DECISION_ALLOW


def test_a_certificate_proves_a_machine_as_principal(world: Machines) -> None:
    found = world.ask("db", {"certificate": world.pem("app")})

    assert (found.status, found.json["decision"]) == (200, "allow"), found.body
    assert world.ask("db", {"certificate": world.pem("db")}).code == "principal_not_permitted"
    assert world.ask("pep", {"certificate": world.pem("app")}).code == "principal_not_permitted"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("web-by-machines", "untrusted_chain"),
        ("both-by-machines", "untrusted_chain"),
        ("db-by-prod", "untrusted_chain"),
        ("two-names", "not_a_dns_identity"),
    ],
)
def test_no_root_proves_a_name_of_the_other_kind(world: Machines, name: str, why: str) -> None:
    """TLS lets all of these in, since it pools roots: each is refused as caller and as evidence."""
    asked = world.ask(name, {"dns": "app.example.org"})
    refused = world.ask("pep", {"certificate": world.pem(name)})

    assert (asked.status, asked.code) == (403, "caller_untrusted")
    assert refused.code == "evidence_refused"
    assert f"({why})" in refused.json["error"]["message"]


def test_the_roots_of_machines_follow_their_file(world: Machines) -> None:
    assert world.ask("db", {"dns": "app.example.org"}).status == 200
    mark = world.service.mark()
    with closing(world.service.connect("db")) as open_one:
        before = send(open_one, ABOUT({"dns": "app.example.org"})).json["revision"]
        world.believe(world.next)
        world.service.wait_line("trust changed: DNS identities: 1 root added, 1 root removed", mark)
        with pytest.raises(OSError, match=r".*"):
            send(open_one, ABOUT({"dns": "app.example.org"}))

    until(lambda: world.ask("db-next", {"dns": "app.example.org"}).json["revision"] != before)
    mark = world.service.mark()
    world.file.unlink()
    world.service.wait_line("the roots of DNS identities stay as they were", mark)
    assert world.ask("db-next", {"dns": "app.example.org"}).status == 200
    world.believe(world.root)
    world.service.wait_line("trust changed: DNS identities", mark)
    assert world.ask("db", {"dns": "app.example.org"}).status == 200
