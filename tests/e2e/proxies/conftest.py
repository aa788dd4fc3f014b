"""One proxy for all tests of a file, with everything before and behind it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.local_calls import short_folder
from tests.e2e.proxies.edges import Edge, issue_for
from tests.e2e.proxies.samples import Sample, sample_params
from tests.e2e.running import Pki


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    made = Pki(tmp_path_factory.mktemp("pki"))
    issue_for(made)
    return made


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as made:
        yield made


@pytest.fixture(scope="module", params=sample_params())
def edge(request: pytest.FixtureRequest, pki: Pki) -> Iterator[Edge]:
    sample: Sample = request.param
    with short_folder() as made, Edge(sample, pki, made, getattr(request.module, "MORE", "")) as running:
        yield running
        assert running.upstream.take() == [], "something arrived that no test has asked for"
