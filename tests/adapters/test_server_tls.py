"""What handshakes begin with, and who is told when it changes; also where OpenSSL does not play along."""

import ssl
from pathlib import Path

import pytest

from pdp.adapters import tls as module
from pdp.adapters.tls import Credential, ServerCredentialError, ServerTls, read_credential
from pdp.identity.trust import TrustStore
from tests.e2e.running import PROD, Pki
from tests.identity.mint import authority


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


def ours(pki: Pki, name: str = "server") -> Credential:
    return read_credential(pki.folder / f"{name}.pem", pki.folder / f"{name}-key.pem")


def store(*names: str) -> TrustStore:
    return TrustStore(domains={PROD: tuple(authority(name).certificate for name in names)})


def test_each_handshake_begins_with_what_is_in_force_then(pki: Pki) -> None:
    tls = ServerTls(ours(pki), store("one"))
    contexts = [tls.current.context]
    for change in (
        lambda: tls.replace_trust(store("two")),
        lambda: tls.replace_credential(ours(pki, "pep")),
    ):
        change()
        contexts.append(tls.current.context)

    assert len({id(context) for context in contexts}) == 3
    for context in contexts:
        assert context.minimum_version is ssl.TLSVersion.TLSv1_3
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.num_tickets == 0
    assert [[ca["subject"][0][0][1] for ca in context.get_ca_certs()] for context in contexts] == [
        ["one"],
        ["two"],
        ["two"],
    ]


def test_who_wants_to_know_is_told_of_trust_and_not_of_our_certificate(pki: Pki) -> None:
    tls = ServerTls(ours(pki), store("one"))
    told: list[int] = []
    tls.on_trust(lambda: told.append(tls.trust().epoch))
    tls.replace_credential(ours(pki, "pep"))
    assert told == []

    two = store("two")
    tls.replace_trust(two)

    assert told == [two.epoch]  # it is in force by then


def test_callers_are_verified_to_new_roots_even_if_openssl_does_not_take_them(
    pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = store("one"), store("two")
    tls = ServerTls(ours(pki), one)
    told: list[int] = []
    tls.on_trust(lambda: told.append(tls.trust().epoch))

    def fail(*_: object) -> ssl.SSLContext:
        raise ssl.SSLError("planted")

    with monkeypatch.context() as patch:
        patch.setattr(module, "server_context", fail)
        with pytest.raises(ssl.SSLError, match="planted"):
            tls.replace_trust(two)

    assert tls.trust() == two
    assert told == [two.epoch]
    assert tls.current.pooled == one  # so whoever watches knows that it is left to be done
    tls.replace_trust(two)
    assert tls.current.pooled == two


def test_neither_certificate_nor_key_is_shown(pki: Pki) -> None:
    credential = ours(pki)

    assert repr(credential) == "Credential()"
    assert "PRIVATE" not in repr(ServerTls(credential, store("one")).current)


def test_a_pair_that_does_not_belong_together_is_no_credential(pki: Pki) -> None:
    chain, key = (pki.folder / "server.pem"), (pki.folder / "pep-key.pem")

    with pytest.raises(ServerCredentialError, match="the key is not that of the certificate"):
        read_credential(chain, key)
    with pytest.raises(ServerCredentialError, match="the key is not that of the certificate"):
        Credential(chain=chain.read_bytes(), key=key.read_bytes())


def test_what_openssl_reads_lies_in_no_directory(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no files in memory only, the same with one that has no name."""
    monkeypatch.setattr(module.sys, "platform", "other")

    credential = ours(pki)

    credential.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))


def test_no_descriptor_is_left_behind(pki: Pki) -> None:
    tls = ServerTls(ours(pki), store("one"))
    before = len(list(Path("/dev/fd").iterdir()))
    for number in range(5):
        tls.replace_trust(store(str(number)))

    assert len(list(Path("/dev/fd").iterdir())) == before
