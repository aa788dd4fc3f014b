"""The development authority: what it makes is standard, and its files are safe."""

import os
import ssl
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from pdp.identity.authority import (
    AuthorityError,
    InvalidRequestError,
    init,
    issue,
    rotate,
    rotate_intermediate,
)
from pdp.identity.caller import Caller
from pdp.identity.trust import load_trust
from pdp.identity.x509 import verify_caller
from pdp.limits import (
    MAX_CERTIFICATE_BYTES,
    MAX_PKI_ALTERNATIVE_NAMES,
    MAX_PKI_AUTHORITY_DAYS,
    MAX_PKI_LEAF_DAYS,
    MAX_PKI_NAME_CHARS,
)
from tests.identity.mint import DAY, DOMAIN, NOW, WEB, authority, leaf
from tests.identity.mint import usage as key_usage
from tests.programs import needs

FILES = {"root.pem", "root-key.pem", "intermediate.pem", "intermediate-key.pem"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "pki"
    init(path, trust_domain=DOMAIN, now=NOW)
    return path


def chain(folder: Path, name: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates((folder / f"{name}.pem").read_bytes())


def caller(folder: Path, name: str = "web", now: datetime = NOW) -> Caller:
    """What a PDP that trusts the authority's root makes of a leaf."""
    leaf_der, *rest = (c.public_bytes(Encoding.DER) for c in chain(folder, name))
    return verify_caller(leaf_der, rest, load_trust({DOMAIN: folder / "root.pem"}), now)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    old = os.umask(mask)
    try:
        yield
    finally:
        os.umask(old)


# -- what it makes -----------------------------------------------------------------------


def test_issued_leaf_makes_a_caller_at_whoever_trusts_the_root(folder: Path) -> None:
    made = issue(folder, "web", spiffe_id=WEB, now=NOW)

    got = caller(folder)
    assert got.id == made.uri == WEB
    assert got.fingerprint == made.fingerprint
    assert made.not_after == NOW + timedelta(hours=24)
    assert (made.certificate, made.key) == (folder / "web.pem", folder / "web-key.pem")


def test_leaf_has_one_uri_its_names_and_the_standard_usages(folder: Path) -> None:
    issue(folder, "web", spiffe_id=WEB, dns=["LocalHost", "localhost."], ips=["127.0.0.1", "::1"], now=NOW)
    certificate, intermediate = chain(folder, "web")
    extensions = certificate.extensions

    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [WEB]
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value == key_usage("digital_signature")
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(purposes) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    signer_id = intermediate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == signer_id
    assert extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)


def test_root_may_sign_one_level_of_signers_and_the_intermediate_none(folder: Path) -> None:
    lengths = {
        name: chain(folder, name)[0]
        .extensions.get_extension_for_class(x509.BasicConstraints)
        .value.path_length
        for name in ("root", "intermediate")
    }

    assert lengths == {"root": 1, "intermediate": 0}


def test_leaf_file_holds_leaf_and_intermediate_and_not_the_root(folder: Path) -> None:
    issue(folder, "web", spiffe_id=WEB, now=NOW)

    assert chain(folder, "web")[1:] == chain(folder, "intermediate")
    assert len(chain(folder, "root")) == 1
    assert chain(folder, "root")[0] not in chain(folder, "web")


def test_each_key_file_is_the_key_of_its_certificate(folder: Path) -> None:
    issue(folder, "web", spiffe_id=WEB, now=NOW)

    for name in ("root", "intermediate", "web"):
        key = load_pem_private_key((folder / f"{name}-key.pem").read_bytes(), password=None)
        assert key.public_key() == chain(folder, name)[0].public_key()


@needs("openssl")
@pytest.mark.parametrize("purpose", ["sslclient", "sslserver"])
def test_openssl_accepts_the_chain_strictly(tmp_path: Path, purpose: str) -> None:
    folder, now = tmp_path / "pki", datetime.now(UTC)
    init(folder, trust_domain=DOMAIN, now=now)
    issue(folder, "web", spiffe_id=WEB, dns=["web.shop"], ips=["127.0.0.1"], now=now)
    strict = ["openssl", "verify", "-x509_strict", "-purpose", purpose]
    names = ["-verify_hostname", "web.shop", "-verify_ip", "127.0.0.1"]
    files = ["-CAfile", folder / "root.pem", "-untrusted", folder / "web.pem", folder / "web.pem"]

    sound = subprocess.run([*strict, *names, *files], capture_output=True, text=True, check=False)
    wrong = subprocess.run(
        [*strict, "-verify_hostname", "other.shop", *files], capture_output=True, text=True, check=False
    )

    assert (sound.returncode, sound.stdout) == (0, f"{folder / 'web.pem'}: OK\n"), sound.stderr
    assert wrong.returncode != 0


def _shake_hands(client: ssl.SSLObject, server: ssl.SSLObject, wires: list[ssl.MemoryBIO]) -> None:
    client_in, client_out, server_in, server_out = wires
    waiting = [client, server]
    for _ in range(10):
        for side in tuple(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                pass
            server_in.write(client_out.read())
            client_in.write(server_out.read())
    assert not waiting


def test_both_ends_of_mutual_tls_take_it_and_the_server_learns_the_caller(tmp_path: Path) -> None:
    folder, now = tmp_path / "pki", datetime.now(UTC)
    init(folder, trust_domain=DOMAIN, now=now)
    issue(folder, "web", spiffe_id=WEB, dns=["localhost"], now=now)
    contexts = [ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)]
    for context in contexts:
        context.load_cert_chain(folder / "web.pem", folder / "web-key.pem")
        context.load_verify_locations(folder / "root.pem")
    contexts[0].verify_mode = ssl.CERT_REQUIRED
    wires = [ssl.MemoryBIO() for _ in range(4)]
    server = contexts[0].wrap_bio(wires[2], wires[3], server_side=True)
    client = contexts[1].wrap_bio(wires[0], wires[1], server_hostname="localhost")

    _shake_hands(client, server, wires)

    leaf_der = server.getpeercert(binary_form=True)
    assert leaf_der is not None
    intermediate = chain(folder, "intermediate")[0].public_bytes(Encoding.DER)
    assert verify_caller(leaf_der, [intermediate], load_trust({DOMAIN: folder / "root.pem"}), now).id == WEB


def test_largest_leaf_that_can_be_issued_is_within_what_verification_reads(folder: Path) -> None:
    long_id = f"spiffe://{DOMAIN}/" + "a" * (2048 - len(f"spiffe://{DOMAIN}/"))
    hosts = [".".join(["a" * 63, "b" * 63, "c" * 63, f"{n:061d}"]) for n in range(MAX_PKI_ALTERNATIVE_NAMES)]

    issue(folder, "n" * MAX_PKI_NAME_CHARS, spiffe_id=long_id, dns=hosts, now=NOW)

    assert caller(folder, "n" * MAX_PKI_NAME_CHARS).id == long_id
    certificate = chain(folder, "n" * MAX_PKI_NAME_CHARS)[0]
    assert len(certificate.public_bytes(Encoding.DER)) < MAX_CERTIFICATE_BYTES
    with pytest.raises(InvalidRequestError, match=f"at most {MAX_PKI_ALTERNATIVE_NAMES}"):
        issue(folder, "web", spiffe_id=WEB, dns=[*hosts, "one.more"], now=NOW)


# -- files -------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o777])
def test_modes_do_not_depend_on_the_umask(tmp_path: Path, mask: int) -> None:
    folder = tmp_path / "pki"

    with umask(mask):
        init(folder, trust_domain=DOMAIN, now=NOW)
        issue(folder, "web", spiffe_id=WEB, now=NOW)
        rotate(folder, "web", now=NOW)
        rotate_intermediate(folder, now=NOW)

    assert mode(folder) == 0o700
    modes = {path.name: mode(path) for path in folder.iterdir()}
    assert {name: m for name, m in modes.items() if name.endswith("-key.pem")} == dict.fromkeys(
        ["root-key.pem", "intermediate-key.pem", "web-key.pem"], 0o600
    )
    assert {m for name, m in modes.items() if not name.endswith("-key.pem")} == {0o644}


def test_nothing_but_the_named_files_is_left_in_the_folder(folder: Path) -> None:
    issue(folder, "web", spiffe_id=WEB, now=NOW)
    rotate(folder, "web", now=NOW)

    assert set(contents(folder)) == FILES | {"web.pem", "web-key.pem"}


def test_second_init_changes_nothing_and_says_what_to_do(folder: Path) -> None:
    before = contents(folder)

    with pytest.raises(AuthorityError, match=r"root-key\.pem is there already .*choose another folder"):
        init(folder, trust_domain="other.test", now=NOW)

    assert contents(folder) == before


def test_second_issue_of_a_name_changes_nothing_and_says_what_to_do(folder: Path) -> None:
    issue(folder, "web", spiffe_id=WEB, now=NOW)
    before = contents(folder)

    with pytest.raises(AuthorityError, match=r"web-key\.pem is there already .*`pdp pki rotate web`"):
        issue(folder, "web", spiffe_id=WEB + "2", now=NOW)

    assert contents(folder) == before


@pytest.mark.parametrize("there", ["root.pem", "intermediate-key.pem", "intermediate.pem"])
def test_init_that_meets_one_of_its_files_leaves_none_of_the_others(tmp_path: Path, there: str) -> None:
    folder = tmp_path / "pki"
    folder.mkdir(mode=0o700)
    (folder / there).write_bytes(b"precious")

    with pytest.raises(AuthorityError, match="is there already and was left as it is"):
        init(folder, trust_domain=DOMAIN, now=NOW)

    assert contents(folder) == {there: b"precious"}


def test_issue_that_meets_a_link_does_not_write_through_it(folder: Path, tmp_path: Path) -> None:
    (folder / "web-key.pem").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(AuthorityError, match="is there already"):
        issue(folder, "web", spiffe_id=WEB, now=NOW)

    assert not (tmp_path / "elsewhere").exists()
    assert not (folder / "web.pem").exists()


def test_folder_that_others_may_enter_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o755)

    with pytest.raises(AuthorityError, match="can be entered by others: run `chmod 700`"):
        init(folder, trust_domain=DOMAIN, now=NOW)

    assert contents(folder) == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, -1)

    with pytest.raises(AuthorityError, match="belongs to another user"):
        init(folder, trust_domain=DOMAIN, now=NOW)


