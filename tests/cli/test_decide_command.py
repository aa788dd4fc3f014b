"""`pdp decide`: one decision offline, or a file of them."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdp.limits import MAX_BODY_BYTES
from tests.cli.example import CHECKOUT, FRONTEND, policies, process, run

AT = ("--at", "2026-11-22")
CHARGE = ("--principal", CHECKOUT, "--service", "payments", "--method", "POST", "--path", "/v1/charges")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return policies(tmp_path_factory.mktemp("decide") / "set")


def ask(folder: Path, principal: str, service: str, method: str, path: str, *more: str) -> Result:
    named = ("--principal", principal, "--service", service, "--method", method, "--path", path)
    return run("decide", folder, *named, *AT, *more)


# -- one decision ----------------------------------------------------------------------


def test_an_allow_ends_with_0_and_says_by_which_rule_and_for_what_it_holds(folder: Path) -> None:
    done = run("decide", folder, *CHARGE)

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == (
        "ALLOW  allowed\n"
        f"  by payments/charge-create at {folder}/payments.policy:9, because JIRA-1: [checkout] charges\n"
        "  holds for POST /v1/charges on payments by this principal\n"
    )


def test_a_deny_by_a_rule_ends_with_1(folder: Path) -> None:
    done = ask(folder, "anonymous", "payments", "GET", "/admin/x")

    assert done.exit_code == 1
    assert done.stdout == (
        "DENY  denied by a rule\n"
        f"  by payments/admins at {folder}/payments.policy:15\n"
        "  holds for any method /admin/** on payments by this principal\n"
    )


def test_a_default_deny_says_that_no_rule_matched(folder: Path) -> None:
    done = ask(folder, CHECKOUT, "payments", "GET", "/v2")

    assert done.exit_code == 1
    assert done.stdout.startswith("DENY  no rule matched\n  holds for any method /<any but ")


def test_captures_wildcards_and_exceptions_are_said_in_the_region(folder: Path) -> None:
    charge = ask(folder, CHECKOUT, "payments", "GET", "/v1/charges/41")
    team = ask(folder, "spiffe://prod.example.org/ns/blog/sa/x", "payments", "GET", "/v1/teams/blog/a/b")

    assert "  holds for GET /v1/charges/* on payments by this principal\n" in charge.stdout
    assert (
        "  holds for GET /v1/teams/blog/<any but secrets>/** on payments by this principal\n" in team.stdout
    )


def test_what_an_allow_demands_and_until_when_it_holds_is_said(folder: Path) -> None:
    got = ask(folder, FRONTEND, "cart", "POST", "/shop.Cart/Get").stdout
    office = ask(folder, FRONTEND, "cart", "GET", "/office").stdout

    assert '  must set header x-cart = "1"\n' in got
    assert "  must remove header x-debug\n" in got
    assert "  must reuse for at most 2000 ms\n" in got
    assert office.startswith(
        "ALLOW  no rule matched, and the service is only observed: nothing is enforced\n"
    )
    assert "  until 2026-11-23T09:00:00Z\n" in office


def test_a_shadow_rule_that_would_change_the_answer_is_named(folder: Path) -> None:
    done = ask(folder, CHECKOUT, "payments", "DELETE", "/v1/charges/1")

    assert done.exit_code == 0
    shadow = f"deny by payments/no-deletes at {folder}/payments.policy:16"
    assert f"  with its shadow rules enforced: {shadow}\n" in done.stdout


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "/v1/../x", "DENY  the path is ambiguous: it has a segment of nothing but dots\n"),
        ("GET", "", "DENY  the path is ambiguous: it does not begin with `/`\n"),
        (
            "get",
            "/v1",
            "DENY  the method is ambiguous: it has lower-case letters: methods are case-sensitive\n",
        ),
        ("", "/v1", "DENY  the method is ambiguous: it is empty\n"),
    ],
)
def test_an_ambiguous_request_is_denied_and_told_why(folder: Path, method: str, path: str, said: str) -> None:
    done = ask(folder, CHECKOUT, "payments", method, path)

    assert done.exit_code == 1
    assert done.stdout == f"{said}  holds for this very request only\n"


def test_a_method_override_is_ambiguous(folder: Path) -> None:
    done = ask(
        folder, CHECKOUT, "payments", "GET", "/v1", "--context", '{"header.x-http-method-override":"PUT"}'
    )

    assert done.stdout.startswith("DENY  the method is ambiguous: a header overrides it\n")


def test_a_service_may_be_named_by_host(folder: Path) -> None:
    named = ("--principal", CHECKOUT, "--method", "POST", "--path", "/v1/charges")

    known = run("decide", folder, *named, "--host", "payments.shop.svc:443")
    unknown = run("decide", folder, *named, "--host", "payments")

    assert (known.exit_code, unknown.exit_code) == (0, 1)
    assert unknown.stdout.startswith("DENY  the service is not declared\n")


@pytest.mark.parametrize("principal", ["dns:vm.example.org", "dns:VM.example.org."])
def test_principals_may_be_dns_identities(folder: Path, principal: str) -> None:
    assert ask(folder, principal, "payments", "GET", "/v1/vm").exit_code == 0


USER = '{"issuer":"https://login.example.com","subject":"al"}'


@pytest.mark.parametrize(
    ("user", "context", "exit_code"),
    [
        (USER, '{"user.scope":["me"],"user.level":3}', 0),
        (USER, '{"user.scope":["me"],"user.level":2}', 1),
        (USER, '{"user.scope":[],"user.level":3}', 1),
        ('{"issuer":"https://other.test","subject":"al"}', '{"user.scope":["me"],"user.level":3}', 1),
    ],
)
def test_user_and_attributes_are_json(folder: Path, user: str, context: str, exit_code: int) -> None:
    done = ask(folder, CHECKOUT, "payments", "GET", "/v1/me", "--user", user, "--context", context)

    assert done.exit_code == exit_code


def test_the_region_shows_what_was_read(folder: Path) -> None:
    context = '{"user.scope":["me","x"],"user.level":3,"tls.sni":"unread"}'

    done = ask(folder, CHECKOUT, "payments", "GET", "/v1/me", "--user", USER, "--context", context)

    assert "user.scope = { me, x }" in done.stdout
    assert "user.level = 3" in done.stdout
    assert "unread" not in done.stdout


def test_families_are_all_supplied_unless_named(tmp_path: Path) -> None:
    path = tmp_path / "a.policy"
    text = "language 1\nservice a {\n allow anyone to GET /**\n deny anyone to GET /** when has header.x\n}\n"
    path.write_text(text, encoding="utf-8")

    exits = [
        ask(path, "anonymous", "a", "GET", "/x", *more).exit_code
        for more in ((), ("--supplies", "header"), ("--supplies", "source, tls"), ("--supplies", "nothing"))
    ]

    assert exits == [0, 0, 1, 1]


def test_the_instant_can_be_given(folder: Path) -> None:
    office = ("--principal", FRONTEND, "--service", "cart", "--method", "GET", "--path", "/office")

    monday = run("decide", folder, *office, "--at", "2027-02-01T09:00+00:00")
    sunday = run("decide", folder, *office, "--at", "2027-02-07T09:00Z")

    assert (monday.exit_code, sunday.exit_code) == (0, 1)


def test_an_explanation_names_what_was_considered_and_what_is_nearest(folder: Path) -> None:
    done = ask(
        folder, "spiffe://prod.example.org/ns/blog/sa/x", "payments", "POST", "/v1/charges", "--explain"
    )

    assert done.exit_code == 1
    considered, _, nearest = done.stdout.partition("nearest allow: ")
    assert "no rule on this path is about this principal" in considered or "considered:" in considered
    assert nearest.startswith(f"payments/charge-create at {folder}/payments.policy:9\n  principal: ")


EXPLAINED = """language 1
trust domain prod = "prod.example.org"
service s {
    paths may have merged-slashes
    allow prod/a to GET /x when source.ip in 10.0.0.0/8 as inside
    deny anyone to GET /y when header.x-b == "1" as no-b
    deny anyone to any /x/adm as noadm
}
"""


@pytest.mark.parametrize(
    ("asked", "lines"),
    [
        (
            ("GET", "/x", "--context", '{"source.ip": "192.0.2.1"}'),
            [
                "considered:",
                "  allow s/inside at {at}:5: condition false",
                "    attribute: source.ip = 192.0.2.1; wanted: source.ip in 10.0.0.0/8",
                "nearest allow: s/inside at {at}:5",
                "  attribute: source.ip = 192.0.2.1; wanted: source.ip in 10.0.0.0/8",
            ],
        ),
        (
            ("GET", "/y"),
            [
                "considered:",
                "  deny s/no-b at {at}:6: satisfied, since its condition is unknown",
                '    attribute: header.x-b is absent; wanted: not header.x-b == "1", which is unknown',
            ],
        ),
        (
            ("GET", "/x//adm"),
            ["the path is read as /x/adm", "", "considered:", "  deny s/noadm at {at}:7: satisfied"],
        ),
        (("GET", "/x/../y"), ["no rule is considered: dot_segment"]),
    ],
)
def test_an_explanation_names_the_part_that_is_to_blame(
    tmp_path: Path, asked: tuple[str, ...], lines: list[str]
) -> None:
    file = tmp_path / "s.policy"
    file.write_text(EXPLAINED, encoding="utf-8")
    method, path, *more = asked

    done = ask(file, "spiffe://prod.example.org/a", "s", method, path, "--explain", *more)

    wanted = "\n".join(lines).replace("{at}", str(file))
    assert f"\n\n{wanted}\n" in done.stdout


def test_json_is_the_answer_of_the_service(folder: Path) -> None:
    done = run("decide", folder, *CHARGE, "--json")

    found = json.loads(done.stdout)
    assert (done.exit_code, done.stderr) == (0, "")
    assert found["rules"] == [
        {
            "name": "payments/charge-create",
            "at": "payments.policy:9",
            "because": "JIRA-1: [checkout] charges",
        }
    ]
    assert (found["decision"], found["age_seconds"], len(found["decision_id"])) == ("allow", 0, 26)
    assert "explanation" not in found
    assert "explanation" in json.loads(run("decide", folder, *CHARGE, "--json", "--explain").stdout)


def test_every_answer_has_an_id_of_its_own(folder: Path) -> None:
    ids = {json.loads(run("decide", folder, *CHARGE, "--json").stdout)["decision_id"] for _ in range(3)}

    assert len(ids) == 3


# -- mistakes --------------------------------------------------------------------------

NAMED = {"--principal": CHECKOUT, "--service": "payments", "--method": "GET", "--path": "/x"}


def arguments(**changed: str | None) -> list[str]:
    named = {**NAMED, **{f"--{name}": value for name, value in changed.items()}}
    return [part for name, value in named.items() if value is not None for part in (name, value)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (arguments(principal=None), "`--principal` is missing"),
        (arguments(method=None), "`--method` is missing"),
        (arguments(path=None), "`--path` is missing"),
        (arguments(service=None), "one of `--service` and `--host`"),
        (arguments(host="a"), "one of `--service` and `--host`"),
        (arguments(supplies="sorce"), "unknown family of attributes `sorce`: did you mean `source`?"),
        (arguments(supplies=""), "unknown family of attributes ``"),
        (arguments(supplies="\x1b[2J"), r"`\u{1b}[2J`"),
        (arguments(at="tomorrow"), "`tomorrow` is not an instant"),
        (arguments(at="2027-02-30"), "`2027-02-30` is not an instant"),
        (arguments(at="9999999999"), "is not an instant"),
        (["--batch", "-", "--method", "GET"], "`--batch` and `--method` exclude each other"),
        (["--batch", "-", "--context", "{}"], "`--batch` and `--context` exclude each other"),
        (["--batch", "-", "--explain"], "`--batch` and `--explain` exclude each other"),
        (["--batch", "/nonexistent"], "does not exist"),
        (["--nonsense"], "No such option"),
    ],
)
def test_a_mistake_in_the_call_ends_with_2(folder: Path, given: list[str], said: str) -> None:
    done = run("decide", folder, *given)

    assert (done.exit_code, done.stdout) == (2, "")
    assert said in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (arguments(principal="x"), "invalid_principal", "begins with `spiffe://`"),
        (arguments(principal="spiffe://a.test/x\n"), "invalid_principal", "a control character"),
        (arguments(principal="dns:*.a"), "invalid_principal", "host name"),
        (arguments(principal=""), "invalid_principal", "begins with"),
        (arguments(service=""), "invalid_service", "empty"),
        (arguments(service=None, host="a b"), "invalid_host", "not a host name"),
        (arguments(path="/" + "x" * 20_000), "path_too_long", "more than"),
        (arguments(context="[]"), "wrong_type", "`--context`: expected an object, got a list"),
        (arguments(context="{"), "invalid_json", "`--context` is not JSON"),
        (arguments(context='{"a":1,"a":1}'), "duplicate_key", "`--context`: the key `a`"),
        (arguments(context='{"source.ip":"x"}'), "attribute_type", "`source.ip` is not of type `ip`"),
        (arguments(context='{"header.X":"x"}'), "invalid_attribute", "`header.x`"),
        (arguments(user='{"issuer":"x"}'), "missing_field", "the field `subject` of `user` is missing"),
        (arguments(user="\udcff"), "not_utf8", "`--user` is not UTF-8"),
    ],
)
def test_a_question_that_cannot_be_asked_is_a_mistake_in_the_call_and_ends_with_2(
    folder: Path, given: list[str], code: str, said: str
) -> None:
    shown, data = run("decide", folder, *given), run("decide", folder, *given, "--json")

    assert (shown.exit_code, shown.stdout) == (2, "")
    assert shown.stderr.startswith("error: ")
    assert len(shown.stderr.splitlines()) == 1
    assert said in shown.stderr
    assert (data.exit_code, data.stderr) == (2, "")
    assert json.loads(data.stdout)["error"]["code"] == code


def test_a_bad_policy_set_answers_nothing(tmp_path: Path) -> None:
    bad = policies(tmp_path / "bad", bad="language 1\ngroup = 5\n")

    for more in (CHARGE, ("--batch", "-")):
        done = run("decide", bad, *more, input=b"{}\n")
        assert (done.exit_code, done.stdout) == (3, "")
        assert "bad.policy:2:7: error[PDP101]" in done.stderr


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    principal=st.just(CHECKOUT) | st.text(max_size=12),
    service=st.just("payments") | st.text(max_size=5),
    method=st.just("GET") | st.text(max_size=5),
    path=st.just("/v1/me") | st.text(max_size=9),
    context=st.just("{}") | st.text(max_size=9),
    supplies=st.sampled_from(["nothing", "source"]) | st.text(max_size=4),
)
def test_no_argument_whatever_ends_in_a_traceback(
    folder: Path, principal: str, service: str, method: str, path: str, context: str, supplies: str
) -> None:
    done = run(
        "decide", folder, f"--principal={principal}", f"--service={service}", f"--method={method}",
        f"--path={path}", f"--context={context}", f"--supplies={supplies}", "--explain",
    )  # fmt: skip

    assert done.exit_code in {0, 1, 2, 3}
    assert (done.stdout == "") == (done.exit_code > 1)


# -- files of questions ----------------------------------------------------------------

QUESTION = {"principal": CHECKOUT, "service": "payments", "method": "GET", "path": "/v1/charges/41"}


def line(**changed: Any) -> bytes:
    return json.dumps({**QUESTION, **changed}).encode()


def batch(folder: Path, *lines: bytes, end: bytes = b"\n") -> list[dict[str, Any]]:
    done = run("decide", folder, "--batch", "-", *AT, input=end.join(lines))
    assert (done.exit_code, done.stderr) == (0, "")
    return [json.loads(answer) for answer in done.stdout.splitlines()]


def test_answers_are_in_the_order_of_the_lines(folder: Path) -> None:
    paths = ["/v1/charges/1", "/v2", "/v1/../x", "/v1/charges/2"]

    answers = batch(folder, *(line(path=path) for path in paths))

    assert [answer["decision"] for answer in answers] == ["allow", "deny", "deny", "allow"]
    assert [answer["reason"] for answer in answers] == [
        "allowed", "no_rule_matched", "ambiguous_path", "allowed"
    ]  # fmt: skip


def test_a_batch_and_a_single_question_have_one_answer(folder: Path) -> None:
    (batched,) = batch(folder, line())
    single = json.loads(ask(folder, CHECKOUT, "payments", "GET", "/v1/charges/41", "--json").stdout)

    assert {**batched, "decision_id": ""} == {**single, "decision_id": ""}


def test_a_line_that_cannot_be_answered_has_an_error_and_no_decision(folder: Path) -> None:
    bad = [
        b"", b"  ", b"{", b"[]", b"null", b"\xff", b'{"a":1,"a":2}', line(principal="x"), line(extra=1),
        line(context={"source.ip": "x"}), line(at_least="0123"), line(principal={"jwt": "x"}),
        b"[" * 1000, b'"' + b"x" * MAX_BODY_BYTES + b'"', b"x" * 3 * (MAX_BODY_BYTES + 2),
    ]  # fmt: skip
    codes = [
        "invalid_json", "invalid_json", "invalid_json", "wrong_type", "wrong_type", "not_utf8",
        "duplicate_key", "invalid_principal", "unknown_field", "attribute_type", "revision_not_seen",
        "evidence_refused", "too_deep", "body_too_large", "body_too_large",
    ]  # fmt: skip

    answers = batch(folder, line(), *bad, line())

    assert answers[0]["decision"] == answers[-1]["decision"] == "allow"
    assert [answer["error"]["code"] for answer in answers[1:-1]] == codes
    assert all(set(answer) == {"error"} for answer in answers[1:-1])
    assert all(answer["error"]["message"] for answer in answers[1:-1])


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_a_line_may_be_as_long_as_a_body_and_not_one_byte_longer(folder: Path, extra: int) -> None:
    short = line(path="/")
    long = line(path="/" + "x" * (MAX_BODY_BYTES - len(short) + extra))
    assert len(long) == MAX_BODY_BYTES + extra

    for end in (b"\n", b"\r\n"):
        first, second = batch(folder, long, line(), end=end)
        # What fits is refused for its path's length alone.
        assert first["error"]["code"] == ("body_too_large" if extra > 0 else "path_too_long")
        assert second["decision"] == "allow"


def test_the_last_line_needs_no_end_and_an_end_is_no_line(folder: Path) -> None:
    assert len(batch(folder, line(), line())) == 2
    assert len(batch(folder, line(), line(), b"")) == 2
    assert batch(folder) == []


def test_a_line_may_ask_for_this_revision_and_for_an_explanation(folder: Path) -> None:
    (first,) = batch(folder, line())

    (again,) = batch(folder, line(at_least=first["revision"], explain=True))

    assert again["revision"] == first["revision"]
    assert again["explanation"]["considered"][0]["rule"]["name"] == "payments/charge-read"


def test_questions_can_come_from_a_file(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_bytes(line() + b"\n")

    done = run("decide", folder, "--batch", path)

    assert done.exit_code == 0
    assert json.loads(done.stdout)["decision"] == "allow"


def test_a_file_that_fails_midway_ends_with_3(folder: Path) -> None:
    """`/proc/self/mem` opens, and the first page of memory cannot be read."""
    done = process("decide", folder, "--batch", "/proc/self/mem")

    assert done.returncode == 3
    assert done.stderr.startswith(b"error: `/proc/self/mem` cannot be read: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_long_file_is_answered_as_it_is_read(folder: Path) -> None:
    """Memory does not grow with the file: the limit is set well below its answers' size."""
    code = (
        "import pathlib, resource; from pdp.cli.main import main\n"
        "from pdp.cli import decide\n"  # loaded before the limit, which is for the answers
        "used = int(pathlib.Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 32 * 2**20,) * 2); main()"
    )

    done = process("decide", folder, "--batch", "-", code=code, input=(line() + b"\n") * 100_000)

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n") == 100_000
    assert len(done.stdout) > 40 * 2**20
