"""What is handed to workers arrives as it was."""

import gc
import os
from pathlib import Path

import pytest

from pdp.adapters.tls import ServerTls, read_credential
from pdp.config.model import Settings
from pdp.identity.crl import RevocationList
from pdp.identity.quarantine.lists import read_quarantine, write_quarantine
from pdp.identity.revocation import is_of
from pdp.identity.tokens.issuer import TokenTrust
from pdp.identity.trust import DNS, TrustStore
from pdp.process.parcel import (
    Believed,
    _pack,
    pack_settings,
    pack_trust,
    renew_trust,
    unpack_settings,
    unpack_trust,
)
from tests.e2e.running import PROD, Pki
from tests.identity.mint import authority, leaf
from tests.identity.revoking import crl

CALLER = "spiffe://prod.example.org/ns/bench/sa/pep"


@pytest.mark.parametrize(
    "given",
    [
        {"http": {"listen": "unix:/x/s.sock", "plaintext": True}, "local": {"caller": CALLER}},
        {"process": {"workers": 3}, "limits": {"in_flight": 7}, "drain": {"grace_seconds": 0}},
    ],
)
def test_settings_arrive_as_they_were(given: dict[str, object]) -> None:
    settings = Settings.model_validate({"policies": {"path": "policies"}, **given})

    file = pack_settings(settings)

    assert unpack_settings(file) == settings
    os.close(file)


def test_what_cannot_be_packed_leaves_no_file_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))

    with pytest.raises(TypeError):
        _pack(object())

    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_trust_arrives_with_its_roots_of_machines_and_its_revocation_lists(tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    machines = authority("machines")
    web = leaf(pki.root)
    trusts = [
        TrustStore(
            domains={PROD: (pki.root.certificate,)},
            dns=(machines.certificate,),
            crls={PROD: lists, DNS: (crl(machines),)},
        )
        for lists in ((crl(pki.root),), (crl(pki.root, web), crl(machines, web)))
    ]
    credential = read_credential(tmp_path / "server.pem", tmp_path / "server-key.pem")
    tls, believed = (
        ServerTls(credential, trusts[0]),
        Believed(TokenTrust(), read_quarantine(write_quarantine([]))),
    )
    first = pack_trust(tls, believed)
    tls.replace_trust(trusts[1])
    second = pack_trust(tls, believed)

    arrived, _ = unpack_trust(first)
    assert arrived is not None
    assert arrived.trust() == trusts[0]
    renew_trust(arrived, second)
    assert arrived.trust() == trusts[1]
    assert [each.revoked for each in arrived.trust().crls[PROD]] == [{web.certificate.serial_number}] * 2
    for file in (first, second):
        os.close(file)


def held_lists() -> set[str]:
    """The fingerprints of the revocation lists in memory."""
    gc.collect()
    return {each.fingerprint for each in gc.get_objects() if isinstance(each, RevocationList)}


def test_a_list_that_stays_is_not_read_again_and_one_that_is_superseded_is_held_no_longer(
    tmp_path: Path,
) -> None:
    pki = Pki(tmp_path)
    credential = read_credential(tmp_path / "server.pem", tmp_path / "server-key.pem")
    roots = {PROD: (pki.root.certificate,), "partner.example.net": (pki.partner_root.certificate,)}
    partners = crl(pki.partner_root)
    believed = Believed(TokenTrust(), read_quarantine(write_quarantine([])))
    files, superseded = [], ""
    for number in range(3):
        one = crl(pki.root, leaf(pki.root))
        assert is_of(one, pki.root.certificate)
        trust = TrustStore(domains=roots, crls={PROD: (one,), "partner.example.net": (partners,)})
        files.append(pack_trust(ServerTls(credential, trust), believed))
        superseded = superseded if number else one.fingerprint
        del one, trust

    arrived, _ = unpack_trust(files[0])
    assert arrived is not None
    (same,) = arrived.trust().crls["partner.example.net"]
    for each in arrived.trust().crls[PROD]:
        assert is_of(each, pki.root.certificate)
    assert superseded in held_lists()
    del each
    for file in files[1:]:
        renew_trust(arrived, file)

    assert superseded not in held_lists()
    assert arrived.trust().crls["partner.example.net"][0] is same
    for file in files:
        os.close(file)
