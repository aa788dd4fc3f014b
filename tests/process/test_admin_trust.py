"""By what those who administer are verified: measured while it is wrong, and told before it ends."""

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pdp.adapters.tls import ServerTls, read_credential
from pdp.config.model import IdentitySettings
from pdp.config.quarantine import AdminSettings
from pdp.counters import Counters
from pdp.identity.trust import load_trust
from pdp.process.administering import follow_admins
from pdp.service.metrics import Metrics
from tests.e2e.running import Pki, until
from tests.e2e.trusting import replace
from tests.identity.mint import Party, authority
from tests.identity.revoking import crl_pem

OPS = "ops.example.org"
ROOT, CRL = "root of those who administer", "crl of those who administer"
SOON = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
LATE = SOON + timedelta(days=300)
BEGUN = SOON - timedelta(days=10)


def root(end: datetime) -> Party:
    return authority("ops root", uris=[f"spiffe://{OPS}"], start=BEGUN, end=end)


class World:
    """Files, and what is told and measured of them."""

    def __init__(self, folder: Path) -> None:
        self.roots, self.crls = folder / "ops.pem", folder / "ops.crl"
        self.party = root(LATE)
        self.roots.write_bytes(self.party.pem)
        self.crls.write_bytes(crl_pem(self.party, start=BEGUN, end=LATE - timedelta(days=1)))
        self.said: list[str] = []
        self.metrics = Metrics(Counters())
        self.settings = IdentitySettings(
            admin=AdminSettings(listen="127.0.0.1:0", trust={OPS: self.roots}), crls={OPS: self.crls}
        )
        (folder / "pki").mkdir()
        pki = Pki(folder / "pki")
        pki.issue("server", lives=(-86_400, 600), dns=["localhost"])  # whose end others tell of
        credential = read_credential(pki.folder / "server.pem", pki.folder / "server-key.pem")
        self.tls = ServerTls(credential, load_trust({OPS: self.roots}, crls={OPS: self.crls}))

    def follow(self) -> ExitStack:
        return follow_admins(self.settings, self.tls, self.metrics, self.said.append)

    @property
    def ends(self) -> dict[str, float]:
        return {what: at / 1000 for what, at in self.metrics.counts().admin_ends.items()}

    def counted(self) -> tuple[int, int, bool]:
        counts = self.metrics.counts()
        found = counts.renewals
        return (
            found["admin_trust", "accepted"],
            found["admin_trust", "rejected"],
            counts.refused_files["admin_trust"],
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_files_that_are_not_in_force_are_measured_until_they_are(world: World) -> None:
    with world.follow():
        assert world.counted() == (0, 0, False)

        replace(world.roots, b"no certificate")
        until(lambda: world.counted() == (0, 1, True))

        replace(world.roots, root(LATE).pem + world.party.pem)
        until(lambda: world.counted() == (1, 1, False))


def test_the_first_end_is_measured_and_told_ahead(world: World) -> None:
    with world.follow():
        assert world.ends == {ROOT: LATE.timestamp(), CRL: (LATE - timedelta(days=1)).timestamp()}
        assert world.said == []

        replace(world.roots, world.party.pem + root(SOON).pem)
        until(lambda: world.ends[ROOT] == SOON.timestamp())

        until(lambda: any(f"of `{OPS}` ends at {SOON:%Y-%m-%dT%H:%M:%SZ}" in said for said in world.said))
    (warning,) = [said for said in world.said if said.startswith("warning: ")]
    assert warning.startswith("warning: for those who administer, the root `CN=ops root`")


def test_a_list_that_ends_is_told_and_where_there_is_none_nothing_is_measured(world: World) -> None:
    world.crls.write_bytes(crl_pem(world.party, start=BEGUN, end=SOON))
    world.tls.replace_trust(load_trust({OPS: world.roots}, crls={OPS: world.crls}))
    with world.follow():
        assert world.ends[CRL] == SOON.timestamp()
        until(lambda: any("for those who administer, the revocation list of" in said for said in world.said))

    world.settings = world.settings.model_copy(update={"crls": {}})
    world.tls.replace_trust(load_trust({OPS: world.roots}))
    with world.follow():
        assert world.ends == {ROOT: LATE.timestamp()}
