"""Revoked certificates, over HTTP, gRPC and as evidence, alone and with workers: cut off within a second."""

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pdp.adapters.grpc.v1 import decision_pb2 as v1
from pdp.limits import CRL_LEEWAY_SECONDS
from tests.e2e.evidencing import evidencing
from tests.e2e.grpc_calls import call, channel, grpc_port, streaming
from tests.e2e.quarantining import ADMINS, OPS, Quarantining, document
from tests.e2e.running import (
    PARTNER,
    PEP,
    PROD,
    WEB,
    Pki,
    Reply,
    Service,
    ask,
    make_policies,
    question,
    send,
    until,
)  # fmt: skip
from tests.e2e.trusting import ASKED, replace, rest_of
from tests.identity.mint import Party, authority, leaf
from tests.identity.revoking import crl_pem

EDGE = f"spiffe://{PROD}/ns/edge/sa/gateway"
POLICY = """\
language 1

trust domain prod = "prod.example.org"

service web.shop {
    allow prod/ns/shop/sa/* to GET /v1/items/{id} as read-item
}

caller prod/ns/pdp/sa/pep fronts any service may assert any principal of prod
caller prod/ns/edge/sa/gateway fronts any service may present certificate of any principal of prod
"""
SOON = 1.0


class Revoking:
    """A service that follows the lists of PROD, and three callers of it."""

    def __init__(self, folder: Path, *more: str) -> None:
        folder.mkdir()
        self.pki = Pki(folder)
        self.parties: dict[str, Party] = {}
        for name, uri in (("pep", PEP), ("other", PEP), ("gateway", EDGE), ("web", WEB)):
            self.issue(name, uri)
        self.file, self.made = folder / "prod.crl.pem", 0
        self.revoke()
        settings = folder / "pdp.toml"
        settings.write_text(f'[crls]\n"{PROD}" = "{self.file.name}"\n', encoding="utf-8")
        policies = make_policies(folder / "policies", POLICY)
        self.service = Service(self.pki, policies, "--config", str(settings), "--grpc", "127.0.0.1:0", *more)
        self.grpc_port = grpc_port(self.service)

    def issue(self, name: str, uri: str) -> None:
        now = datetime.now(UTC)
        self.parties[name] = leaf(
            self.pki.root, uris=[uri], start=now - timedelta(hours=1), end=now + timedelta(1)
        )
        self.pki.write(name, self.parties[name])

    def list_of(self, *names: str, lives: float = 3600, **more: Any) -> bytes:
        now = datetime.now(UTC)
        self.made += 1  # each newer than the one before
        start = now - timedelta(seconds=1000 - self.made)
        revoked = [self.parties[name] for name in names]
        return crl_pem(self.pki.root, *revoked, start=start, end=now + timedelta(seconds=lives), **more)

    def revoke(self, *names: str, **more: Any) -> float:
        """Let the list hold these; when it was written."""
        replace(self.file, self.list_of(*names, **more))
        return time.monotonic()

    def present(self) -> Reply:
        chain = (self.pki.folder / "web.pem").read_text(encoding="utf-8")
        return ask(self.service, "gateway", principal={"certificate": chain})


