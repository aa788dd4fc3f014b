"""Those who administer the quarantine: two rights, over mTLS to roots of their own."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pdp.cli.quarantine import quarantine
from tests.e2e.evidencing import EDGE
from tests.e2e.quarantining import ADMINS, OPS, Quarantining, document, entry, quarantining
from tests.e2e.running import PROD, WEB, Pki, question, raw, send, until
from tests.e2e.test_quarantine import WORKERS, answers
from tests.e2e.trusting import replace
from tests.identity.mint import authority


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(quarantine, [str(each) for each in arguments])


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
        ("adder", said(confirm=True), "/v1/quarantine", "invalid_entry"),
        ("adder", said(confirm="1"), "/v1/quarantine", "invalid_entry"),
        ("adder", said(confirm=1.0), "/v1/quarantine", "invalid_entry"),
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
        for about, confirm in ((f"spiffe://{PROD}/**", None), (ADMINS["lifter"], 0)):
            unmeant = found.admin("adder", body=said(spiffe_id=about, confirm=confirm))
            assert (unmeant.status, unmeant.code) == (409, "needs_confirmation")
        assert found.admin("adder", body={**wide, "confirm": 1}).status == 409
        named = int(first.json["error"]["message"].rpartition("confirm: ")[2].strip("`"))
        assert named > 10
        assert found.admin("adder", body={**wide, "confirm": named}).status == 201


@pytest.mark.parametrize(
    "about",
    [
        f"spiffe://{PROD}/**",
        f"spiffe://{PROD}/ns/shop/sa/*",  # policies name them by a pattern, which nobody can count
        f"spiffe://{PROD}/ns/none/**",
        ADMINS["lifter"],
    ],
)
def test_each_pattern_takes_a_second_word_however_few_it_is_known_to_be_about(
    served: Quarantining, about: str
) -> None:
    before = served.file.read_bytes()

    first = served.admin("adder", body=said(spiffe_id=about))

    assert (first.status, first.code) == (409, "needs_confirmation")
    known = int(first.json["error"]["message"].rpartition("confirm: ")[2].strip("`"))
    assert known < 10
    assert served.admin("adder", body=said(spiffe_id=about, confirm=known + 1)).status == 409
    assert served.file.read_bytes() == before

    assert served.admin("adder", body=said(spiffe_id=about, confirm=known)).status == 201
    replace(served.file, before)
    until(lambda: served.admin("both").json["entries"] == [])


def test_who_is_quarantined_administers_no_more(pki: Pki, tmp_path: Path) -> None:
    with quarantining(pki, tmp_path) as found:
        found.put(entry(spiffe_id="spiffe://ops.example.org/people/both"))
        found.until_in_force()

        reply = found.admin("both", body=said())

        assert (reply.status, reply.code) == (403, "caller_quarantined")


def test_who_is_quarantined_while_a_body_is_on_its_way_changes_nothing(pki: Pki, tmp_path: Path) -> None:
    with quarantining(pki, tmp_path) as found:
        body = json.dumps(said()).encode()
        head = (
            f"POST /v1/quarantine HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        connection = found.connect("both")
        connection.connect()
        connection.sock.sendall(head.encode() + body[:-1])
        time.sleep(0.2)
        found.put(entry(spiffe_id=ADMINS["both"]))
        found.until_in_force()

        received = raw(connection.sock, body[-1:], wait=1)

        assert b"403 Forbidden" in received
        assert b"caller_quarantined" in received
        connection.close()


def test_what_is_restored_after_it_was_lifted_is_in_force(pki: Pki, tmp_path: Path) -> None:
    with quarantining(pki, tmp_path, first=document(entry(spiffe_id=WEB))) as found:
        content = found.file.read_bytes()
        time.sleep(2.5)  # the file is settled

        assert found.admin("both", "/v1/quarantine/q-1/lift", {"why": "x"}).status == 200
        replace(found.file, content)

        until(lambda: answers(found.at, "pep") == {"quarantined"})
        time.sleep(0.5)
        assert answers(found.at, "pep") == {"quarantined"}


def test_a_certificate_that_ends_ends_the_rights_of_an_open_connection(pki: Pki, tmp_path: Path) -> None:
    with quarantining(pki, tmp_path) as found:
        pki.issue("brief", found.authority, uris=[ADMINS["both"]], lives=(-60, 3))
        connection = found.connect("brief")
        assert send(connection, b"", path="/v1/quarantine", method="GET").status == 200

        time.sleep(3.5)
        reply = send(connection, said(), path="/v1/quarantine")

        assert (reply.status, reply.code) == (403, "caller_expired")
        connection.close()


def test_roots_of_those_who_administer_change_while_it_runs(pki: Pki, tmp_path: Path) -> None:
    with quarantining(pki, tmp_path) as found:
        roots = found.roots.read_bytes()
        connection = found.connect("both")
        assert send(connection, b"", path="/v1/quarantine", method="GET").status == 200
        mark = found.at.service.mark()

        replace(found.roots, b"no certificate")

        found.at.service.wait_line("trust of those who administer is not as its files are", mark)
        assert found.admin("both").status == 200
        now = datetime.now(UTC)
        other = authority("other", uris=[f"spiffe://{OPS}"], start=now, end=now + timedelta(days=1))
        replace(found.roots, other.pem)
        found.at.service.wait_line("trust of those who administer changed", mark)
        assert send(connection, b"", path="/v1/quarantine", method="GET").code == "caller_untrusted"
        connection.close()
        replace(found.roots, roots)
        until(lambda: admitted(found))


@WORKERS
def test_roots_of_those_who_administer_are_measured_by_whoever_answers(
    pki: Pki, tmp_path: Path, workers: str
) -> None:
    with quarantining(pki, tmp_path, "--workers", workers) as found:
        page = metrics(found)
        assert 'expiry_timestamp_seconds{certificate="root of those who administer"}' in page
        assert 'pdp_renewal_refused{files="admin_trust"} 0.0' in page

        replace(found.roots, b"no certificate")

        until(lambda: 'pdp_renewal_refused{files="admin_trust"} 1.0' in metrics(found))


def metrics(found: Quarantining) -> str:
    return found.at.service.send(b"", path="/metrics", method="GET").body.decode()


def admitted(found: Quarantining) -> bool:
    try:
        return found.admin("both").status == 200
    except OSError:  # no handshake, until the roots are there again
        return False


def test_it_presents_our_certificate_as_it_is_renewed(tmp_path: Path) -> None:
    (tmp_path / "pki").mkdir()
    own = Pki(tmp_path / "pki")
    with quarantining(own, tmp_path) as found:
        before = presented(found)

        own.issue("server", uris=[f"spiffe://{PROD}/ns/pdp/sa/pdp"], dns=["localhost"], ips=["127.0.0.1"])

        until(lambda: presented(found) != before)
        assert found.admin("both").status == 200


def presented(found: Quarantining) -> bytes:
    connection = found.connect("both")
    connection.connect()
    certificate = connection.sock.getpeercert(binary_form=True)
    connection.close()
    return certificate


def test_a_list_that_cannot_be_written_is_said_and_stays(pki: Pki, tmp_path: Path) -> None:
    with quarantining(pki, tmp_path, first=document(entry(spiffe_id=WEB))) as found:
        found.file.write_bytes(b"{")

        reply = found.admin("adder", body=said(spiffe_id=EDGE))

        assert (reply.status, reply.code) == (503, "not_changed")
        assert found.file.read_bytes() == b"{"
        assert answers(found.at, "pep") == {"quarantined"}


def test_a_running_service_is_asked_by_its_admin_listener(pki: Pki, tmp_path: Path) -> None:
    with quarantining(pki, tmp_path) as found:
        at = (
            "--at", f"https://127.0.0.1:{found.admin_port}", "--cert", pki.folder / "both.pem",
            "--key", pki.folder / "both-key.pem", "--ca", pki.folder / "prod.pem",
        )  # fmt: skip

        added = run("add", *at, "--for", "1h", "--why", "x", "--spiffe-id", WEB, "--json")

        assert added.exit_code == 0, added.output
        assert found.at.service.send(question()).json["reason"] == "quarantined"
        entry_id = json.loads(added.output)["id"]
        assert entry_id in run("list", *at).output
        assert run("lift", "q-none", *at, "--why", "x").exit_code == 3
        assert run("lift", entry_id, *at, "--why", "rotated").exit_code == 0
        assert found.at.service.send(question()).json["decision"] == "allow"
        refused = run("list", *at[:2], "--cert", pki.folder / "nobody.pem", "--key",
                      pki.folder / "nobody-key.pem", "--ca", pki.folder / "prod.pem")  # fmt: skip
        assert (refused.exit_code, "may not administer" in refused.output) == (3, True)
    gone = run("list", *at)
    assert (gone.exit_code, f"127.0.0.1:{found.admin_port}" in gone.output) == (3, True)