def test_folder_that_is_opened_to_others_later_is_refused(folder: Path) -> None:
    folder.chmod(0o750)

    with pytest.raises(AuthorityError, match="can be entered by others"):
        issue(folder, "web", spiffe_id=WEB, now=NOW)


def test_key_that_others_may_read_does_not_sign(folder: Path) -> None:
    (folder / "intermediate-key.pem").chmod(0o640)

    with pytest.raises(AuthorityError, match=r"intermediate-key\.pem can be read by others"):
        issue(folder, "web", spiffe_id=WEB, now=NOW)


def test_file_where_the_folder_should_be_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "pki").write_text("x")

    with pytest.raises(AuthorityError, match="pki is not a folder"):
        init(tmp_path / "pki", trust_domain=DOMAIN, now=NOW)
    with pytest.raises(AuthorityError, match="pki is not a folder"):
        init(tmp_path / "pki" / "deeper", trust_domain=DOMAIN, now=NOW)


# -- rotation ------------------------------------------------------------------------------


def test_rotated_leaf_has_a_new_key_and_the_same_names_and_lifetime(folder: Path) -> None:
    issue(folder, "web", spiffe_id=WEB, dns=["a.test"], ips=["::1"], now=NOW, ttl=timedelta(hours=5))
    old = chain(folder, "web")[0]

    made = rotate(folder, "web", now=NOW + timedelta(hours=4))

    new = chain(folder, "web")[0]
    names = [c.extensions.get_extension_for_class(x509.SubjectAlternativeName).value for c in (old, new)]
    assert names[0] == names[1]
    assert new.public_key() != old.public_key()
    assert new.serial_number != old.serial_number
    assert made.not_after == NOW + timedelta(hours=9)
    assert caller(folder, now=NOW + timedelta(hours=4)).id == WEB


