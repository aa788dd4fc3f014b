"""Every path of the corpus, raw, through each proxy: nothing that is denied is served under any reading.

What the upstream received is read as all kinds of backends would read it, and the reference interpreter
says of each reading whether the policy denies it. That these tests can fail is shown by
`test_planted_mistakes.py`.
"""

import re

import pytest

from tests.e2e.proxies.client import HOST, get
from tests.e2e.proxies.corpus import FOLDING, MORE, Crossing, bypasses, cross, cross_over_http2
from tests.e2e.proxies.edges import Edge
from tests.e2e.proxies.over_http2 import ask
from tests.e2e.running import until

__all__ = ["MORE"]


def _was_asked_about(edge: Edge, crossed: list[Crossing]) -> None:
    until(lambda: {one.decision for one in crossed} <= edge.asked().keys())
    asked = edge.asked()
    for one in crossed:
        assert one.arrived.partition(b"?")[0].decode("ascii") == asked[one.decision]["path"]


@pytest.fixture(scope="module")
def crossed(edge: Edge) -> list[Crossing]:
    return cross(edge)


def test_no_path_of_the_corpus_gets_past_a_deny(edge: Edge, crossed: list[Crossing]) -> None:
    assert bypasses(edge, crossed) == {}
    assert len(crossed) > 50
    assert b"/v1/charges/41" in {one.arrived for one in crossed}


def test_nor_where_the_backend_ignores_the_case_of_letters(edge: Edge) -> None:
    crossed = cross(edge, FOLDING)

    assert bypasses(edge, crossed, "folding") == {}
    assert len(crossed) > 50
    edge.allowed("/Charges", host=FOLDING)
    edge.refused("/ADMIN/users", host=FOLDING)


def test_nor_over_http_2(edge: Edge) -> None:
    """Nor is anything smuggled by a path with line breaks: each arrival has a decision of its own."""
    over = cross_over_http2(edge)

    assert bypasses(edge, over) == {}
    assert len(over) > 50
    _was_asked_about(edge, over)


def test_no_byte_arrives_that_the_pdp_was_not_told(edge: Edge) -> None:
    """Over HTTP/2 a path may hold any. Envoy tells `!` for those that are not UTF-8."""
    edge.upstream.take()
    for path in (b"/a\xff", b"/admin\xff", b"/a\xc0\xaf", b"/caf\xc3\xa9", b"/a\x80b?c"):
        ask(edge.pki, edge.places.listen, path)
    arrived = [one.target for one in edge.upstream.take()]

    assert [target for target in arrived if not target.isascii()] == []
    assert edge.get("/a!")[0].status == (403 if edge.sample.name == "envoy-http" else 200)


def test_what_arrives_is_what_the_pdp_was_asked_about(edge: Edge, crossed: list[Crossing]) -> None:
    """By the decision's own line in the log of the PDP, which leaves out queries.

    With nginx a line break ends the request line, as in HTTP/0.9; Traefik writes `&` for `;` in a query.
    """
    _was_asked_about(edge, crossed)

    for one in crossed:
        query = re.split(rb"[\r\n]", one.sent)[0].partition(b"?")[2]
        assert one.arrived.partition(b"?")[2].replace(b";", b"&") == query.replace(b";", b"&")


def test_a_target_with_a_host_in_it_is_that_of_the_path(edge: Edge) -> None:
    """In the absolute form, as to a proxy: if it arrives at all, what arrives was asked about."""
    for target in (
        f"https://{HOST}/admin/users",
        f"http://{HOST}/admin/users",
        "https://elsewhere.example.com/a",
    ):
        _, arrived = edge.send(get(target))
        assert arrived == []


def test_a_host_that_is_none_of_a_service_is_denied(edge: Edge) -> None:
    for host in ("elsewhere.example.com", "localhost", "127.0.0.1", f"{HOST}.example.com"):
        edge.refused(host=host)


def test_two_hosts_are_not_one_of_them(edge: Edge) -> None:
    for first, second in ((HOST, FOLDING), (FOLDING, HOST)):
        answer, arrived = edge.get("/Admin/users", f"host: {second}", host=first)
        assert answer.status != 200
        assert arrived == []
