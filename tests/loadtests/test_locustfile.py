"""Traffic of the shop against the real service, over mutual TLS: every decision is the one that was meant."""

import csv
import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.running import PROD, Pki, Service

ROOT = Path(__file__).parents[2]
LOCUSTFILE = ROOT / "loadtests" / "locustfile.py"


def run(service: Service, pki: Pki, folder: Path, caller: str) -> "subprocess.CompletedProcess[str]":
    """Eight users for five seconds, without a page to look at."""
    command = [
        sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--host", f"https://127.0.0.1:{service.port}",
        "--headless", "--users", "8", "--spawn-rate", "8", "--run-time", "5s", "--only-summary",
        "--csv", str(folder / "found"),
    ]  # fmt: skip
    told = {
        "PDP_CERT": str(pki.folder / f"{caller}.pem"),
        "PDP_KEY": str(pki.folder / f"{caller}-key.pem"),
        "PDP_CA": str(pki.folder / "prod.pem"),
    }
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def totals(folder: Path) -> dict[str, str]:
    with (folder / "found_stats.csv").open(encoding="utf-8") as file:
        return next(row for row in csv.DictReader(file) if row["Name"] == "Aggregated")


def test_the_shop_gets_the_decisions_that_its_policies_mean(tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    pki.issue("demo-pep", uris=[f"spiffe://{PROD}/ns/pdp/sa/demo-pep"])
    pki.issue("cart", uris=[f"spiffe://{PROD}/ns/boutique/sa/cartservice"])
    service = Service(pki, ROOT / "policies")
    try:
        good = run(service, pki, tmp_path, "demo-pep")
        found = totals(tmp_path)

        assert good.returncode == 0, good.stdout + good.stderr
        assert int(found["Request Count"]) > 50
        assert found["Failure Count"] == "0"

        # A caller that may ask about one service only shows that what goes wrong is told.
        bad = run(service, pki, tmp_path, "cart")
        found = totals(tmp_path)

        assert bad.returncode == 1, bad.stdout + bad.stderr
        assert 0 < int(found["Failure Count"]) <= int(found["Request Count"])
    finally:
        service.stop()