def test_expired_leaf_can_be_rotated(folder: Path) -> None:
    issue(folder, "web", spiffe_id=WEB, now=NOW)

    rotate(folder, "web", now=NOW + 3 * DAY, ttl=timedelta(hours=1))

    assert caller(folder, now=NOW + 3 * DAY).id == WEB


def test_leaf_stays_valid_when_the_intermediate_is_rotated_and_the_next_has_the_new_one(folder: Path) -> None:
    issue(folder, "web", spiffe_id=WEB, now=NOW)
    before = chain(folder, "intermediate")[0]

    rotate_intermediate(folder, now=NOW)

    after = chain(folder, "intermediate")[0]
    assert after.public_key() != before.public_key()
    assert caller(folder).id == WEB
    assert chain(folder, "web")[1] == before
    rotate(folder, "web", now=NOW)
    assert chain(folder, "web")[1] == after
    assert caller(folder).id == WEB


def test_rotation_of_a_name_that_was_never_issued_says_so(folder: Path) -> None:
    with pytest.raises(AuthorityError, match=r"web\.pem does not exist: make it with `pdp pki issue`"):
        rotate(folder, "web", now=NOW)

    assert set(contents(folder)) == FILES


@pytest.mark.parametrize("crashed", ["web", "intermediate"])
def test_crash_between_the_two_renames_is_cured_by_rotating_again(folder: Path, crashed: str) -> None:
    issue(folder, "web", spiffe_id=WEB, now=NOW)
    other = authority("other").key  # as if the new key were in place and its certificate not yet
    path = folder / f"{crashed}-key.pem"
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    if crashed == "intermediate":
        with pytest.raises(AuthorityError, match=r"is not the key of intermediate.*rotate intermediate"):
            rotate(folder, "web", now=NOW)
        rotate_intermediate(folder, now=NOW)
    rotate(folder, "web", now=NOW)

    assert caller(folder).id == WEB
    key = load_pem_private_key(path.read_bytes(), password=None)
    assert key.public_key() == chain(folder, crashed)[0].public_key()


