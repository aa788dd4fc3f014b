"""The documents show what is so: their examples are answered as shown, their tables are complete.

Examples are run against the application in this process. What the pages name is the business of
`test_names.py`, what they say of errors that of `test_errors.py`.
"""

import json
import re

import pytest

from pdp.adapters.app import build_app
from pdp.principals import spiffe_principal
from pdp.service.decision_service import DecisionService
from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from pdp.store.publish import Publisher
from pdp.vocabulary import Excluding, Region, Request
from tests.docs.application import ERRORS, asking, post, service
from tests.docs.pages import TEXTS
from tests.docs.sets import NOW, Block, blocks
from tests.property.compiled import contains


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
