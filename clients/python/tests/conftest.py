"""Certificates, policies, and the real service."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.e2e.running import Pki, Service, make_policies

# How long a busy machine takes is no finding of a property test.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")

# As README.md says of processes that fork; before grpcio is imported.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    return make_policies(tmp_path / "policies")


@pytest.fixture
def running(pki: Pki, policies: Path) -> Iterator[Service]:
    """A service of the test's own, whose policies it may change."""
    service = Service(pki, policies, "--grpc", "127.0.0.1:0")
    yield service
    service.stop()


@pytest.fixture(scope="module")
def shared(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose policies nobody changes."""
    service = Service(
        pki, make_policies(tmp_path_factory.mktemp("policies") / "set"), "--grpc", "127.0.0.1:0"
    )
    yield service
    assert service.stop() == 0, service.log
