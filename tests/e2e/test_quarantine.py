"""Leaked credentials: believed no more within a second, by all workers, on open connections."""

import json
import time
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from cryptography.x509 import load_pem_x509_certificate

from pdp.adapters.grpc.v1 import decision_pb2 as v1
from tests.e2e.evidencing import EDGE, Evidencing, svid, user_token
from tests.e2e.grpc_calls import call, channel, grpc_port, to_question
from tests.e2e.quarantining import Quarantining, document, entry, quarantining
from tests.e2e.running import PEP, PROD, WEB, Pki, question, send, until
from tests.e2e.test_evidence import chain, xfcc
from tests.identity.tokens import ISSUER

WORKERS = pytest.mark.parametrize("workers", ["1", "2"])
ALICE = {"jwt": user_token(jti="token-7")}


def answers(at: Evidencing, caller: str = "gateway", /, **what: Any) -> set[str]:
    """On several connections, which several workers answer: the reason of each decision, or its error."""
    replies = [at.ask(caller, **what) for _ in range(6)]
    return {reply.json["reason"] if reply.status == 200 else reply.code for reply in replies}


@WORKERS
def test_each_kind_of_entry_holds_within_a_second_everywhere(pki: Pki, tmp_path: Path, workers: str) -> None:
    with quarantining(pki, tmp_path, "--workers", workers) as found:
        leaf = chain(pki)
        serial = f"{load_pem_x509_certificate(leaf.encode()).serial_number:x}"
        asserted: dict[str, Any] = {}
        by_token, by_leaf = {"principal": {"jwt": svid(jti="svid-1")}}, {"principal": {"certificate": leaf}}
        for_alice = {"principal": xfcc(), "path": "/v1/mine", "user": ALICE}
        for named, caller, hit, free in (
            ({"spiffe_id": WEB}, "pep", asserted, None),
            ({"spiffe_id": f"spiffe://{PROD}/ns/shop/**"}, "gateway", by_token, None),
            ({"spiffe_id": WEB}, "gateway", for_alice, None),
            ({"serial": serial}, "gateway", by_leaf, by_token),
            ({"jti": "svid-1", "issuer": PROD}, "gateway", by_token, by_leaf),
            ({"jti": "token-7", "issuer": ISSUER}, "gateway", for_alice, by_token),
            ({"sub": "alice", "issuer": ISSUER}, "gateway", for_alice, by_token),
        ):
            assert answers(found.at, caller, **hit) == {"allowed"}, named
            before = found.at.ask(caller, **hit).json["revision"]
            mark = found.at.service.mark()

            found.put(entry(**named))
            took = until(lambda c=caller, h=hit: answers(found.at, c, **h) == {"quarantined"})

            assert took < 1, named
            found.until_in_force("quarantined: ", mark)
            until(lambda c=caller, h=hit, b=before: found.at.ask(c, **h).json["revision"] != b)
            if free is not None:
                assert answers(found.at, caller, **free) == {"allowed"}, named
            found.put()
            until(lambda c=caller, h=hit: answers(found.at, c, **h) == {"allowed"})


@WORKERS
def test_a_caller_is_refused_on_the_connection_that_it_has(pki: Pki, tmp_path: Path, workers: str) -> None:
    with quarantining(pki, tmp_path, "--workers", workers) as found:
        connections = [found.at.service.connect() for _ in range(6)]
        asked = question()
        assert {send(each, asked).status for each in connections} == {200}

        found.put(entry(spiffe_id=PEP))
        took = until(lambda: {send(each, asked).status for each in connections} == {403})

        assert took < 1
        assert {send(each, asked).code for each in connections} == {"caller_quarantined"}
        assert found.at.service.send(asked).code == "caller_quarantined"
        reply = found.at.service.send(b"", path="/metrics", method="GET")
        assert (reply.status, reply.code) == (403, "caller_quarantined")
        for each in connections:
            each.close()


def test_whoever_watches_is_told_and_left(pki: Pki, tmp_path: Path) -> None:
    with quarantining(pki, tmp_path) as found:
        connection = found.at.service.connect()
        connection.request("GET", "/v1/revisions")
        events = connection.getresponse()
        assert events.readline().startswith(b"event: revision")

        began = time.monotonic()
        found.put(entry(spiffe_id=PEP))
        rest = events.read()

        assert time.monotonic() - began < 1.5
        assert b"caller_quarantined" in rest
        connection.close()