def test_reader_never_finds_a_file_missing_or_torn_while_it_is_rotated(folder: Path) -> None:
    issue(folder, "web", spiffe_id=WEB, now=NOW)
    done, problems, seen = threading.Event(), [], set()

    def read() -> None:
        while not done.is_set():
            try:
                pem = (folder / "web.pem").read_bytes()
                assert len(x509.load_pem_x509_certificates(pem)) == 2
                load_pem_private_key((folder / "web-key.pem").read_bytes(), password=None)
            except Exception as problem:  # noqa: BLE001 -- whatever it is, it fails the test
                problems.append(problem)
                return
            seen.add(pem)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(60):
        rotate(folder, "web", now=NOW)
    done.set()
    reader.join()

    assert problems == []
    assert len(seen) > 5  # it did read while the files changed


def test_rotations_at_the_same_time_leave_a_pair_that_belongs_together(folder: Path) -> None:
    issue(folder, "web", spiffe_id=WEB, now=NOW)
    problems = []

    def turn() -> None:
        try:
            for _ in range(10):
                rotate(folder, "web", now=NOW)
                pem, key = (folder / "web.pem").exists(), (folder / "web-key.pem").exists()
                assert pem
                assert key
        except Exception as problem:  # noqa: BLE001 -- whatever it is, it fails the test
            problems.append(problem)

    threads = [threading.Thread(target=turn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert problems == []
    key = load_pem_private_key((folder / "web-key.pem").read_bytes(), password=None)
    assert key.public_key() == chain(folder, "web")[0].public_key()


# -- what may be asked ---------------------------------------------------------------------

ESCAPES = [
    "../web",
    "a/b",
    "/etc/web",
    "..",
    ".",
    "",
    ".hidden",
    "-rf",
    "a\\b",
    "a\0b",
    "a\nb",
    "é",
    "a b",
    "~",
]
TAKEN = ["root", "intermediate", "Root", "INTERMEDIATE", "root-key", "web-key", "web-KEY"]


@pytest.mark.parametrize("name", [*ESCAPES, *TAKEN, "n" * (MAX_PKI_NAME_CHARS + 1)])
def test_name_is_one_file_of_its_own_in_the_folder_and_nothing_else(folder: Path, name: str) -> None:
    before = contents(folder)

    for attempt in (
        lambda: issue(folder, name, spiffe_id=WEB, now=NOW),
        lambda: rotate(folder, name, now=NOW),
    ):
        with pytest.raises(InvalidRequestError, match=r"is not a name|is taken"):
            attempt()

    assert contents(folder) == before
    assert [p.name for p in folder.parent.iterdir()] == ["pki"]


def test_dots_inside_a_name_stay_inside_the_folder(folder: Path) -> None:
    assert issue(folder, "web..v1", spiffe_id=WEB, now=NOW).key == folder / "web..v1-key.pem"


@pytest.mark.parametrize(
    "spiffe_id",
    ["spiffe://partner.example.net/x", f"spiffe://{DOMAIN}.evil.test/x", f"spiffe://x.{DOMAIN}/x"],
)
def test_identity_of_another_trust_domain_is_not_issued(folder: Path, spiffe_id: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"is not in `{DOMAIN}`, this authority's trust domain"):
        issue(folder, "web", spiffe_id=spiffe_id, now=NOW)

    assert set(contents(folder)) == FILES


@pytest.mark.parametrize("spiffe_id", ["", "web", f"spiffe://{DOMAIN}", f"spiffe://{DOMAIN}/", f"{WEB}?x"])
def test_text_that_is_no_workloads_id_is_not_issued(folder: Path, spiffe_id: str) -> None:
    with pytest.raises(InvalidRequestError, match="is not a SPIFFE ID"):
        issue(folder, "web", spiffe_id=spiffe_id, now=NOW)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dns": ["*.example.org"]}, "`*.example.org` is not a DNS name"),
        ({"dns": ["a b"]}, "is not a DNS name"),
        ({"dns": [""]}, "is not a DNS name"),
        ({"ips": ["10.0.0.0/8"]}, "is not an IP address"),
        ({"ips": ["localhost"]}, "is not an IP address"),
        ({"ips": ["fe80::1%eth0"]}, "has a zone"),
    ],
)
def test_name_or_address_that_is_none_is_refused(
    folder: Path, given: dict[str, list[str]], message: str
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        issue(folder, "web", spiffe_id=WEB, now=NOW, **given)  # type: ignore[arg-type]

    assert message in str(caught.value)


def test_lifetimes_are_taken_at_their_bounds_and_refused_a_second_past_them(tmp_path: Path) -> None:
    second, most = timedelta(seconds=1), timedelta(days=MAX_PKI_AUTHORITY_DAYS)
    folder, leaf_most = tmp_path / "pki", timedelta(days=MAX_PKI_LEAF_DAYS)
    init(folder, trust_domain=DOMAIN, now=NOW, root_ttl=most, intermediate_ttl=most)

    assert issue(folder, "a", spiffe_id=WEB, now=NOW, ttl=leaf_most).not_after == NOW + leaf_most
    assert issue(folder, "b", spiffe_id=WEB, now=NOW, ttl=second).not_after == NOW + second
    for ttl in (leaf_most + second, timedelta(), -second):
        with pytest.raises(InvalidRequestError, match="a lifetime here is"):
            issue(folder, "c", spiffe_id=WEB, now=NOW, ttl=ttl)
    for ttl in (leaf_most + second, timedelta(), -second):
        with pytest.raises(InvalidRequestError, match="a lifetime here is"):
            rotate(folder, "a", now=NOW, ttl=ttl)
    for ttls in ((most + second, second), (most, most + second), (most, timedelta())):
        with pytest.raises(InvalidRequestError, match="a lifetime here is"):
            init(tmp_path / "x", trust_domain=DOMAIN, now=NOW, root_ttl=ttls[0], intermediate_ttl=ttls[1])
    with pytest.raises(InvalidRequestError, match="the intermediate would outlive the root"):
        init(tmp_path / "x", trust_domain=DOMAIN, now=NOW, root_ttl=DAY, intermediate_ttl=2 * DAY)
    assert not (tmp_path / "x").exists()


def test_nothing_is_issued_that_would_outlive_its_signer(tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    init(folder, trust_domain=DOMAIN, now=NOW, root_ttl=3 * DAY, intermediate_ttl=2 * DAY)

    assert issue(folder, "a", spiffe_id=WEB, now=NOW, ttl=2 * DAY).not_after == NOW + 2 * DAY
    with pytest.raises(AuthorityError, match=r"intermediate\.pem ends at 2027-03-03.*rotate intermediate"):
        issue(folder, "b", spiffe_id=WEB, now=NOW, ttl=2 * DAY + timedelta(seconds=1))
    with pytest.raises(AuthorityError, match=r"root\.pem ends at 2027-03-04.*make a new authority"):
        rotate_intermediate(folder, now=NOW, ttl=4 * DAY)


@pytest.mark.parametrize("name", ["", "Prod", "a/b", "spiffe://x", "a b"])
def test_authority_is_made_for_a_trust_domain_only(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequestError, match="is not a trust domain"):
        init(tmp_path / "pki", trust_domain=name, now=NOW)

    assert not (tmp_path / "pki").exists()


def test_longest_trust_domain_works(tmp_path: Path) -> None:
    init(tmp_path / "pki", trust_domain="d" * 255, now=NOW)

    assert issue(tmp_path / "pki", "web", spiffe_id=f"spiffe://{'d' * 255}/x", now=NOW)


# -- a folder that is not as it should be -----------------------------------------------------


def test_folder_without_an_authority_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(
        AuthorityError, match="pki does not exist: make an authority there with `pdp pki init`"
    ):
        issue(tmp_path / "pki", "web", spiffe_id=WEB, now=NOW)
    (tmp_path / "pki").mkdir(mode=0o700)
    with pytest.raises(AuthorityError, match=r"root\.pem does not exist: make it with `pdp pki init`"):
        issue(tmp_path / "pki", "web", spiffe_id=WEB, now=NOW)


DAMAGES = {
    "root.pem": {
        "empty": (b"", "there is no certificate in it"),
        "of others": (authority("stranger", uris=[f"spiffe://{DOMAIN}"]).pem, "does not lead to a root"),
        "without a name": (authority("stranger").pem, "this authority is for DNS identities"),
        "a leaf": (leaf(None).pem, "was not made by `pdp pki init`"),
        "a workload": (authority("x", uris=[WEB]).pem, "was not made by `pdp pki init`"),
    },
    "intermediate.pem": {
        "text": (b"hello", "there is no certificate in it"),
        "of others": (authority("stranger").pem, "is not the key of intermediate"),
    },
    "intermediate-key.pem": {
        "empty": (b"", "is not an unencrypted private key"),
        "another kind": (
            ed25519.Ed25519PrivateKey.generate().private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            ),
            "is not an elliptic-curve key",
        ),
        "encrypted": (
            ec.generate_private_key(ec.SECP256R1()).private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
            ),
            "is not an unencrypted private key",
        ),
    },
}


