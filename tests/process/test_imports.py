"""What a service has imported when it begins to answer: libraries take longer than a kept form is read."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: What is imported once it is used, or once there is time.
LATE = ("grpc", "google", "envoy", "lark", "fastapi", "prometheus_client", "rich", "spiffe")


def imported(*modules: str) -> set[str]:
    """All that is imported with these."""
    code = f"import sys, {', '.join(modules)}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("way", ["alone", "together"])
def test_a_service_begins_without_what_it_may_never_need(way: str) -> None:
    found = imported("pdp.cli.serve", "pdp.cli.serving", f"pdp.process.{way}")

    assert f"pdp.process.{way}" in found
    assert found.isdisjoint(LATE), found.intersection(LATE)


def test_a_service_begins_without_the_compiler() -> None:
    """A kept form is answered from before anything is compiled."""
    found = imported("pdp.process.alone", "pdp.process.kept")

    assert found.isdisjoint(
        {"pdp.store.compilation", "pdp.lang.parser", "pdp.analysis", "pdp.compiler.lower"}
    )


def test_workers_share_what_they_import_late() -> None:
    assert {"fastapi", "prometheus_client"} <= imported("pdp.process.fork_server")