def test_over_grpc_it_is_the_same(pki: Pki, tmp_path: Path) -> None:
    with (
        quarantining(pki, tmp_path, "--grpc", "127.0.0.1:0") as found,
        channel(pki, grpc_port(found.at.service)) as opened,
    ):
        found.put(entry(spiffe_id=WEB))
        until(lambda: answers(found.at, "pep") == {"quarantined"})

        answer = call(opened, "Decide", to_question(question()), v1.Answer)

        assert answer.reason == v1.REASON_QUARANTINED


def test_it_survives_a_restart_and_a_list_that_cannot_be_read_keeps_the_service_from_starting(
    pki: Pki, tmp_path: Path
) -> None:
    for folder in ("before", "after"):
        (tmp_path / folder).mkdir()
        with quarantining(pki, tmp_path / folder, first=document(entry(spiffe_id=WEB))) as found:
            assert answers(found.at, "pep") == {"quarantined"}
    for broken, why in ((b"{", "not JSON"), (document(entry(dns="a"), entry(dns="b")), "one `id`")):
        with (
            pytest.raises(AssertionError, match=r"quarantine\.json: ") as caught,
            quarantining(pki, Path(mkdtemp(dir=tmp_path)), first=broken),
        ):
            pass
        assert why in str(caught.value)


@WORKERS
def test_a_list_that_breaks_keeps_the_one_before_and_is_told(pki: Pki, tmp_path: Path, workers: str) -> None:
    with quarantining(pki, tmp_path, "--workers", workers, first=document(entry(spiffe_id=WEB))) as found:
        mark = found.at.service.mark()

        found.file.write_bytes(b'{"entries": [')

        found.at.service.wait_line("the quarantine stays as it was: ", mark)
        assert answers(found.at, "pep") == {"quarantined"}
        found.file.unlink()
        time.sleep(1.5)
        assert answers(found.at, "pep") == {"quarantined"}
        found.put()
        found.at.service.wait_line("the quarantine is as its source is again", mark)
        until(lambda: answers(found.at, "pep") == {"allowed"})


def test_an_entry_ends_by_itself(pki: Pki, tmp_path: Path) -> None:
    with quarantining(pki, tmp_path, first=document(entry(spiffe_id=WEB, seconds=4))) as found:
        assert answers(found.at, "pep") == {"quarantined"}

        until(lambda: answers(found.at, "pep") == {"allowed"})


# -- those who change it --------------------------------------------------------------


def said(**what: Any) -> dict[str, Any]:
    return {"spiffe_id": WEB, "why": "key on a forum", "seconds": 3600, **what}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Any:
    with quarantining(pki, tmp_path_factory.mktemp("admin")) as found:
        yield found


@WORKERS
def test_what_an_admin_adds_is_in_force_when_it_is_answered_and_so_is_lifting(
    pki: Pki, tmp_path: Path, workers: str
) -> None:
    with quarantining(pki, tmp_path, "--workers", workers) as found:
        added = found.admin("adder", body=said())

        assert added.status == 201
        assert answers(found.at, "pep") == {"quarantined"}
        assert added.json["who"] == "spiffe://ops.example.org/people/adder"
        listed = found.admin("lifter")
        assert listed.json["entries"] == [added.json]
        found.at.service.wait_line(added.json["id"])

        lifted = found.admin("lifter", f"/v1/quarantine/{added.json['id']}/lift", {"why": "rotated"})

        assert (lifted.status, lifted.json) == (200, added.json)
        assert answers(found.at, "pep") == {"allowed"}
        line = found.at.service.wait_line("was lifted by")
        assert "people/lifter: rotated" in line
        assert json.loads(found.file.read_bytes()) == {"entries": []}


