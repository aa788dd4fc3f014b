"""The documents say what is so: what they name exists, what they show is answered, links lead somewhere.

Examples are run against the application in this process, over everything but the socket and TLS.
"""

import ast
import asyncio
import importlib
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import httpx
import pytest

from pdp import limits
from pdp.adapters import connection as connection_module
from pdp.adapters.app import build_app
from pdp.adapters.connection import CALLER
from pdp.diagnostics import render
from pdp.identity.caller import Caller, CallerKind
from pdp.principals import spiffe_principal
from pdp.service.decision_service import DecisionService
from pdp.store.bundle import make_bundle
from pdp.store.publish import Publisher
from pdp.store.snapshot import Loader
from pdp.vocabulary import Excluding, Region, Request
from tests.docs.sets import Block, blocks, files_in
from tests.property.compiled import contains

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
LINKED = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])
# The pages that speak of the code. Those about the language have tests of their own.
PAGES = sorted(
    [
        *(DOCS / f"{name}.md" for name in ("README", "api", "architecture", "caching", "threat-model")),
        *(DOCS / "decisions").glob("*.md"),
    ]
)
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
PICTURE = DOCS / "architecture.svg"
NOW = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp() * 1000)

assert len(PAGES) > 10, "no pages found: this would pass by testing nothing"


