"""Keys of tokens that change while the service runs: in force at once, in every worker, as a new revision."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.evidencing import Evidencing, evidencing, key_set, svid, user_token, write_bundle
from tests.e2e.running import Pki, question, until
from tests.e2e.test_evidence import xfcc
from tests.identity.publishing import send

WORKERS = pytest.mark.parametrize("workers", ["1", "2"])


def is_believed(at: Evidencing, **what: Any) -> bool:
    """Asked on several connections, which several workers answer."""
    replies = [at.ask(**what) for _ in range(6)]
    assert {reply.status for reply in replies} <= {200, 400}
    return all(reply.status == 200 for reply in replies)


@WORKERS
def test_a_key_that_was_just_published_takes_tokens_at_once(pki: Pki, tmp_path: Path, workers: str) -> None:
    with evidencing(pki, tmp_path, "--workers", workers) as at:
        asked = {"principal": xfcc(), "path": "/v1/mine"}
        assert at.ask(**asked, user={"jwt": user_token()}).json["decision"] == "allow"
        time.sleep(11)  # an unknown name is looked for once in ten seconds
        at.issuer.document = key_set(("one", 0), ("two", 1))

        first = at.ask(**asked, user={"jwt": user_token("two", 1)})

        assert (first.status, first.json.get("decision")) == (200, "allow")
        assert is_believed(at, **asked, user={"jwt": user_token("two", 1)})
        assert is_believed(at, **asked, user={"jwt": user_token()})


def test_made_up_names_of_keys_are_looked_for_once(pki: Pki, tmp_path: Path) -> None:
    with evidencing(pki, tmp_path) as at:
        asked = {"principal": xfcc(), "path": "/v1/mine"}
        assert at.ask(**asked, user={"jwt": user_token()}).status == 200
        before = len(at.issuer.asked)

        codes = {at.ask(**asked, user={"jwt": user_token(f"made-up-{n}")}).code for n in range(30)}

        assert codes == {"evidence_refused"}
        assert len(at.issuer.asked) - before <= 1


@WORKERS
def test_a_key_that_is_removed_from_a_file_takes_no_more_tokens(
    pki: Pki, tmp_path: Path, workers: str
) -> None:
    with evidencing(pki, tmp_path, "--workers", workers) as at:
        token = svid()
        assert is_believed(at, principal={"jwt": token})
        before = at.ask(principal={"jwt": token}).json["revision"]

        write_bundle(at, ("new", 8))
        took = until(lambda: at.ask(principal={"jwt": token}).status != 200)

        assert took < 2
        until(lambda: is_believed(at, principal={"jwt": svid("new", 8)}))
        assert not any(at.ask(principal={"jwt": token}).status == 200 for _ in range(10))
        assert at.ask(principal={"jwt": svid("new", 8)}).json["revision"] != before


@WORKERS
def test_a_key_that_is_removed_while_a_question_waits_proves_nothing(
    pki: Pki, tmp_path: Path, workers: str
) -> None:
    """Proven first, and decided seconds later: by then the proof has to hold."""

    def slowly(handler: Any) -> None:
        time.sleep(3)
        at.issuer.publish(handler)

    with evidencing(pki, tmp_path, "--workers", workers) as at, ThreadPoolExecutor(1) as pool:
        assert at.ask(principal=xfcc(), user={"jwt": user_token()}).status == 200
        time.sleep(11)  # an unknown name is looked for once in ten seconds
        at.issuer.answer = slowly
        waits = {"principal": xfcc(), "user": {"jwt": user_token("made-up")}}
        questions = [question(principal={"jwt": svid()}), question(**waits)]

        batch = pool.submit(
            at.service.send, {"questions": questions}, caller="gateway", path="/v1/decide/batch"
        )
        time.sleep(0.5)
        write_bundle(at, ("new", 8))
        until(lambda: at.ask(principal={"jwt": svid()}).status != 200)
        answers = batch.result().json["answers"]

        assert [each["error"]["code"] for each in answers] == ["evidence_refused", "evidence_refused"]


def test_a_bad_file_keeps_the_keys_and_is_told(pki: Pki, tmp_path: Path) -> None:
    with evidencing(pki, tmp_path) as at:
        assert is_believed(at, principal={"jwt": svid()})

        at.bundle.write_text("{", encoding="utf-8")
        at.service.wait_line("keys of tokens are not as their files are")

        assert is_believed(at, principal={"jwt": svid()})
        write_bundle(at, ("svid", 5))
        at.service.wait_line("keys of tokens are as their files are again")


def test_an_issuer_that_is_away_is_told_and_costs_nobody_else_anything(pki: Pki, tmp_path: Path) -> None:
    def fail(handler: Any) -> None:
        send(handler, b"", 500)

    with evidencing(pki, tmp_path, answer=fail) as at:
        at.service.wait_line("the keys of https://login.example.com cannot be fetched")

        refused = at.ask(principal=xfcc(), user={"jwt": user_token()})
        assert is_believed(at, principal={"jwt": svid()})
        at.issuer.answer = at.issuer.publish

        assert refused.code == "evidence_refused"
        assert "(key_set)" in refused.json["error"]["message"]
        assert "localhost" not in refused.json["error"]["message"]  # what is asked is nobody's business
        at.service.wait_line("the keys of https://login.example.com are fetched again", deadline=30)
        assert at.ask(principal=xfcc(), user={"jwt": user_token()}).status == 200