@pytest.mark.parametrize(
    ("name", "damage"), [(name, damage) for name, damages in DAMAGES.items() for damage in damages]
)
def test_damaged_authority_issues_nothing_and_names_what_is_wrong(
    folder: Path, name: str, damage: str
) -> None:
    data, message = DAMAGES[name][damage]
    (folder / name).write_bytes(data)
    before = contents(folder)

    with pytest.raises(AuthorityError, match=message):
        issue(folder, "web", spiffe_id=WEB, now=NOW)

    assert contents(folder) == before


def test_missing_key_is_named(folder: Path) -> None:
    for name in ("root-key.pem", "intermediate-key.pem"):
        (folder / name).unlink()

    with pytest.raises(AuthorityError, match=r"root-key\.pem does not exist: without it"):
        rotate_intermediate(folder, now=NOW)
    with pytest.raises(AuthorityError, match=r"intermediate-key\.pem does not exist: without it"):
        issue(folder, "web", spiffe_id=WEB, now=NOW)


def test_root_key_is_needed_only_to_rotate_the_intermediate(folder: Path) -> None:
    (folder / "root-key.pem").unlink()

    issue(folder, "web", spiffe_id=WEB, now=NOW)
    rotate(folder, "web", now=NOW)

    assert caller(folder).id == WEB


def test_certificate_of_others_is_not_rotated_into_one_of_ours(folder: Path) -> None:
    for foreign in (leaf(None, uris=[]), leaf(None, uris=[WEB, WEB + "2"])):
        (folder / "web.pem").write_bytes(foreign.pem)
        with pytest.raises(AuthorityError, match="would not verify"):
            rotate(folder, "web", now=NOW)
    (folder / "web.pem").write_bytes(leaf(None, uris=["spiffe://partner.example.net/x"]).pem)
    with pytest.raises(AuthorityError, match="this authority's trust domain"):
        rotate(folder, "web", now=NOW)
