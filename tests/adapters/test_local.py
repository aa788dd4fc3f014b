"""Who asks on a plaintext listener: for every request one caller, or a refusal with its code."""

import pytest

from pdp.adapters.local import Local, local_hosts
from pdp.identity.caller import Caller, CallerKind
from pdp.identity.local import LocalCaller, forwarded_caller, named_caller
from pdp.principals import InvalidIdentityError, spiffe_principal
from pdp.service.errors import NotPermittedError

PROXY = "spiffe://prod.example.org/ns/edge/sa/proxy"
OURS = "spiffe://prod.example.org/ns/pdp/sa/pdp"
NAMED = named_caller(PROXY)
HOSTS = local_hosts("127.0.0.1", 8181)
SOCKET = Local(caller=NAMED, identity=None, uids=frozenset({1000, 0}), hosts=None)
LOOPBACK = Local(caller=NAMED, identity=None, uids=None, hosts=HOSTS)
BEHIND = Local(caller=None, identity=OURS, uids=None, hosts=HOSTS)
HOST = (b"host", b"127.0.0.1:8181")
XFCC = (b"x-forwarded-client-cert", f"By={OURS};URI={PROXY}".encode())


def code(local: Local, *headers: tuple[bytes, bytes], uid: int | None = None) -> str:
    """The code of the refusal, or how the caller is known."""
    try:
        caller = local.identify(uid, headers)
    except NotPermittedError as error:
        return error.code
    assert caller.id == PROXY
    return caller.fingerprint.partition(" ")[0]


@pytest.mark.parametrize(
    ("uid", "found"),
    [
        (0, "named"), (1000, "named"), (1001, "peer_not_permitted"), (None, "peer_not_permitted"),
        (2**32 - 1, "peer_not_permitted"), (65534, "peer_not_permitted"),
    ],
)  # fmt: skip
def test_on_a_socket_users_are_told_apart(uid: int | None, found: str) -> None:
    assert code(SOCKET, (b"host", b"anything"), uid=uid) == found


@pytest.mark.parametrize("host", ["127.0.0.1:8181", "[::1]:8181", "localhost:8181", "LOCALHOST:8181"])
def test_a_listed_host_is_answered(host: str) -> None:
    assert code(LOOPBACK, (b"host", host.encode())) == "named"


@pytest.mark.parametrize(
    "host",
    [
        "", "127.0.0.1", "127.0.0.1:8182", "evil.example:8181", "localhost.evil.example:8181", "localhost",
        "127.0.0.1:8181 ", "localhost.:8181", "0.0.0.0:8181", "127.0.0.1:8181,evil.example",
    ],
)  # fmt: skip
def test_any_other_host_is_refused(host: str) -> None:
    assert code(LOOPBACK, (b"host", host.encode())) == "host_not_permitted"
    assert code(BEHIND, (b"host", host.encode()), XFCC) == "host_not_permitted"


def test_no_host_and_two_hosts_are_refused() -> None:
    assert code(LOOPBACK) == "host_not_permitted"
    assert code(LOOPBACK, HOST, HOST) == "host_not_permitted"
    assert code(LOOPBACK, HOST, (b"host", b"evil.example")) == "host_not_permitted"


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([(b"origin", b"http://evil.example")], "browser_not_permitted"),
        ([(b"origin", b"null")], "browser_not_permitted"),
        ([(b"origin", b"http://127.0.0.1:8181")], "browser_not_permitted"),
        ([(b"sec-fetch-site", b"cross-site")], "browser_not_permitted"),
        ([(b"sec-fetch-site", b"same-site")], "browser_not_permitted"),
        ([(b"sec-fetch-site", b"none"), (b"sec-fetch-site", b"cross-site")], "browser_not_permitted"),
        ([(b"sec-fetch-site", b"")], "browser_not_permitted"),
        ([(b"sec-fetch-site", b"none")], "named"),  # somebody who reads /docs
        ([(b"sec-fetch-site", b"same-origin")], "named"),
    ],
)
def test_a_page_in_a_browser_is_refused(headers: list[tuple[bytes, bytes]], found: str) -> None:
    assert code(LOOPBACK, HOST, *headers) == found


def test_where_nobody_is_forwarded_a_forwarded_name_is_refused() -> None:
    """Whom a sidecar speaks for is not who the settings mean."""
    assert code(LOOPBACK, HOST, XFCC) == "forwarded_unexpected"
    assert code(LOOPBACK, HOST, (XFCC[0], b"")) == "forwarded_unexpected"
    assert code(SOCKET, XFCC, uid=0) == "forwarded_unexpected"


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([XFCC], "forwarded"),
        ([], "forwarded_missing"),
        ([(b"x_forwarded_client_cert", XFCC[1])], "forwarded_missing"),
        ([XFCC, XFCC], "forwarded_invalid"),
        ([(XFCC[0], b"")], "forwarded_invalid"),
        ([(XFCC[0], XFCC[1] + b"," + XFCC[1])], "forwarded_invalid"),
        ([(XFCC[0], f"By={PROXY};URI={PROXY}".encode())], "forwarded_elsewhere"),
    ],
)
def test_behind_a_sidecar_the_name_is_forwarded_or_there_is_none(
    headers: list[tuple[bytes, bytes]], found: str
) -> None:
    assert code(BEHIND, HOST, *headers) == found


def test_it_is_either_one_or_the_other() -> None:
    for what in (
        {"caller": None, "identity": None, "uids": None, "hosts": HOSTS},
        {"caller": NAMED, "identity": OURS, "uids": None, "hosts": HOSTS},
        {"caller": NAMED, "identity": None, "uids": None, "hosts": None},
        {"caller": NAMED, "identity": None, "uids": frozenset({0}), "hosts": HOSTS},
    ):
        with pytest.raises(ValueError, match="one of"):
            Local(**what)  # type: ignore[arg-type]


def test_port_80_may_be_left_out() -> None:
    assert {b"127.0.0.1", b"127.0.0.1:80", b"[::1]", b"localhost"} <= local_hosts("127.0.0.1", 80)
    assert b"127.8.8.8:81" in local_hosts("127.8.8.8", 81)
    assert b"[::1]:81" in local_hosts("::1", 81)


# -- what a local caller is ----------------------------------------------------------------


def test_a_local_caller_is_never_one_that_showed_a_certificate() -> None:
    certified = Caller(**{name: getattr(NAMED, name) for name in Caller.__struct_fields__})

    assert isinstance(NAMED, LocalCaller)
    assert not isinstance(certified, LocalCaller)
    assert certified != NAMED
    assert not set(NAMED.fingerprint) <= set("0123456789abcdef")  # under which rights are remembered
    assert forwarded_caller(spiffe_principal(PROXY)).fingerprint != NAMED.fingerprint


def test_a_caller_has_one_of_two_kinds_of_names() -> None:
    vm = named_caller("dns:vm.example.org")

    assert (vm.kind, vm.id, vm.segments) == (CallerKind.DNS, "dns:vm.example.org", ("vm", "example", "org"))
    assert (NAMED.kind, NAMED.trust_domain) == (CallerKind.SPIFFE, "prod.example.org")
    with pytest.raises(InvalidIdentityError):
        named_caller("vm.example.org")
