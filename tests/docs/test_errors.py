"""Every error has a row on the page of the API, is provoked, and is no decision."""

import ast
import json
import re
from collections.abc import Callable

import httpx
import pytest

from pdp import limits
from pdp.adapters import refused as connection_module
from pdp.adapters.grpc.refusals import status_of
from pdp.adapters.local import Local
from pdp.adapters.schemas import BadQuestionError
from pdp.identity.forwarded.xfcc import XFCC
from pdp.identity.local import named_caller
from pdp.identity.quarantine.file import make_entry
from pdp.identity.quarantine.lists import Quarantine
from pdp.identity.refusal import Refusal, UntrustedCertificateError
from pdp.service.decision_service import DecisionService
from pdp.service.errors import CannotAnswerError, NotPermittedError, OverloadedError
from pdp.store.freshness import Freshness, Limit
from tests.docs.application import ASKED, ERRORS, PROXY, WEB, asking, broken, caller, post, sending, service
from tests.docs.pages import MODULES, TEXTS
from tests.docs.sets import NOW

#: Where the code stands among the arguments of whatever makes an error for a caller.
RAISING = {
    "BadJsonError": 0, "BadQuestionError": 0, "NotPermittedError": 0, "CannotAnswerError": 0,
    "OverloadedError": 0, "StatusError": 1, "_error": 1,
}  # fmt: skip


def codes_raised() -> set[str]:
    found: set[str] = set()
    for name, tree in MODULES.items():
        if not name.startswith(("pdp.adapters", "pdp.service", "pdp.strictness")):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RAISING:
                found |= codes_of(node.args[RAISING[node.func.id]], tree)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "super().__init__":
                # An error that has one code.
                found |= {arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)}
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Verdict":
                given = [word.value for word in node.keywords if word.arg == "code"]
                found |= {value.value for value in given if isinstance(value, ast.Constant)}
        found |= codes_in_tables(tree)
    return found


def codes_of(code: ast.expr, tree: ast.Module) -> set[str]:
    """The codes that an argument may stand for; a test that cannot tell fails."""
    match code:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.Attribute(attr="code"):
            return set()  # an error that is passed on
        case ast.Name(id="code"):
            return codes_assigned(tree)
        case ast.BoolOp(op=ast.Or(), values=[ast.Name(id="code"), other]):
            given = [word.value for call in checks("clean") for word in call.keywords if word.arg == "code"]
            return codes_of(other, tree).union(*(codes_of(value, tree) for value in given))
        case ast.JoinedStr(values=[ast.Constant(value="invalid_"), _]):
            fields = [call.args[0] for call in checks("clean", "_spiffe") if not call.keywords]
            return {
                f"invalid_{str(field.value).partition('.')[0]}"
                for field in fields
                if isinstance(field, ast.Constant)
            }
        case _:
            pytest.fail(f"line {code.lineno}: cannot read the code {ast.unparse(code)}")


def checks(*names: str) -> list[ast.Call]:
    """Calls of these functions wherever questions are read."""
    return [
        node
        for name, tree in MODULES.items()
        if name.startswith("pdp.adapters")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
    ]


def codes_assigned(tree: ast.Module) -> set[str]:
    """What is ever assigned to a variable `code` of a module: one constant or another."""
    values = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in {"code", "(code, message)"}
    ]
    assert values, "a variable `code` that nothing is assigned to"
    return {
        leaf.value
        for value in values
        for leaf in ast.walk(value)
        if isinstance(leaf, ast.Constant) and re.fullmatch(r"[a-z]+_[a-z_]+|internal", str(leaf.value))
    }


def codes_in_tables(tree: ast.Module) -> set[str]:
    """Codes that stand with their status: `(HTTPStatus.X, code, message)`, `{status: (code, message)}`."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Tuple(
                elts=[ast.Attribute(value=ast.Name(id="HTTPStatus")), ast.Constant(value=str(code)), _]
            ):
                found.add(code)
            case ast.Dict(keys=[ast.Constant(value=int()), *_], values=values):
                found |= {
                    str(value.elts[0].value)
                    for value in values
                    if isinstance(value, ast.Tuple) and isinstance(value.elts[0], ast.Constant)
                }
    return found


ROWS = {
    code: (int(status) if status != "-" else None, grpc.strip("`"))
    for code, status, grpc in re.findall(
        r"^\| `(\w+)` \| (\d{3}|-) \| (`[A-Z_]+`|-) \| .+ \|$", TEXTS["docs/api.md"], re.MULTILINE
    )
}


def test_every_error_code_has_a_row_and_every_row_a_code() -> None:
    assert sorted(ROWS) == sorted(codes_raised())


# -- every error, provoked ---------------------------------------------------------------


def watching(to: DecisionService) -> httpx.Response:
    """One more than may watch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pdp.service.revisions.MAX_REVISION_WATCHERS", 0)
        return post(to, b"", method="GET", path="/v1/revisions")


