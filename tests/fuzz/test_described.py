"""The service does what its OpenAPI document says, for requests made from that document."""

from collections.abc import Iterator

import pytest
from schemathesis import GenerationMode

from tests.e2e.running import Pki, Service, make_policies
from tests.fuzz.described import Described

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SEED = 1
POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
EXAMPLES = {
    ("/v1/decide", POSITIVE): 150,
    ("/v1/decide", NEGATIVE): 80,
    ("/v1/decide/batch", POSITIVE): 60,
    ("/v1/decide/batch", NEGATIVE): 40,
    ("/v1/reuse", POSITIVE): 40,
    ("/v1/reuse", NEGATIVE): 40,
}


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Described]:
    folder = tmp_path_factory.mktemp("described")
    (folder / "pki").mkdir()
    service = Service(Pki(folder / "pki"), make_policies(folder / "policies"))
    try:
        yield Described(service)
        service.assert_still_answers()
    finally:
        assert service.stop() == 0, service.log


@pytest.mark.parametrize("mode", [POSITIVE, NEGATIVE], ids=["allowed", "forbidden"])
@pytest.mark.parametrize(
    "path",
    ["/v1/decide", "/v1/decide/batch", "/v1/reuse", "/v1/revisions", "/metrics", "/openapi.json", "/docs"],
)
def test_answers_are_what_the_document_says(described: Described, path: str, mode: GenerationMode) -> None:
    (operation,) = [each for each in described.operations() if each.path == path]

    described.check(operation, mode, examples=EXAMPLES.get((path, mode), 0), number=SEED)


def test_every_operation_was_tried_in_earnest(described: Described) -> None:
    """Else the tests above would pass by asking next to nothing."""
    if not described.seen:
        pytest.skip("runs after the others")
    answered = {
        (path, mode) for path, mode, status, code in described.seen if status in {200, 204} and not code
    }
    refused = {code for path, mode, _, code in described.seen if mode == NEGATIVE.value}

    assert {path for path, *_ in described.seen} > {each.path for each in described.operations()}
    assert {
        (path, POSITIVE.value) for path in ("/v1/decide", "/v1/decide/batch", "/v1/reuse", "/v1/revisions")
    } <= answered
    assert refused >= {"wrong_type", "missing_field", "unknown_field", "nul_character", "not_utf8"}
