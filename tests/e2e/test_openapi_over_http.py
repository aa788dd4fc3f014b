"""The interface's own description: true to the routes, and loading nothing from anywhere."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.e2e.running import Service, ask, question

ALIASES = {"/decide": "/v1/decide", "/decide/batch": "/v1/decide/batch"}


@pytest.fixture(scope="module")
def document(shared: Service) -> dict[str, Any]:
    reply = shared.send(b"", path="/openapi.json", method="GET")
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    found: dict[str, Any] = reply.json
    return found


def walk(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, dict):
        return [node, *(found for value in node.values() for found in walk(value))]
    return [found for item in node for found in walk(item)] if isinstance(node, list) else []


def test_document_has_the_structure_of_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "pdp"
    assert re.fullmatch(r"\d+\.\d+\.\d+", document["info"]["version"])
    operations = [op for item in document["paths"].values() for op in item.values()]
    assert len({op["operationId"] for op in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"]
        assert {"200", "204"} & operation["responses"].keys()
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[2345]\d\d", status)
            assert response["description"]
            assert ("content" in response) is (status != "204")
            assert all("schema" in media or status == "200" for media in response.get("content", {}).values())


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = [node["$ref"] for node in walk(document) if "$ref" in node]
    assert references
    for reference in references:
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_every_route_is_described_and_every_description_has_a_route(
    document: dict[str, Any], shared: Service
) -> None:
    from pdp.adapters.app import build_app  # noqa: PLC0415 - to list routes; it answers nothing here

    app = build_app(None)  # type: ignore[arg-type]
    routes = {(route.path, method.lower()) for route in app.routes for method in route.methods}  # type: ignore[attr-defined]
    described = {(path, method) for path, item in document["paths"].items() for method in item}

    assert described == {(path, method) for path, method in routes if path not in ALIASES}
    for alias, path in ALIASES.items():
        assert (alias, "post") in routes
        assert f"`{alias}`" in document["paths"][path]["post"]["summary"]
    for path, method in described:
        assert status_of(shared, path, method.upper()) != 404


def status_of(service: Service, path: str, method: str) -> int:
    """The status alone: the body of `/v1/revisions` has no end."""
    connection = service.connect()
    try:
        connection.request(method, path, b"", {"content-type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


def test_schemas_fit_what_is_sent_and_received(document: dict[str, Any], shared: Service) -> None:
    schemas = document["components"]["schemas"]
    answer = ask(shared, explain=True).json

    assert set(answer) <= set(schemas["Answer"]["properties"])
    assert set(schemas["Answer"]["required"]) <= set(answer)
    assert set(question()) <= set(schemas["Question"]["properties"])
    assert set(schemas["Question"]["required"]) == {"principal", "method", "path"}
    assert schemas["Question"]["additionalProperties"] is False
    assert set(answer["region"]) == set(schemas["RegionBody"]["required"])
    assert set(schemas["RegionBody"]["properties"]) - set(answer["region"]) == {"evidence"}
    assert schemas["BatchAnswer"]["properties"]["answers"]["type"] == "array"
    refused = ask(shared, path=...)
    assert set(refused.json) == set(schemas["ErrorBody"]["properties"])


def test_mutual_tls_is_stated(document: dict[str, Any]) -> None:
    assert document["security"] == [{"mutualTLS": []}]
    assert document["components"]["securitySchemes"]["mutualTLS"]["type"] == "mutualTLS"


class Loads(HTMLParser):
    """Everything that a page makes a browser fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {
            "script",
            "link",
            "img",
            "iframe",
            "object",
            "embed",
            "base",
            "form",
            "video",
            "audio",
            "svg",
        }:
            self.found.append(tag)
        self.found += [
            f"{tag} {name}={value}"
            for name, value in attrs
            if name in {"src", "srcset", "action", "style"} or name.startswith("on")
            or (name == "href" and not (value or "").startswith(("/", "#")))
        ]  # fmt: skip


def test_page_loads_nothing(shared: Service) -> None:
    reply = shared.send(b"", path="/docs", method="GET")
    page = Loads()
    page.feed(reply.body.decode())

    assert reply.status == 200
    assert page.found == []
    assert b"url(" not in reply.body
    assert b"@import" not in reply.body
    assert reply.headers["content-security-policy"].startswith("default-src 'none'")
    assert b"/v1/decide/batch" in reply.body
