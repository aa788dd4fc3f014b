"""What a line of the decision log holds, and what it never does."""

import msgspec
import pytest

from pdp.audit.record import Entry, Recorder
from pdp.engine.decide import decide
from pdp.principals import spiffe_principal
from pdp.vocabulary import FAMILIES, Request, User
from tests.engine.asking import NOW, snapshot_of

WHO = spiffe_principal("spiffe://prod.test/a")
RULES = """
attribute app.tier is int
service s {
    allow anyone to GET /x/* when header.authorization == "Bearer t0ps3cret" and app.tier >= 2 as gold
    shadow deny anyone to GET /x/1 as no-more
    allow anyone on behalf of any user to GET /me until 2030-01-01 as me
}
"""
SNAPSHOT = snapshot_of(RULES)


def line(path: str, key: bytes = b"k", plain: frozenset[str] = frozenset(), **more: object) -> bytes:
    request = Request(
        principal=WHO, service="s", method="GET", path=path, now=NOW, supplied=FAMILIES | {"app"}, **more
    )
    index = SNAPSHOT.index
    entry = Entry("01ID", NOW, "spiffe://prod.test/pep", request, decide(index, request), index, "r1")
    return Recorder(key, plain=plain).lines([entry])


def gold(path: str = "/x/1", **more) -> bytes:
    context = {"header.authorization": "Bearer t0ps3cret", "app.tier": 3, "header.cookie": "c00kie"}
    return line(path, context=context, **more)


def test_a_line_holds_question_answer_and_what_was_read() -> None:
    found = msgspec.json.decode(gold())

    digest = found["read"].pop("header.authorization")
    assert found == {
        "time": "2026-11-22T00:00:00.000Z",
        "decision_id": "01ID",
        "revision": "r1",
        "caller": "spiffe://prod.test/pep",
        "principal": "spiffe://prod.test/a",
        "service": "s",
        "method": "GET",
        "path": "/x/1",
        "decision": "allow",
        "reason": "allowed",
        "rules": ["s/gold"],
        "read": {"app.tier": 3},
        "shadow": {"decision": "deny", "reason": "denied_by_rule", "rules": ["s/no-more"]},
    }
    assert digest.startswith("keyed:")


def test_a_header_stands_there_as_a_digest_that_only_the_key_can_make() -> None:
    assert b"t0ps3cret" not in gold()
    assert gold(key=b"one") == gold(key=b"one")
    assert gold(key=b"one") != gold(key=b"two")


def test_a_header_that_holds_no_secret_can_be_named() -> None:
    assert b"t0ps3cret" in gold(plain=frozenset({"header.authorization"}))


def test_what_no_rule_read_is_not_there() -> None:
    assert b"c00kie" not in gold()


def test_neither_the_query_nor_the_groups_of_a_user_are_kept() -> None:
    user = User(issuer="https://corp.test", subject="alice", groups=("s3cret-group",))
    found = line("/me?token=t0ken", user=user)

    assert b"t0ken" not in found
    assert b"s3cret-group" not in found
    decoded = msgspec.json.decode(found)
    assert decoded["user"] == {"issuer": "https://corp.test", "subject": "alice"}
    assert decoded["valid_until"] == "2030-01-01T00:00:00.000Z"


def test_a_refused_path_is_kept_without_its_query() -> None:
    found = msgspec.json.decode(line("/a/../b?c=d"))

    assert (found["path"], found["reason"]) == ("/a/../b", "ambiguous_path")


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        ("/a;jsessionid=s3cret", "/a"),
        ("/a%3Ftoken=s3cret", "/a"),
        ("/a%3ftoken=s3cret", "/a"),
        ("/a%3Bs3cret", "/a"),
        ("/a%23s3cret", "/a"),
        ("/a#s3cret", "/a"),
        ("https://user:s3cret@host/a", ""),
        ("user:s3cret", ""),
        ("/x/1", "/x/1"),
    ],
)
def test_of_a_target_the_path_alone_is_kept(target: str, kept: str) -> None:
    found = line(target)

    assert msgspec.json.decode(found)["path"] == kept
    assert b"s3cret" not in found


def test_a_line_is_one_line_whatever_it_holds() -> None:
    assert line("/a\nb\u2028c").count(b"\n") == 1


def test_by_which_evidence_and_for_which_entry_is_there_where_it_was_so() -> None:
    request = Request(principal=WHO, service="s", method="GET", path="/x/1", now=NOW)
    index = SNAPSHOT.index
    proven = (("principal", "jwt-svid"), ("user", "user-token"))
    entry = Entry("01ID", NOW, "pep", request, decide(index, request), index, "r1", proven, "q-1")

    found = msgspec.json.decode(Recorder(b"k").lines([entry]))

    assert found["evidence"] == {"principal": "jwt-svid", "user": "user-token"}
    assert found["quarantine"] == "q-1"
