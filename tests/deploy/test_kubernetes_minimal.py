"""The thirty lines with which people try it: as the manifests for production, and what they run answers."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.kubernetes import MINIMAL, Manifests, asked, certificates
from tests.e2e.running import Pki, Service

SHORT, LONG = Manifests(MINIMAL), Manifests()


def test_it_has_thirty_lines() -> None:
    lines = [line for line in MINIMAL.read_text().splitlines() if not line.startswith(("#", "---"))]

    assert len(lines) <= 30


def test_it_selects_its_own_pods_and_runs_the_image_that_production_runs() -> None:
    deployment = SHORT.one("Deployment")
    (image,) = LONG.kustomization["images"]

    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert SHORT.container["image"] == f"{image['newName']}:{image['newTag']}"
    assert SHORT.pod["securityContext"].items() <= LONG.pod["securityContext"].items()


def test_probes_ask_what_production_asks() -> None:
    for probe in ("livenessProbe", "readinessProbe"):
        ours, theirs = (each.container[probe]["httpGet"] for each in (SHORT, LONG))

        assert ours["path"] == theirs["path"]
        assert ours["port"] == LONG.ports()[theirs["port"]]
        assert f"--health=0.0.0.0:{ours['port']}" in SHORT.container["args"]


@pytest.fixture
def service(tmp_path: Path, pki: Pki) -> Iterator[Service]:
    """What its container runs, with its volumes in a directory."""
    arguments = " ".join(SHORT.container["args"])
    for path, place in SHORT.mounts(tmp_path, certificates(pki)).items():
        arguments = arguments.replace(path, str(place))
    arguments = re.sub(r"0\.0\.0\.0:\d+", "127.0.0.1:0", arguments)
    running = Service(pki, tmp_path, command=[sys.executable, "-m", "pdp.cli.main", *arguments.split()])
    yield running
    running.stop()


def test_what_it_runs_answers(service: Service) -> None:
    assert service.send(asked(), caller="proxy").json["decision"] == "allow"
    assert service.send({**asked(), "method": "GET"}, caller="proxy").json["decision"] == "deny"
