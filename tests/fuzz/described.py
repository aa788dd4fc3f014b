"""The running service held against its own OpenAPI document, over mTLS.

For every operation of the document schemathesis makes requests that it allows and requests that it
forbids. What is allowed is answered, or refused for a reason that lies in the policy set; what is
forbidden is refused; and every answer is as the document says: its status, type, headers and body.
"""

import json
from collections import Counter
from typing import Any, Final

import jsonschema_rs
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.e2e.running import ALICE, DEADLINE, WEB, Service

__all__ = ["DESCRIBED", "Described"]

#: Names these checks where targets are named.
DESCRIBED: Final = "openapi"
_CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
_WITHOUT_BODY: Final = 3  # requests: one is like the other
#: Why a question that the document allows may be refused: what the policy set says, and what no pattern does.
_BY_POLICY: Final = {
    "service_not_permitted", "principal_not_permitted", "attributes_not_permitted", "claims_not_permitted",
    "explain_not_permitted", "metrics_not_permitted", "attribute_type", "invalid_host", "conflicting_hosts",
    "revision_not_seen", "evidence_not_permitted", "evidence_refused",
}  # fmt: skip
#: Parts of questions about which something is known; drawn values would nearly always be about nothing.
_KNOWN: Final = (
    {},
    {"principal": WEB, "service": "web.shop", "host": None},
    {"principal": {"spiffe": ALICE}, "service": None, "host": "WEB.shop.example.com:443", "method": "GET"},
    {
        "principal": WEB,
        "service": "web.shop",
        "host": None,
        "method": "GET",
        "path": "/v1/items/7?q",
        "user": None,
    },
    {"principal": WEB, "service": "pay.shop", "host": None, "method": "GET", "context": {}, "user": None},
    {"principal": {"anonymous": True}, "service": "web.shop", "host": None, "explain": True, "user": None},
)


def _first_event(response: requests.Response, *_: Any, **__: Any) -> requests.Response:
    """Of a stream that has no end, what comes until the first event is whole."""
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        content = b""
        for piece in response.iter_content(1):
            content += piece
            if content.endswith(b"\n\n"):
                break
        response.close()
        # requests has no other way to say that this is all of it.
        response._content, response._content_consumed = content, True  # type: ignore[attr-defined]
    return response


class Described:
    """A service, and the document that it publishes."""

    def __init__(self, service: Service, caller: str = "pep") -> None:
        reply = service.send(b"", path="/openapi.json", method="GET")
        self._service = service
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.hooks["response"].append(_first_event)
        folder = service.pki.folder
        self._tls = {
            "verify": str(folder / "prod.pem"),
            "cert": (str(folder / f"{caller}.pem"), str(folder / f"{caller}-key.pem")),
        }
        self._revision = ""
        self._schema = schemathesis.openapi.from_dict(reply.json)
        question = {"$ref": "#/components/schemas/Question", "components": reply.json["components"]}
        self._question = jsonschema_rs.validator_for(question)
        #: How requests came out: operation, mode, status, and code of the error.
        self.seen: Counter[tuple[str, str, int, str]] = Counter()

    def operations(self) -> list[APIOperation]:
        """Everything the document describes."""
        return [result.ok() for result in self._schema.get_all_operations()]

    def check(self, operation: APIOperation, mode: GenerationMode, *, examples: int, number: int) -> None:
        """Try an operation with requests of one kind.

        Raises:
            Exception: An answer was not as the document says.
        """
        if not operation.body:
            if mode is GenerationMode.NEGATIVE:
                return  # nothing in it could be forbidden
            examples = _WITHOUT_BODY
        cases = operation.as_strategy(generation_mode=mode)

        @seed(number)
        @settings(
            max_examples=examples, database=None, deadline=None, suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
        )  # fmt: skip
        @given(case=cases, known=st.lists(st.sampled_from(_KNOWN), min_size=1, max_size=8))
        def one(case: Case, known: list[dict[str, Any]]) -> None:
            if mode is GenerationMode.POSITIVE:
                case.body = self._about_something(case.body, known)
            self._one(case, mode)

        one()

    def _about_something(self, body: Any, known: list[dict[str, Any]]) -> Any:
        """The body with some of its questions about what the policy set knows. It stays valid."""
        if not isinstance(body, dict):
            return body
        if "reused" in body:  # to a schema 1.0 is an integer; it is not written so
            return {"reused": [{**item, "times": int(item["times"])} for item in body["reused"]]}
        if "questions" in body:
            asked = [self._of(each, known[at % len(known)]) for at, each in enumerate(body["questions"])]
            return {**body, "questions": asked}
        return self._of(body, known[0])

    def _of(self, question: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
        # Revisions that nobody has seen are waited for, each a second.
        seen = {"at_least": self._revision or None} if question.get("at_least") is not None else {}
        return {**question, **known, **seen}

    def _one(self, case: Case, mode: GenerationMode) -> None:
        base = f"https://127.0.0.1:{self._service.port}"
        response = case.call(base_url=base, session=self._session, timeout=DEADLINE, **self._tls)
        body = _json(response.content)
        code = _code(body)
        self.seen[case.operation.path, mode.value, response.status_code, code] += 1
        checks = [*_CHECKS]
        batch = case.operation.path.endswith("/batch")
        if mode is GenerationMode.NEGATIVE and not batch:
            checks.append(negative_data_rejection)
        case.validate_response(response, checks=checks)
        asked = f"of the {mode.value} request {str(case.body)[:3000]}: {body}"
        if response.status_code == 204:
            assert mode is GenerationMode.POSITIVE, f"forbidden, and taken, {asked}"
        elif response.status_code != 200:
            assert set(body) == {"error"}, f"an error is an error and nothing else, {asked}"
            assert mode is GenerationMode.NEGATIVE or code in _BY_POLICY, (
                f"allowed, and refused: {code}, {asked}"
            )
        elif batch:
            self._require_each(case.body, body["answers"], mode)
        elif isinstance(body, dict) and "decision" in body:
            assert mode is GenerationMode.POSITIVE, f"forbidden, and answered, {asked}"
            self._revision = body["revision"]

    def _require_each(self, body: Any, answers: list[dict[str, Any]], mode: GenerationMode) -> None:
        """Of a batch: an answer or an error for each, and an answer to nothing that is no question."""
        for question, answer in zip(body["questions"], answers, strict=True):
            code = _code(answer)
            self.seen["an item of a batch", mode.value, 200, code] += 1
            if self._question.is_valid(question):
                assert not code or code in _BY_POLICY, f"allowed, and refused: {code}, {question}"
            else:
                assert code, f"forbidden, and answered: {question}"


def _code(body: Any) -> str:
    """The code of an error, or nothing."""
    return str(body["error"]["code"]) if isinstance(body, dict) and "error" in body else ""


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None
