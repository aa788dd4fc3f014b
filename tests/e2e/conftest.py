"""Certificates, and one service that all tests of a file share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.running import Pki, Service, make_policies


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def shared(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose policies nobody changes."""
    service = Service(pki, make_policies(tmp_path_factory.mktemp("policies") / "set"))
    yield service
    assert service.stop() == 0, service.log


@pytest.fixture(scope="session")
def shared_without_direct(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The same, where no request takes the short way."""
    service = Service(pki, make_policies(tmp_path_factory.mktemp("policies") / "set"), direct=False)
    yield service
    assert service.stop() == 0, service.log


@pytest.fixture
def service(shared: Service) -> Iterator[Service]:
    """The shared service; after each test it answers as before, and no traceback is in its log."""
    mark = shared.mark()
    yield shared
    shared.assert_still_answers(mark)


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    return make_policies(tmp_path / "policies")
