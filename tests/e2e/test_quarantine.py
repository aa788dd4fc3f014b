"""Leaked credentials: believed no more within a second, by all workers, on open connections."""

import json
import time
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from cryptography.x509 import load_pem_x509_certificate

from pdp.adapters.grpc.v1 import decision_pb2 as v1
from tests.e2e.evidencing import Evidencing, evidencing, svid, user_token
from tests.e2e.grpc_calls import call, channel, grpc_port, to_question
from tests.e2e.quarantining import document, entry, quarantining
from tests.e2e.running import PEP, PROD, WEB, Pki, question, send, until
from tests.e2e.test_evidence import chain, xfcc
from tests.identity.publishing import publishing
from tests.identity.tokens import ISSUER

WORKERS = pytest.mark.parametrize("workers", ["1", "2"])


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
        for_alice = {"principal": xfcc(), "path": "/v1/mine", "user": {"jwt": user_token(jti="token-7")}}
        said_alice = {"path": "/v1/mine", "user": {"issuer": ISSUER, "subject": "alice"}}
        for named, caller, hit, free in (
            ({"spiffe_id": WEB}, "pep", asserted, None),
            ({"spiffe_id": f"spiffe://{PROD}/ns/shop/**"}, "gateway", by_token, None),
            ({"spiffe_id": WEB}, "gateway", for_alice, None),
            ({"serial": serial}, "gateway", by_leaf, by_token),
            ({"jti": "svid-1", "issuer": PROD}, "gateway", by_token, by_leaf),
            ({"jti": "token-7", "issuer": ISSUER}, "gateway", for_alice, by_token),
            ({"sub": "alice", "issuer": ISSUER}, "gateway", for_alice, by_token),
            ({"sub": "alice", "issuer": ISSUER}, "pep", said_alice, None),
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
    with quarantining(pki, tmp_path, first=document(entry(spiffe_id=WEB, seconds=8))) as found:
        assert answers(found.at, "pep") == {"quarantined"}

        until(lambda: answers(found.at, "pep") == {"allowed"})


def test_a_list_at_a_url_is_followed_and_kept_for_the_next_start(pki: Pki, tmp_path: Path) -> None:
    for name in ("list", "one", "two", "three"):
        (tmp_path / name).mkdir()
    kept = tmp_path / "kept.json"
    with publishing(tmp_path / "list") as source:
        source.document = document()
        settings = (
            f'[quarantine]\nurl = "{source.url}"\nca_file = "{source.roots}"\nkept = "{kept}"\n'
            "poll_seconds = 0.2\n"
        )
        with evidencing(pki, tmp_path / "one", "--workers", "2", settings=settings) as at:
            assert answers(at, "pep") == {"allowed"}
            assert json.loads(kept.read_bytes()) == {"entries": []}

            source.document = document(entry(spiffe_id=WEB))
            took = until(lambda: answers(at, "pep") == {"quarantined"})

            assert took < 1
            mark = at.service.mark()
            source.document = b'{"entries": ['
            at.service.wait_line("the quarantine stays as it was: https://", mark)
            assert answers(at, "pep") == {"quarantined"}
            assert kept.stat().st_mode & 0o777 == 0o600
    with evidencing(pki, tmp_path / "two", settings=settings) as at:
        at.service.wait_line("warning: the quarantine is as it was kept: https://")
        assert answers(at, "pep") == {"quarantined"}
    kept.unlink()
    with (
        pytest.raises(AssertionError, match="who is quarantined cannot be told"),
        evidencing(pki, tmp_path / "three", settings=settings),
    ):
        pass


@WORKERS
def test_a_list_that_changed_while_the_service_started_is_in_force_with_its_first_answer(
    pki: Pki, tmp_path: Path, workers: str
) -> None:
    (tmp_path / "list").mkdir()
    with publishing(tmp_path / "list") as source:
        settings = (
            f'[quarantine]\nurl = "{source.url}"\nca_file = "{source.roots}"\nkept = "{tmp_path}/kept.json"\n'
            "poll_seconds = 60\n"
        )

        def publish_once(handler: Any) -> None:
            source.publish(handler)
            source.document = document(entry(spiffe_id=WEB))

        source.document, source.answer = document(), publish_once
        with evidencing(pki, tmp_path, "--workers", workers, settings=settings) as at:
            assert answers(at, "pep") == {"quarantined"}
            until(lambda: len(source.asked) == 3)  # at the start, before it serves, and once it follows
