"""The OpenAPI document and its page, from the very types that bodies are decoded into."""

from html import escape
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from pdp.adapters.answering import BatchAnswer
from pdp.adapters.schemas import Answer, ErrorBody, Question

__all__ = ["describe", "page"]


class _BatchBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Several questions; each is checked and answered alone, in order."""

    questions: list[Question]


_TEMPLATE: Final = "#/components/schemas/{name}"
_TYPES: Final = (Question, Answer, _BatchBody, BatchAnswer, ErrorBody)
_OPERATIONS: Final = {
    "/v1/decide": ("Answer one question. A deny is an answer: 200.", Question, Answer),
    "/v1/decide/batch": ("Answer several questions, all under one revision.", _BatchBody, BatchAnswer),
}
_STATUSES: Final = {
    "400": "The question has no meaning; the message says why.",
    "403": "The caller may not ask this. Never a decision.",
    "413": "The body is too large.",
    "415": "The body is not `application/json`, or is compressed.",
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
    references, components = msgspec.json.schema_components(_TYPES, ref_template=_TEMPLATE)
    schema = dict(zip(_TYPES, references, strict=True))
    document["components"] = {
        "schemas": components,
        "securitySchemes": {
            "mutualTLS": {"type": "mutualTLS", "description": "a certificate of a listed caller"}
        },
    }
    document["security"] = [{"mutualTLS": []}]
    document["paths"] = {
        path: {
            "post": {
                "summary": summary,
                "operationId": path.strip("/").replace("/", "_"),
                "requestBody": {"required": True, "content": _content(schema[question])},
                "responses": {
                    "200": {"description": "Answered.", "content": _content(schema[answer])},
                    **{
                        status: {"description": text, "content": _content(schema[ErrorBody])}
                        for status, text in _STATUSES.items()
                    },
                },
            }
        }
        for path, (summary, question, answer) in _OPERATIONS.items()
    }
    return document


def _content(schema: dict[str, Any]) -> dict[str, Any]:
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