def without_fences(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def quoted(text: str) -> list[str]:
    """What stands between single backticks."""
    return re.findall(r"`([^`\n]+)`", without_fences(text))


# -- links -----------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, made as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", without_fences(page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_a_file_and_to_a_heading_of_it(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", without_fences(page.read_text(encoding="utf-8"))):
        if link.startswith("https://"):
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page

        assert file.exists(), f"{page.name} links to {link}"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {link}"


def test_every_page_can_be_reached_from_the_index() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    linked = {(DOCS / target).resolve() for target in re.findall(r"\]\(([^)#]+)", index)}

    assert {*PAGES, *DOCS.glob("*.md"), PICTURE} - {DOCS / "README.md"} <= linked


# -- names -----------------------------------------------------------------------------


def modules() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted((ROOT / "pdp").rglob("*.py")):
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        yield name.removesuffix(".__init__"), ast.parse(file.read_text(encoding="utf-8"))


MODULES = dict(modules())
FUNCTIONS = {
    node.name
    for tree in MODULES.values()
    for node in ast.walk(tree)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
}
METHODS = {
    f"{owner.name}.{item.name}"
    for tree in MODULES.values()
    for owner in ast.walk(tree)
    if isinstance(owner, ast.ClassDef)
    for item in owner.body
    if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
}
CLASSES = {
    node.name for tree in MODULES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
}


def found(dotted: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            value: ModuleType | object = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            if not hasattr(value, part):
                return False
            value = getattr(value, part)
        return True
    return False


def is_defined(call: str) -> bool:
    """Whether `name()`, `Class.method()` or `pdp.module.name()` is there to be called."""
    if call.startswith("pdp."):
        return found(call)
    return call in METHODS if "." in call else call in FUNCTIONS


@pytest.mark.parametrize("page", TEXTS)
def test_modules_and_what_is_in_them_exist(page: str) -> None:
    named = {name for text in quoted(TEXTS[page]) for name in re.findall(r"\bpdp(?:\.\w+)+", text)}

    assert [name for name in sorted(named) if not found(name)] == []


@pytest.mark.parametrize("page", TEXTS)
def test_functions_and_methods_exist(page: str) -> None:
    called = {name for text in quoted(TEXTS[page]) for name in re.findall(r"([A-Za-z_][\w.]*)\(\)", text)}

    assert [name for name in sorted(called) if not is_defined(name)] == []


@pytest.mark.parametrize("page", TEXTS)
def test_classes_exist(page: str) -> None:
    """Whatever is written LikeThis in backticks is a class of ours."""
    named = {text for text in quoted(TEXTS[page]) if re.fullmatch(r"(?:[A-Z][a-z]+){2,}", text)}

    assert sorted(named - CLASSES) == []


@pytest.mark.parametrize("page", TEXTS)
def test_files_and_tests_exist(page: str) -> None:
    for text in quoted(TEXTS[page]):
        if (
            not re.match(r"(?:tests|pdp|docs|grammar|policies|loadtests|requirements)/", text)
            or "NNN" in text
            or "*" in text
        ):
            continue
        file, _, name = text.partition("::")

        assert (ROOT / file).exists(), f"{page} names {text}"
        assert not name or f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{page} names {text}"


@pytest.mark.parametrize("page", TEXTS)
def test_bounds_are_those_of_the_code(page: str) -> None:
    """A bound is named with its value behind it: `MAX_PATH_BYTES` (8192)."""
    bounds = {name: value for name, value in vars(limits).items() if name.isupper()}
    for name in {text for text in quoted(TEXTS[page]) if re.fullmatch(r"(?:MAX|AT)_[A-Z_]+", text)}:
        assert name in bounds, f"{page} names {name}"
        for value in re.findall(rf"`{name}`(.{{0,14}})", TEXTS[page], re.DOTALL):
            shown = re.match(r"\s\(([\d ,.]+)\)", value)
            assert shown is not None, f"{page} does not say how much {name} is"
            assert float(re.sub("[ ,]", "", shown[1])) == bounds[name], f"{page} has another {name}"


def test_the_picture_names_what_exists_and_can_be_read_on_dark_and_light() -> None:
    text = PICTURE.read_text(encoding="utf-8")
    picture = ET.fromstring(text)  # noqa: S314 - our own file
    words = " ".join(node.text or "" for node in picture.iter())

    assert all(found(name) for name in re.findall(r"pdp(?:\.\w+)+", words))
    assert all(is_defined(name) for name in re.findall(r"([A-Za-z_][\w.]*)\(\)", words))
    assert picture.get("role") == "img"
    assert picture.find("{http://www.w3.org/2000/svg}title") is not None
    assert "prefers-color-scheme: dark" in text


def test_the_page_on_architecture_has_a_line_for_every_package() -> None:
    packages = {name for name in MODULES if name.count(".") == 1 and (ROOT / name.replace(".", "/")).is_dir()}
    listed = set(re.findall(r"^\| `(pdp\.\w+)` \|", TEXTS["docs/architecture.md"], re.MULTILINE))

    assert packages <= listed


# -- decisions -------------------------------------------------------------------------

DECISIONS = {name: text for name, text in TEXTS.items() if "/decisions/" in name}
PARTS = ["Problem", "Forces", "Options", "Choice", "What got worse"]


@pytest.mark.parametrize("page", DECISIONS)
def test_a_decision_says_what_it_decides_why_and_what_got_worse(page: str) -> None:
    assert re.match(rf"# {Path(page).name[:4]}: \S", DECISIONS[page])
    assert re.findall(r"^## (.*)$", DECISIONS[page], re.MULTILINE) == PARTS
    assert len(DECISIONS[page].splitlines()) <= 80, "a decision is one page"


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(Path(page).name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def importers(package: str) -> set[str]:
    """The modules of pdp that import a distribution's package."""
    return {
        name
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == package)
        or (isinstance(node, ast.Import) and package in {alias.name.split(".")[0] for alias in node.names})
    }


def test_every_dependency_is_listed_with_the_modules_that_import_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[>=;\s]", text)[0] for text in project["dependencies"]}
    page = next(text for name, text in DECISIONS.items() if name.endswith("0010-dependencies.md"))
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", page, re.MULTILINE)

    assert {name for name, _ in rows} == declared | {"starlette"}
    for name, where in rows:
        for module in (imported := importers(name)):
            assert any(module == text or module.startswith(f"{text}.") for text in quoted(where)), (
                f"{module} imports {name}"
            )
        for text in quoted(where):
            assert any(module == text or module.startswith(f"{text}.") for module in imported), (
                f"{text} does not import {name}"
            )


# -- error codes -----------------------------------------------------------------------

#: Where the code stands among the arguments of whatever makes an error for a caller.
RAISING = {
    "BadJsonError": 0, "BadQuestionError": 0, "NotPermittedError": 0, "CannotAnswerError": 0,
    "_StatusError": 1, "_error": 1,
}  # fmt: skip


def codes_raised() -> set[str]:
    found: set[str] = set()
    for name, tree in MODULES.items():
        if not name.startswith(("pdp.adapters", "pdp.service")):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RAISING:
                found |= codes_of(node.args[RAISING[node.func.id]], tree)
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
            given = [
                word.value for call in calls(tree, "_clean") for word in call.keywords if word.arg == "code"
            ]
            return codes_of(other, tree).union(*(codes_of(value, tree) for value in given))
        case ast.JoinedStr(values=[ast.Constant(value="invalid_"), _]):
            fields = [call.args[0] for call in calls(tree, "_clean", "_spiffe") if not call.keywords]
            return {
                f"invalid_{str(field.value).partition('.')[0]}"
                for field in fields
                if isinstance(field, ast.Constant)
            }
        case _:
            pytest.fail(f"line {code.lineno}: cannot read the code {ast.unparse(code)}")


def calls(tree: ast.AST, *names: str) -> list[ast.Call]:
    return [
        node
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
    code: (int(status), meaning)
    for code, status, meaning in re.findall(
        r"^\| `(\w+)` \| (\d{3}) \| (.+) \|$", TEXTS["docs/api.md"], re.MULTILINE
    )
}


def test_every_error_code_has_a_row_and_every_row_a_code() -> None:
    assert sorted(ROWS) == sorted(codes_raised())


# -- the application, in this process ----------------------------------------------------

PROXY = "spiffe://prod.example.org/ns/mesh/sa/proxy"
WEB = "spiffe://prod.example.org/ns/checkout/sa/web"


def caller(identity: str = PROXY, not_after: int = NOW + 3_600_000) -> Caller:
    principal = spiffe_principal(identity)
    return Caller(
        kind=CallerKind.SPIFFE,
        id=identity,
        trust_domain=principal.trust_domain,
        segments=principal.segments,
        fingerprint="00" * 32,
        not_after=not_after,
        epoch=1,
    )


def service(policy: str) -> DecisionService:
    loader = Loader()
    loaded = loader.load(
        make_bundle({name: text.encode() for name, text in files_in(policy).items()}), now=NOW
    )
    assert loaded.snapshot is not None, "\n".join(render(d, loaded.sources) for d in loaded.diagnostics)
    publisher = Publisher(loader, loaded.snapshot, on_event=lambda _: None, now=NOW)
    return DecisionService(publisher, clock=lambda: NOW)


def post(
    to: DecisionService,
    body: bytes,
    *,
    method: str = "POST",
    path: str = "/v1/decide",
    who: object = None,
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    app = build_app(to)

    async def with_caller(scope, receive, send):
        await app({**scope, "state": {CALLER: caller() if who is None else who}}, receive, send)

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=with_caller)
        async with httpx.AsyncClient(transport=transport, base_url="https://pdp.example") as client:
            return await client.request(
                method, path, content=body, headers={"content-type": "application/json", **(headers or {})}
            )

    return asyncio.run(send())


def examples(page: str) -> list[tuple[str, Block, Block]]:
    """Questions of a page with the policy before them and the answer after."""
    shown, policy = blocks(TEXTS[page]), ""
    found = []
    for at, block in enumerate(shown):
        if block.info == "policy":
            policy = block.text
        elif block.info in {"json question", "json batch"}:
            assert shown[at + 1].info == "json answer"
            found.append((policy, block, shown[at + 1]))
    return found


EXAMPLES = [(page, *example) for page in ("docs/api.md", "docs/caching.md") for example in examples(page)]
assert len(EXAMPLES) > 3, "no examples found: this would pass by testing nothing"


def settled(answer: dict[str, object]) -> dict[str, object]:
    """An answer without its id and revision, once checked: they differ with every answer and release."""
    for item in answer.get("answers", [answer]):  # type: ignore[union-attr]
        if "decision_id" in item:
            assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{26}", item.pop("decision_id"))
            assert re.fullmatch(r"[0-9a-f]{16}", item.pop("revision"))
    return answer


@pytest.mark.parametrize(
    ("page", "policy", "question", "answer"),
    EXAMPLES,
    ids=lambda value: f"line-{value.line}" if isinstance(value, Block) else "",
)
def test_examples_are_answered_as_shown(page: str, policy: str, question: Block, answer: Block) -> None:
    path = "/v1/decide/batch" if question.info == "json batch" else "/v1/decide"

    got = post(service(policy), question.text.encode(), path=path)

    assert settled(got.json()) == settled(json.loads(answer.text)), f"{page}: {got.text}"


def region_of(answer: dict) -> Region:
    body = answer["region"]
    steps = tuple(
        Excluding(*(tuple(step.get(name, ())) for name in ("not", "not_prefix", "not_suffix")))
        if isinstance(step, dict)
        else step
        for step in body["path"]
    )
    return Region(body["service"], body["principal"], body["method"], steps, body["rest"], body["context"])


def request_of(question: dict) -> Request:
    return Request(principal=spiffe_principal(question["principal"]), service=question["service"],
                   method=question["method"], path=question["path"], now=NOW)  # fmt: skip


def test_questions_said_to_be_inside_and_outside_a_region_are() -> None:
    """Inside, the fresh answer is the same; outside, the rule for members says so."""
    seen = set()
    for policy, question, answer in examples("docs/caching.md"):
        region, first = region_of(json.loads(answer.text)), json.loads(question.text)
        shown = blocks(TEXTS["docs/caching.md"])
        at = shown.index(answer) + 1
        while at < len(shown) and shown[at].info in {"json inside", "json outside"}:
            for line in shown[at].text.splitlines():
                other = {**first, **json.loads(line)}
                member = contains(region, request_of(other), other.get("context", {}))
                assert member is (shown[at].info == "json inside"), line
                if member:
                    fresh = post(service(policy), json.dumps(other).encode()).json()
                    same = ("decision", "obligations", "valid_until", "enforced")
                    assert [fresh[name] for name in same] == [
                        json.loads(answer.text)[name] for name in same
                    ], line
            seen.add(shown[at].info)
            at += 1
    assert seen == {"json inside", "json outside"}


# -- every error, provoked ---------------------------------------------------------------

ERRORS = """language 1
trust domain prod = "prod.example.org"
service payments { allow prod/ns/checkout/sa/web to GET /v1/** }
service orders { allow prod/ns/checkout/sa/web to GET /v1/** }
caller prod/ns/mesh/sa/proxy fronts payments may assert any principal of prod supplies source, header
"""
ASKED = {"principal": WEB, "service": "payments", "method": "GET", "path": "/v1/charges"}


def asking(**change: object) -> Callable[[DecisionService], httpx.Response]:
    """Ask with some fields changed; those that are None are left out."""
    question = {name: value for name, value in {**ASKED, **change}.items() if value is not None}
    return sending(json.dumps(question).encode())


def sending(body: bytes, **options: object) -> Callable[[DecisionService], httpx.Response]:
    return lambda to: post(to, body, **options)  # type: ignore[arg-type]


def broken(_: DecisionService) -> httpx.Response:
    """What a defect of ours comes to: a service that is none."""
    return post(object(), json.dumps(ASKED).encode())  # type: ignore[arg-type]


BIG = b" " * (limits.MAX_BODY_BYTES + 1)
PROVOKED: dict[str, Callable[[DecisionService], httpx.Response]] = {
    "attribute_type": asking(context={"source.ip": 1}),
    "attributes_not_permitted": asking(context={"tls.sni": "x"}),
    "batch_too_large": sending(
        json.dumps({"questions": [ASKED] * (limits.MAX_BATCH_ITEMS + 1)}).encode(), path="/v1/decide/batch"
    ),
    "body_too_large": sending(BIG),
    "caller_expired": sending(b"{}", who=caller(not_after=NOW - 1)),
    "caller_not_listed": sending(b"{}", who=caller(WEB)),
    "caller_untrusted": sending(b"{}", who="nobody"),
    "claims_not_permitted": asking(user={"issuer": "https://login.example", "subject": "alice"}),
    "duplicate_key": sending(b'{"path": "/a", "path": "/b"}'),
    "evidence_not_accepted": asking(principal={"jwt": "eyJ"}),
    "explain_not_permitted": asking(explain=True),
    "internal": broken,
    "invalid_attribute": asking(context={"header.X-A": ["1"]}),
    "invalid_host": asking(service=None, host="a b"),
    "invalid_json": sending(b"{"),
    "invalid_method": asking(method="GET\r"),
    "invalid_number": sending(b'{"path": NaN}'),
    "invalid_principal": asking(principal="checkout"),
    "invalid_revision": asking(at_least=""),
    "invalid_service": asking(service=""),
    "invalid_user": asking(user={"issuer": "", "subject": "alice"}),
    "lone_surrogate": sending(rb'{"path": "/\ud800"}'),
    "method_not_allowed": lambda to: post(to, b"{}", method="PUT"),
    "missing_field": asking(path=None),
    "not_found": sending(b"{}", path="/v1/decide/"),
    "not_utf8": sending(b'{"path": "\xff"}'),
    "nul_character": sending(rb'{"path": "/\u0000"}'),
    "number_out_of_range": sending(b'{"path": 9223372036854775808}'),
    "path_too_long": asking(path="/" + "a" * 2 * limits.MAX_PATH_BYTES),
    "principal_not_permitted": asking(principal="spiffe://other.example/x"),
    "revision_not_seen": asking(at_least="0" * 16),
    "service_not_permitted": asking(service="orders"),
    "service_or_host": asking(service=None),
    "too_deep": sending(b"[" * (limits.MAX_JSON_DEPTH + 1)),
    "too_many_attributes": asking(
        context={f"header.x-{n}": None for n in range(limits.MAX_CONTEXT_ATTRIBUTES + 1)}
    ),
    "trailing_data": sending(b"{} {}"),
    "unknown_field": asking(query="x"),
    "unsupported_encoding": sending(b"{}", headers={"content-encoding": "gzip"}),
    "unsupported_media_type": sending(b"{}", headers={"content-type": "text/plain"}),
    "upgrade_refused": sending(b"{}", headers={"upgrade": "websocket"}),
    "wrong_type": asking(path=1),
}
#: Said before the application is reached: these take a socket.
ON_THE_WIRE = {"invalid_http", "head_too_large", "too_slow"}
#: Said to requests that are still waiting when the process ends: tests/adapters/test_app_defects.py.
AT_THE_END = {"ending"}


def test_every_code_is_provoked() -> None:
    assert sorted([*PROVOKED, *ON_THE_WIRE, *AT_THE_END]) == sorted(ROWS)


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


def test_a_forbidden_and_an_unknown_service_are_refused_alike() -> None:
    to = service(ERRORS)

    refused = [
        asking(**about)(to)
        for about in ({"service": "orders"}, {"service": "none"}, {"service": None, "host": "none.example"})
    ]

    assert {(got.status_code, got.content) for got in refused} == {(403, refused[0].content)}


def test_an_edit_with_errors_changes_nothing_and_answers_age() -> None:
    instants = iter(range(NOW, NOW + 1_000_000, 10_000))
    loader = Loader()
    first = loader.load(make_bundle({"a.policy": ERRORS.encode()}), now=NOW).snapshot
    assert first is not None
    publisher = Publisher(loader, first, on_event=lambda _: None, now=NOW)
    to = DecisionService(publisher, clock=lambda: next(instants))
    before = asking()(to).json()

    publisher.offer(make_bundle({"a.policy": b"language 1\nallow everyone\n"}), NOW + 1)
    publisher.confirm(NOW + 2)

    after = asking()(to).json()
    assert {**after, "age_seconds": 0, "decision_id": ""} == {**before, "decision_id": ""}
    assert after["age_seconds"] == 10


def test_every_field_of_a_question_and_an_answer_is_described() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", TEXTS["docs/api.md"], re.MULTILINE))
    components = build_app(service(ERRORS)).openapi()["components"]["schemas"]

    for schema in ("Question", "Answer"):
        assert set(components[schema]["properties"]) <= named


def test_the_endpoints_are_those_of_the_application() -> None:
    listed = set(re.findall(r"^\| `(?:GET|POST) (/\S*)` \|", TEXTS["docs/api.md"], re.MULTILINE))

    assert listed == {route.path for route in build_app(service(ERRORS)).routes}  # type: ignore[attr-defined]


def test_a_region_has_the_fields_that_the_page_on_caching_explains() -> None:
    explained = set(re.findall(r"^\| `(\w+)` \|", TEXTS["docs/caching.md"], re.MULTILINE))

    assert set(Region.__struct_fields__) <= explained