@pytest.fixture(params=[(), ("--workers", "2")], ids=["alone", "workers"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Revoking]:
    revoking = Revoking(tmp_path / "pki", *request.param)
    yield revoking
    assert revoking.service.stop() == 0, revoking.service.log
    assert "Traceback" not in revoking.service.log


def test_a_caller_that_is_revoked_is_cut_off_everywhere(world: Revoking) -> None:
    with closing(world.service.connect("pep")) as on:
        before = send(on, question()).json["revision"]
        took = []
        for _ in range(2):  # the better one counts: the machine of a test may be busy
            with world.service.tls("other") as idle:
                began = world.revoke("other")
                received, _ = rest_of(idle)
                took.append(time.monotonic() - began)
            assert received == b""
            refused = ask(world.service, "other")
            assert (refused.status, refused.code) == (403, "caller_untrusted")
            assert "was revoked by its authority" in refused.json["error"]["message"]
            mark = world.service.mark()
            world.revoke()
            world.service.wait_line("revoked no more", mark)
        after = send(on, question()).json

    assert min(took) < SOON + 0.5
    assert after["decision"] == "allow"
    assert after["revision"] != before


def test_its_calls_over_grpc_are_refused_and_its_streams_end(world: Revoking) -> None:
    with (
        channel(world.pki, world.grpc_port, "other") as theirs,
        channel(world.pki, world.grpc_port, "pep") as ours,
        streaming(theirs, "WatchRevisions", [b""]) as watching,
    ):
        next(watching)
        assert call(theirs, "Decide", ASKED, v1.Answer).decision == v1.DECISION_ALLOW
        mark = world.service.mark()
        world.revoke("other")
        world.service.wait_line(f"trust changed: `{PROD}`: new revocation lists: 1 certificate revoked", mark)

        refused = call(theirs, "Decide", ASKED)
        assert (refused.status, refused.code) == ("UNAUTHENTICATED", "caller_untrusted")
        with pytest.raises(Exception, match="UNAUTHENTICATED"):
            list(watching)
        assert call(ours, "Decide", ASKED, v1.Answer).decision == v1.DECISION_ALLOW


def test_evidence_that_is_revoked_proves_nothing(world: Revoking) -> None:
    assert world.present().json["decision"] == "allow"
    mark = world.service.mark()
    world.revoke("web")
    world.service.wait_line("1 certificate revoked", mark)

    refused = world.present()

    assert refused.code == "evidence_refused"
    assert "(revoked)" in refused.json["error"]["message"]
    assert ask(world.service, "pep").json["decision"] == "allow"  # who asserts needs no certificate of it


def test_a_list_that_ends_ends_what_was_known_by_it(world: Revoking) -> None:
    with closing(world.service.connect("gateway")) as gate:
        mark = world.service.mark()
        world.revoke(lives=6)
        world.service.wait_line("nothing else is revoked", mark)
        world.service.wait_line(
            "warning: the revocation list of `CN=prod root`, of `prod.example.org`, ends at", mark
        )
        chain = (world.pki.folder / "web.pem").read_text(encoding="utf-8")
        proven = question(principal={"certificate": chain})
        with closing(world.service.connect("pep")) as again:
            assert send(again, question()).json["decision"] == "allow"
            assert send(gate, proven).json["decision"] == "allow"
            world.service.wait_line(": nothing that its authority signed verifies", mark)
            refused = send(again, question())
        assert refused.code == "caller_expired"
        assert send(gate, proven).code == "caller_expired"
        refused = ask(world.service, "other")  # whom nobody has seen yet
        assert refused.code == "caller_untrusted"
        assert (
            "is not known: its authority `CN=prod root` has a list that held until"
            in refused.json["error"]["message"]
        )
        mark = world.service.mark()
        world.revoke()
        world.service.wait_line("trust changed", mark)
        until(lambda: ask(world.service, "pep").status == 200)


def test_a_list_that_begins_later_counts_from_then_on_without_anybody_doing_anything(world: Revoking) -> None:
    begins = datetime.now(UTC) + timedelta(seconds=CRL_LEEWAY_SECONDS + 4)
    later = crl_pem(world.pki.root, world.parties["other"], world.parties["web"], start=begins)
    mark = world.service.mark()
    replace(world.file, world.list_of() + later)
    world.service.wait_line("2 certificates revoked", mark)  # told already, though it has not begun
    with (
        closing(world.service.connect("other")) as theirs,
        closing(world.service.connect("pep")) as ours,
        channel(world.pki, world.grpc_port, "other") as over_grpc,
    ):
        before = send(theirs, question())
        assert before.json["decision"] == "allow"
        assert before.json["max_age_ms"] <= 4000
        assert call(over_grpc, "Decide", ASKED, v1.Answer).decision == v1.DECISION_ALLOW
        assert world.present().json["decision"] == "allow"

        until(lambda: send(theirs, question()).status == 403)

        assert send(theirs, question()).code == "caller_untrusted"
        assert call(over_grpc, "Decide", ASKED).code == "caller_untrusted"
        assert "(revoked)" in world.present().json["error"]["message"]
        assert send(ours, question()).json["decision"] == "allow"


@pytest.mark.parametrize("what", ["empty", "gone", "of another key", "older"])
def test_a_bad_file_changes_nothing_and_is_told(world: Revoking, what: str) -> None:
    older = world.list_of()
    mark = world.service.mark()
    world.revoke("other")
    world.service.wait_line("1 certificate revoked", mark)
    mark = world.service.mark()
    match what:
        case "empty":
            replace(world.file, b"")
        case "gone":
            world.file.unlink()
        case "of another key":
            replace(world.file, world.list_of(key=world.pki.partner_root.key))
        case "older":
            replace(world.file, older)
    world.service.wait_line(f"the revocation lists of `{PROD}` stay as they were", mark)

    assert ask(world.service, "pep").json["decision"] == "allow"
    assert ask(world.service, "other").code == "caller_untrusted"
    mark = world.service.mark()
    world.revoke("other")
    world.service.wait_line("trust is as its files are again", mark)


def test_a_start_with_a_bad_list_is_refused(tmp_path: Path) -> None:
    world = Revoking(tmp_path / "pki")
    assert world.service.stop() == 0
    replace(world.file, b"")
    command = world.service.process.args
    assert isinstance(command, list)

    with pytest.raises(AssertionError, match="there is no revocation list in it"):
        Service(world.pki, world.service.policies, command=command, patience=60)


def test_the_lists_and_when_they_end_are_measured(tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    world = Revoking(folder, "--workers", "2")
    assert world.service.stop() == 0
    with (folder / "pdp.toml").open("a", encoding="utf-8") as settings:
        settings.write(f'[metrics]\nreaders = ["{PEP}"]\n')
    command = world.service.process.args
    assert isinstance(command, list)
    service = Service(world.pki, world.service.policies, command=command)
    try:
        page = service.send("", path="/metrics", method="GET").body.decode()
    finally:
        service.stop()

    assert f'certificate="crl 0 of {PROD}"}}' in page
    assert f'certificate="root 0 of {PARTNER}"}}' in page


def test_who_administers_is_revoked_as_well(tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    folder.mkdir()
    pki = Pki(folder)
    now = pki.now
    ops = authority(
        "ops root", uris=[f"spiffe://{OPS}"], start=now - timedelta(days=1), end=now + timedelta(days=30)
    )
    adder = leaf(ops, uris=[ADMINS["adder"]], start=now - timedelta(hours=1), end=now + timedelta(days=1))
    pki.write("adder", adder)
    (tmp_path / "ops.pem").write_bytes(ops.pem)
    lists, file = tmp_path / "ops.crl.pem", tmp_path / "quarantine.json"
    span: dict[str, Any] = {"start": now - timedelta(minutes=9), "end": now + timedelta(days=1)}
    lists.write_bytes(crl_pem(ops, **span))
    file.write_bytes(document())
    settings = (
        f'[quarantine]\nfile = "{file}"\n'
        f'[admin]\nlisten = "127.0.0.1:0"\nmay_quarantine = ["{ADMINS["adder"]}"]\n'
        f'[admin.trust]\n"{OPS}" = "{tmp_path / "ops.pem"}"\n[crls]\n"{OPS}" = "{lists}"\n'
    )
    with evidencing(pki, tmp_path, settings=settings) as at:
        found = Quarantining(at, file, pki, tmp_path / "ops.pem", ops)
        assert found.admin("adder").status == 200
        mark = at.service.mark()
        replace(lists, crl_pem(ops, adder, **{**span, "start": now}))
        at.service.wait_line("trust of those who administer changed", mark)

        refused = found.admin("adder")

    assert (refused.status, refused.code) == (403, "caller_untrusted"), refused.body
