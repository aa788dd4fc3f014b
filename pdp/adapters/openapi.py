"""The OpenAPI document and its page, from the very types that bodies are decoded into."""

from html import escape
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from pdp.adapters.events import RevisionBody
from pdp.adapters.openapi_bounds import refine
from pdp.adapters.reuse import ReuseBody
from pdp.adapters.schemas import Answer, ErrorBody, Question
from pdp.limits import MAX_BATCH_ITEMS

__all__ = ["describe", "page"]


class BatchQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Several questions; each is checked and answered alone, in order."""

    questions: list[Question]


_TEMPLATE: Final = "#/components/schemas/{name}"
_TYPES: Final = (Question, Answer, BatchQuestion, ErrorBody, ReuseBody, RevisionBody)
_BATCH_ANSWER: Final = "BatchAnswer"
_OPERATIONS: Final = {
    "/v1/decide": ("Answer one question. A deny is an answer: 200. Also at `/decide`.", "Question", "Answer"),
    "/v1/decide/batch": (
        "Answer several questions, all under one revision. Also at `/decide/batch`.",
        "BatchQuestion",
        _BATCH_ANSWER,
    ),
}
_PAGES: Final = {
    "/metrics": ("Counts, for callers that the settings name.", "text/plain"),
    "/openapi.json": ("This document.", "application/json"),
    "/docs": ("This document as a page. It loads nothing.", "text/html"),
}
_REVISIONS: Final = "/v1/revisions"
_REUSE: Final = "/v1/reuse"
_STATUSES: Final = {
    "400": "The request, or the question in it, has no meaning; the message says why.",
    "403": "The caller may not ask this. Never a decision.",
    "408": "The request did not arrive in time.",
    "413": "The body is too large.",
    "415": "The body is not `application/json`, or is compressed.",
    "431": "There are too many header lines, or they are too long.",
    "500": "A defect of pdp. Never a decision.",
    "503": "No answer now; see Retry-After.",
}


def describe(app: FastAPI) -> None:
    """Let the application publish this document instead of one without bodies."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, routes=[])
    _, components = msgspec.json.schema_components(_TYPES, ref_template=_TEMPLATE)
    refine(components)
    either = [_reference("Answer"), _reference("ErrorBody")]
    # By hand: msgspec describes no union of objects that only their fields tell apart.
    components[_BATCH_ANSWER] = {
        "title": _BATCH_ANSWER,
        "description": "The answers, in the order of the questions; an error stands where there is none.",
        "type": "object",
        "properties": {"answers": {"type": "array", "maxItems": MAX_BATCH_ITEMS, "items": {"anyOf": either}}},
        "required": ["answers"],
    }
    document["components"] = {
        "schemas": components,
        "securitySchemes": {
            "mutualTLS": {"type": "mutualTLS", "description": "a certificate of a listed caller"}
        },
    }
    document["security"] = [{"mutualTLS": []}]
    document["paths"] = {
        **{path: {"post": _operation(path, *what)} for path, what in _OPERATIONS.items()},
        _REUSE: {"post": _reuse_operation()},
        _REVISIONS: {"get": _revisions_operation()},
        **{path: {"get": _page_operation(path, *what)} for path, what in _PAGES.items()},
    }
    return document


def _operation(path: str, summary: str, question: str, answer: str) -> dict[str, Any]:
    return {
        "summary": summary,
        "operationId": _operation_id(path),
        "requestBody": {"required": True, "content": _content(_reference(question))},
        "responses": {
            "200": {"description": "Answered.", "content": _content(_reference(answer))},
            **_refusals(),
        },
    }


def _reuse_operation() -> dict[str, Any]:
    return {
        "summary": "Report how often answers were used again. The client's word: it decides nothing.",
        "operationId": _operation_id(_REUSE),
        "requestBody": {"required": True, "content": _content(_reference("ReuseBody"))},
        "responses": {"204": {"description": "Taken."}, **_refusals()},
    }


def _revisions_operation() -> dict[str, Any]:
    """A stream has no schema of its own in OpenAPI 3.1: that of each event's data is named instead."""
    summary = "The revision that is served, and each new one, as server-sent events."
    events = {
        "description": "Events `revision`; the data of each is a `RevisionBody`. Comments are heartbeats."
    }
    return {
        "summary": summary,
        "operationId": _operation_id(_REVISIONS),
        "responses": {
            "200": {**events, "content": {"text/event-stream": {"schema": {"type": "string"}}}},
            **_refusals(without_body=True),
        },
    }


def _refusals(*, without_body: bool = False) -> dict[str, Any]:
    """Every status that is no answer. Where no body is read, none is of the wrong kind."""
    return {
        status: _refusal(status, text)
        for status, text in _STATUSES.items()
        if not (without_body and status == "415")
    }


def _refusal(status: str, text: str) -> dict[str, Any]:
    refusal = {"description": text, "content": _content(_reference("ErrorBody"))}
    if status == "503":
        seconds = {"type": "integer", "minimum": 0}
        retry = {"description": "Seconds after which to ask again.", "required": True, "schema": seconds}
        refusal["headers"] = {"Retry-After": retry}
    return refusal


def _page_operation(path: str, summary: str, media_type: str) -> dict[str, Any]:
    return {
        "summary": summary,
        "operationId": _operation_id(path),
        "responses": {
            "200": {"description": summary, "content": {media_type: {}}},
            **_refusals(without_body=True),
        },
    }


def _operation_id(path: str) -> str:
    return path.strip("/").replace("/", "_").replace(".", "_")


def _reference(name: str) -> dict[str, str]:
    return {"$ref": _TEMPLATE.format(name=name)}


def _content(schema: dict[str, str]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def page(document: dict[str, Any]) -> str:
    """The document as a page that loads nothing from anywhere."""
    parts = [f"<h1>{escape(document['info']['title'])} {escape(document['info']['version'])}</h1>"]
    parts.append('<p>The document for programs is at <a href="/openapi.json">/openapi.json</a>.</p>')
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts.append(
                f"<h2>{escape(method.upper())} {escape(path)}</h2><p>{escape(operation['summary'])}</p>"
            )
            rows = (
                f"<tr><td>{escape(status)}</td><td>{escape(answer['description'])}</td></tr>"
                for status, answer in operation["responses"].items()
            )
            parts.append(f"<table>{''.join(rows)}</table>")
    for name, schema in document["components"]["schemas"].items():
        parts.append(
            f'<h3 id="{escape(name)}">{escape(name)}</h3><p>{escape(schema.get("description", ""))}</p>'
        )
        parts.append(
            f"<pre>{escape(msgspec.json.format(msgspec.json.encode(schema), indent=2).decode())}</pre>"
        )
    style = "body{font:1rem/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}pre{overflow:auto}"
    title = escape(document["info"]["title"])
    head = f'<meta charset="utf-8"><title>{title} API</title><style>{style}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>'