@pytest.mark.parametrize(
    ("who", "body", "path", "code"),
    [
        ("nobody", said(), "/v1/quarantine", "admin_not_permitted"),
        ("nobody", None, "/v1/quarantine", "admin_not_permitted"),
        ("lifter", said(), "/v1/quarantine", "quarantine_not_permitted"),
        ("adder", {"why": "x"}, "/v1/quarantine/q-1/lift", "lift_not_permitted"),
        ("lifter", {"why": "x"}, "/v1/quarantine/q-1/lift", "no_such_entry"),
        ("lifter", {"why": " "}, "/v1/quarantine/q-1/lift", "invalid_entry"),
        ("lifter", {}, "/v1/quarantine/q-1/lift", "invalid_entry"),
        ("adder", said(why="a\nb"), "/v1/quarantine", "invalid_entry"),
        ("adder", said(why=7), "/v1/quarantine", "invalid_entry"),
        ("adder", said(seconds=0), "/v1/quarantine", "invalid_entry"),
        ("adder", said(seconds=True), "/v1/quarantine", "invalid_entry"),
        ("adder", said(seconds=367 * 86_400), "/v1/quarantine", "invalid_entry"),
        ("adder", said(who="somebody else"), "/v1/quarantine", "invalid_entry"),
        ("adder", said(dns="db.example.org"), "/v1/quarantine", "invalid_entry"),
        ("adder", said(spiffe_id="spiffe://*/x"), "/v1/quarantine", "invalid_entry"),
        ("adder", "[]", "/v1/quarantine", "invalid_entry"),
        ("adder", '{"why": "x", "why": "y"}', "/v1/quarantine", "duplicate_key"),
        ("adder", " " * 20_000, "/v1/quarantine", "body_too_large"),
        ("adder", None, "/v1/other", "not_found"),
        ("both", said(), "/v1/quarantine/", "not_found"),
    ],
)
def test_what_is_refused_changes_nothing(
    served: Quarantining, who: str, body: Any, path: str, code: str
) -> None:
    before = served.file.read_bytes()

    reply = served.admin(who, path, body)

    assert reply.status >= 400
    assert reply.code == code
    assert served.file.read_bytes() == before


def test_a_body_of_another_type_is_refused(served: Quarantining) -> None:
    reply = served.admin("adder", body=json.dumps(said()), headers={"content-type": "text/plain"})

    assert (reply.status, reply.code) == (415, "unsupported_media_type")


def test_a_caller_of_decisions_is_nobody_here(served: Quarantining) -> None:
    with pytest.raises(OSError, match=r"(?i)alert|reset|closed|EOF"):
        served.admin("pep")


def test_an_entry_about_many_takes_a_second_word(pki: Pki, tmp_path: Path) -> None:
    with quarantining(pki, tmp_path) as found:
        (found.at.service.policies / "many.policy").write_text(
            "language 1\nservice many {\n"
            + "".join(f"    allow prod/ns/shop/sa/w{n} to GET /{n} as w{n}\n" for n in range(12))
            + "}\n"
        )
        found.at.service.wait_line("many")
        wide = said(spiffe_id=f"spiffe://{PROD}/ns/shop/*/*")

        first = found.admin("adder", body=wide)

        assert (first.status, first.code) == (409, "needs_confirmation")
        assert found.admin("adder", body={**wide, "confirm": 1}).status == 409
        named = int(first.json["error"]["message"].rpartition("confirm: ")[2].strip("`"))
        assert named > 10
        assert found.admin("adder", body={**wide, "confirm": named}).status == 201


def test_who_is_quarantined_administers_no_more(pki: Pki, tmp_path: Path) -> None:
    with quarantining(pki, tmp_path) as found:
        found.put(entry(spiffe_id="spiffe://ops.example.org/people/both"))
        found.until_in_force()

        reply = found.admin("both", body=said())

        assert (reply.status, reply.code) == (403, "caller_quarantined")


def test_a_list_that_cannot_be_written_is_said_and_stays(pki: Pki, tmp_path: Path) -> None:
    with quarantining(pki, tmp_path, first=document(entry(spiffe_id=WEB))) as found:
        found.file.write_bytes(b"{")

        reply = found.admin("adder", body=said(spiffe_id=EDGE))

        assert (reply.status, reply.code) == (503, "not_changed")
        assert found.file.read_bytes() == b"{"
        assert answers(found.at, "pep") == {"quarantined"}
