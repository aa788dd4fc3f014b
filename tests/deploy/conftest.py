"""Certificates for the names that the files in `deploy` have."""

import pytest

from tests.e2e.running import PROD, Pki


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    made = Pki(tmp_path_factory.mktemp("pki"))
    made.issue("proxy", uris=[f"spiffe://{PROD}/ns/shop/sa/payments"])
    made.issue("prometheus", uris=[f"spiffe://{PROD}/ns/monitoring/sa/prometheus"])
    made.issue("renewed", uris=[f"spiffe://{PROD}/ns/pdp/sa/pdp"], dns=["localhost"], ips=["127.0.0.1"])
    return made