def asking_too_often(to: DecisionService) -> httpx.Response:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(to.admission, "_per_second", 1)
        asking()(to)
        return asking()(to)


def asking_among_others(to: DecisionService) -> httpx.Response:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(to.admission, "in_flight", limits.DEFAULT_IN_FLIGHT)
        return asking()(to)


class FullLog:
    """A decision log that blocks and has no room."""

    blocks = True

    @staticmethod
    def has_room(entries: int) -> bool:
        return entries < 0


def asking_beside_a_full_log(to: DecisionService) -> httpx.Response:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(to, "log", FullLog())
        patch.setattr("pdp.adapters.answering.LOG_WAIT_SECONDS", 0)
        return asking()(to)


def asking_of_stale_policies(to: DecisionService) -> httpx.Response:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(to, "freshness", Freshness(default=Limit(max_staleness_ms=1, refuse=True)))
        to.versions.confirmed_at = NOW - 2
        return asking()(to)


def asking_while_quarantined(to: DecisionService) -> httpx.Response:
    entry = make_entry({"spiffe_id": PROXY}, who="ops", why="leaked", since=NOW, until=NOW + 60_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(to, "_quarantine", lambda: Quarantine((entry,)))
        return asking()(to)


LOCAL = {"caller": named_caller(PROXY), "identity": None, "uids": None, "hosts": frozenset({b"pdp"})}
SIDECAR = {**LOCAL, "caller": None, "identity": WEB}


def in_plaintext(how: dict, *headers: tuple[bytes, bytes]) -> Callable[[DecisionService], httpx.Response]:
    """Ask with what a plaintext listener finds out about a request with these headers."""
    try:
        return sending(b"{}", who=Local(**how).identify(None, [(b"host", b"pdp"), *headers]))
    except NotPermittedError as refused:
        return sending(b"{}", who=refused)


def reporting(*items: dict[str, object]) -> Callable[[DecisionService], httpx.Response]:
    return sending(json.dumps({"reused": items}).encode(), path="/v1/reuse")


REUSED = {"decision_id": "01M7YZMHG02K57QD7K1S9DT5QK", "times": 1}
BIG = b" " * (limits.MAX_BODY_BYTES + 1)
PROVOKED: dict[str, Callable[[DecisionService], httpx.Response]] = {
    "attribute_type": asking(context={"source.ip": 1}),
    "attributes_not_permitted": asking(context={"tls.sni": "x"}),
    "batch_too_large": sending(
        json.dumps({"questions": [ASKED] * (limits.MAX_BATCH_ITEMS + 1)}).encode(), path="/v1/decide/batch"
    ),
    "body_too_large": sending(BIG),
    "browser_not_permitted": in_plaintext(LOCAL, (b"origin", b"null")),
    "caller_expired": sending(b"{}", who=caller(not_after=NOW - 1)),
    "caller_not_listed": sending(b"{}", who=caller(WEB)),
    "caller_quarantined": asking_while_quarantined,
    "caller_untrusted": sending(b"{}", who="nobody"),
    "claims_not_permitted": asking(user={"issuer": "https://login.example", "subject": "alice"}),
    "conflicting_evidence": asking(user={"jwt": "eyJ", "subject": "alice"}),
    "conflicting_hosts": asking(context={"header.host": ["a.test", "b.test"]}),
    "duplicate_key": sending(b'{"path": "/a", "path": "/b"}'),
    "evidence_not_permitted": asking(principal={"certificate": "x"}),
    "evidence_refused": asking(principal={"jwt": "eyJ"}),
    "explain_not_permitted": asking(explain=True),
    "forwarded_elsewhere": in_plaintext(SIDECAR, (XFCC, f"By={PROXY};URI={PROXY}".encode())),
    "forwarded_invalid": in_plaintext(SIDECAR, (XFCC, b"x")),
    "forwarded_missing": in_plaintext(SIDECAR),
    "forwarded_unexpected": in_plaintext(LOCAL, (XFCC, b"x")),
    "host_not_permitted": in_plaintext(LOCAL, (b"host", b"pdp")),
    "internal": broken,
    "invalid_attribute": asking(context={"header.X-A": ["1"]}),
    "invalid_decision_id": reporting({**REUSED, "decision_id": "1"}),
    "invalid_host": asking(service=None, host="a b"),
    "invalid_json": sending(b"{"),
    "invalid_method": asking(method="GET\r"),
    "invalid_number": sending(b'{"path": NaN}'),
    "invalid_principal": asking(principal="checkout"),
    "invalid_revision": asking(at_least=""),
    "invalid_service": asking(service=""),
    "invalid_times": reporting({**REUSED, "times": 0}),
    "invalid_user": asking(user={"issuer": "", "subject": "alice"}),
    "log_full": asking_beside_a_full_log,
    "lone_surrogate": sending(rb'{"path": "/\ud800"}'),
    "method_not_allowed": lambda to: post(to, b"{}", method="PUT"),
    "metrics_not_permitted": lambda to: post(to, b"", method="GET", path="/metrics"),
    "missing_field": asking(path=None),
    "not_found": sending(b"{}", path="/v1/decide/"),
    "not_utf8": sending(b'{"path": "\xff"}'),
    "nul_character": sending(rb'{"path": "/\u0000"}'),
    "number_out_of_range": sending(b'{"path": 9223372036854775808}'),
    "overloaded": asking_among_others,
    "path_too_long": asking(path="/" + "a" * 2 * limits.MAX_PATH_BYTES),
    "peer_not_permitted": in_plaintext({**LOCAL, "uids": frozenset({0}), "hosts": None}),
    "principal_not_permitted": asking(principal="spiffe://other.example/x"),
    "rate_limited": asking_too_often,
    "report_too_large": reporting(*[REUSED] * (limits.MAX_REUSE_ITEMS + 1)),
    "revision_not_seen": asking(at_least="0" * 16),
    "service_not_permitted": asking(service="orders"),
    "service_or_host": asking(service=None),
    "stale": asking_of_stale_policies,
    "too_deep": sending(b"[" * (limits.MAX_JSON_DEPTH + 1)),
    "too_many_attributes": asking(
        context={f"header.x-{n}": None for n in range(limits.MAX_CONTEXT_ATTRIBUTES + 1)}
    ),
    "trailing_data": sending(b"{} {}"),
    "unknown_field": asking(query="x"),
    "unsupported_encoding": sending(b"{}", headers={"content-encoding": "gzip"}),
    "too_many_watchers": watching,
    "unsupported_media_type": sending(b"{}", headers={"content-type": "text/plain"}),
    "upgrade_refused": sending(b"{}", headers={"upgrade": "websocket"}),
    "wrong_type": asking(path=1),
}
#: Said of messages that are not JSON, and of calls: tests/e2e/test_grpc_malformed.py, test_grpc_shares.py.
OVER_GRPC = {"ambiguous_encoding", "invalid_protobuf", "too_many_calls"}
#: Said to proxies, in a header: tests/adapters/test_forward_auth.py.
TO_PROXIES = {"carrier_refused", "obligation_not_possible", "profile_not_permitted"}
#: Said before the application is reached: these take a socket.
ON_THE_WIRE = {"invalid_http", "head_too_large", "too_slow"}
#: Said to requests that are still waiting when the process ends: tests/adapters/test_app_defects.py.
AT_THE_END = {"ending"}


def test_every_code_is_provoked() -> None:
    assert sorted([*PROVOKED, *TO_PROXIES, *ON_THE_WIRE, *OVER_GRPC, *AT_THE_END]) == sorted(ROWS)


@pytest.mark.parametrize("code", sorted(ON_THE_WIRE))
def test_an_error_that_takes_a_socket_has_the_status_of_its_row(code: str) -> None:
    status, _, _ = next(
        refused
        for refused in vars(connection_module).values()
        if isinstance(refused, tuple) and refused[1:2] == (code,)
    )

    assert status == ROWS[code][0]


@pytest.mark.parametrize("code", PROVOKED)
def test_an_error_has_the_status_of_its_row_and_is_no_decision(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pdp.adapters.answering.AT_LEAST_WAIT_SECONDS", 0.0)

    got = PROVOKED[code](service(ERRORS))

    assert (got.status_code, got.json()["error"]["code"]) == (ROWS[code][0], code), got.text
    assert list(got.json()) == ["error"]
    assert (got.headers.get("retry-after") == "1") is (got.status_code == 503)


def test_errors_over_grpc_are_those_that_have_no_status_over_http() -> None:
    assert {code for code, (status, _) in ROWS.items() if status is None} == OVER_GRPC


@pytest.mark.parametrize("code", [code for code, (_, grpc) in ROWS.items() if grpc != "-"])
def test_an_error_has_the_grpc_status_of_its_row(code: str) -> None:
    status, grpc = ROWS[code]
    kinds = {403: NotPermittedError, 408: CannotAnswerError, 503: CannotAnswerError}
    error: Exception = kinds.get(status or 400, BadQuestionError)(code, "")
    if code == "caller_untrusted":
        error = UntrustedCertificateError(Refusal.MALFORMED, "")
    elif code in {"overloaded", "rate_limited", "too_many_calls"}:
        error = OverloadedError(code, "")
    elif status == 500:
        error = RuntimeError("secret")

    assert status_of(error).name == grpc


def test_a_forbidden_and_an_unknown_service_are_refused_alike() -> None:
    to = service(ERRORS)

    refused = [
        asking(**about)(to)
        for about in ({"service": "orders"}, {"service": "none"}, {"service": None, "host": "none.example"})
    ]

    assert {(got.status_code, got.content) for got in refused} == {(403, refused[0].content)}
