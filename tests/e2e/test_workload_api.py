"""The service beside an agent of the Workload API: certificate, roots and keys are as the agent has them."""

import http.client
import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509

from tests.e2e.evidencing import EDGE, POLICY, key_set, svid
from tests.e2e.running import PARTNER, PEP, PROD, Pki, Reply, Service, make_policies, question, until
from tests.e2e.trusting import rest_of
from tests.identity.agent import Agent, as_svid, pkcs8
from tests.identity.mint import Party, authority, leaf
from tests.identity.tokens import AUDIENCE

OURS = f"spiffe://{PROD}/ns/pdp/sa/pdp"
SOON = 1.0
REFUSED = 'pdp_renewal_refused{files="workload-api"}'


class World:
    """An agent, certificates of several roots, and the settings of a service that asks the agent for all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "pki").mkdir()
        self.pki = Pki(folder / "pki")
        self.pki.issue("gateway", uris=[EDGE])
        self.other = self.authority("other")
        self.pki.issue("other", self.other, uris=[PEP])
        self.agent = Agent(folder / "agent.sock")
        self.first = self.ours()
        self.policies = make_policies(folder / "policies", POLICY)
        self.agent.publish(
            svids=[as_svid(OURS, self.first)], roots=self.roots(self.pki.root, self.other), keys=self.keys()
        )

    def authority(self, name: str) -> Party:
        span = {"start": self.pki.now - timedelta(days=1), "end": self.pki.now + timedelta(days=30)}
        return authority(name, uris=[f"spiffe://{PROD}"], **span)

    def ours(self, *uris: str, lives: timedelta = timedelta(hours=1)) -> Party:
        """Another certificate of ours."""
        return leaf(
            self.pki.root, uris=uris or [OURS], dns=["localhost"], ips=["127.0.0.1"],
            start=self.pki.now - timedelta(hours=2), end=self.pki.now + lives,
        )  # fmt: skip

    def roots(self, *roots: Party) -> dict[str, bytes]:
        return {
            f"spiffe://{PROD}": b"".join(root.der for root in roots),
            f"spiffe://{PARTNER}": self.pki.partner_root.der,
        }

    @staticmethod
    def keys(*names: tuple[str, int]) -> dict[str, bytes]:
        """As SPIRE writes them: without `use`."""
        return {f"spiffe://{PROD}": key_set(*(names or (("svid", 5),)))}

    def settings(self, more: str) -> Path:
        file = self.folder / "pdp.toml"
        file.write_text(
            f'[jwt_bundles."{PROD}"]\naudiences = ["{AUDIENCE}"]\n[metrics]\nreaders = ["{PEP}"]\n'
            f'[workload_api]\nsocket = "unix://{self.agent.socket}"\n'
            f'trust_domains = ["{PROD}", "{PARTNER}"]\n{more}'
        )
        return file

    @contextmanager
    def serving(self, *more: str, settings: str = "certificate = true\n") -> Iterator["Served"]:
        command = [
            sys.executable, "-m", "pdp.cli.main", "serve", str(self.policies), "--http", "127.0.0.1:0",
            "--config", str(self.settings(settings)), *more,
        ]  # fmt: skip
        service = Service(self.pki, self.policies, command=command)
        try:
            yield Served(self, service)
            service.assert_still_answers()
        finally:
            assert service.stop() == 0, service.log


class Served:
    """The service that asks the agent."""

    def __init__(self, world: World, service: Service) -> None:
        self.world, self.service = world, service

    def serial(self) -> int:
        """Of the certificate on a new connection."""
        with self.service.tls() as sock:
            der = sock.getpeercert(binary_form=True)
        assert der is not None
        return x509.load_der_x509_certificate(der).serial_number

    def presents(self, party: Party) -> bool:
        return self.serial() == party.certificate.serial_number

    def asks(self, name: str) -> bool:
        """Whether a caller with this certificate is answered on a new connection."""
        try:
            return self.service.send(question(), caller=name).status == 200
        except (OSError, ssl.SSLError):
            return False

    def shows(self, token: str) -> Reply:
        return self.service.send(question(principal={"jwt": token}), caller="gateway")

    def metric(self, name: str) -> float:
        page = self.service.send("", path="/metrics", method="GET").body.decode()
        return next(float(line.split()[-1]) for line in page.splitlines() if line.startswith(name))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    yield found
    found.agent.stop()


# -- what comes from it ----------------------------------------------------------------


@pytest.mark.parametrize("workers", ["1", "2"])
def test_certificate_roots_and_keys_come_from_the_agent_and_change_with_it(
    world: World, workers: str
) -> None:
    with world.serving("--workers", workers) as at:
        assert at.presents(world.first)
        assert at.asks("pep")
        assert at.asks("other")
        assert at.shows(svid()).status == 200

        second, mark = world.ours(), at.service.mark()
        world.agent.publish(svids=[as_svid(OURS, second)])
        at.service.wait_line("our certificate was renewed: it ends at ", mark)
        assert [at.presents(second) for _ in range(6)] == [True] * 6

        world.agent.publish(keys=world.keys(("new", 8)))
        at.service.wait_line(f"the keys of {PROD} changed", mark)
        assert [at.shows(svid()).status for _ in range(6)] == [400] * 6
        assert [at.shows(svid("new", 8)).status for _ in range(6)] == [200] * 6

        world.agent.publish(roots=world.roots(world.pki.root))
        at.service.wait_line(f"trust changed: `{PROD}`: 1 root removed", mark)
        assert [at.asks("other") for _ in range(6)] == [False] * 6
        assert at.asks("pep")
        assert at.metric('pdp_renewals_total{files="certificate",outcome="accepted"}') == 1


def test_an_open_connection_of_a_root_that_is_withdrawn_is_closed_within_a_second(world: World) -> None:
    with world.serving() as at:
        took = []
        for _ in range(3):
            with at.service.tls("other") as idle:
                world.agent.publish(roots=world.roots(world.pki.root))
                received, seconds = rest_of(idle)
            assert received == b""
            took.append(seconds)
            world.agent.publish(roots=world.roots(world.pki.root, world.other))
            until(lambda: at.asks("other"))

        assert min(took) < SOON


def test_the_first_svid_is_ours_or_the_one_that_is_named(world: World) -> None:
    named = world.ours(f"spiffe://{PROD}/ns/pdp/sa/second")
    both = [as_svid(OURS, world.first), as_svid(f"spiffe://{PROD}/ns/pdp/sa/second", named)]
    world.agent.publish(svids=both)

    with world.serving(
        settings=f'certificate = true\nspiffe_id = "spiffe://{PROD}/ns/pdp/sa/second"\n'
    ) as at:
        assert at.presents(named)
    with world.serving() as at:
        assert at.presents(world.first)


def test_grpc_is_answered_with_the_agents_certificate_and_speaks_no_older_tls(world: World) -> None:
    """The agent is asked with the same library, which reads what it may speak once."""
    with world.serving("--grpc", "127.0.0.1:0") as at:
        port = int(at.service.wait_line("answering gRPC on ").rpartition(":")[2])
        context = world.pki.context()
        context.set_alpn_protocols(["h2"])
        with (
            socket.create_connection(("127.0.0.1", port), 15) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as sock,
        ):
            assert sock.getpeercert(binary_form=True) == world.first.der

        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with (
            socket.create_connection(("127.0.0.1", port), 15) as plain,
            pytest.raises((ssl.SSLError, ConnectionError)),
        ):
            context.wrap_socket(plain, server_hostname="127.0.0.1")


# -- what is wrong ---------------------------------------------------------------------


def two_uris(world: World) -> dict[str, Any]:
    return {"svids": [as_svid(OURS, world.ours(OURS, f"spiffe://{PROD}/ns/pdp/sa/other"))]}


def wrong_key(world: World) -> dict[str, Any]:
    return {"svids": [as_svid(OURS, world.ours(), key=pkcs8(world.first))]}


def no_key(world: World) -> dict[str, Any]:
    return {"svids": [as_svid(OURS, world.ours(), key=b"PRIVATE")]}


def expired(world: World) -> dict[str, Any]:
    return {"svids": [as_svid(OURS, world.ours(lives=timedelta(hours=-1)))]}


def of_another(world: World) -> dict[str, Any]:
    return {"svids": [as_svid(OURS, world.ours(PEP))]}


def nobody(world: World) -> dict[str, Any]:
    del world
    return {"svids": []}


def garbage(world: World) -> dict[str, Any]:
    return {"roots": world.roots() | {f"spiffe://{PROD}": b"\x30\x82\xff\xff garbage"}}


def a_leaf(world: World) -> dict[str, Any]:
    return {"roots": world.roots(world.pki.root, world.first)}


def bad_keys(world: World) -> dict[str, Any]:
    del world
    return {"keys": {f"spiffe://{PROD}": b"{"}}


def private_keys(world: World) -> dict[str, Any]:
    del world
    return {"keys": {f"spiffe://{PROD}": b'{"keys": [{"kty": "oct", "kid": "svid", "k": "AAAA"}]}'}}


BAD: dict[Callable[[World], dict[str, Any]], str] = {
    two_uris: "the certificate has 2 URIs",
    wrong_key: "the key is not that of the certificate",
    no_key: "its key is not PKCS #8",
    expired: "it expired at ",
    of_another: f"the X.509-SVID of `{PEP}` was delivered as that of `{OURS}`",
    nobody: "no X.509-SVID among the 0",
    garbage: f"the roots of `{PROD}`: certificate 1 in it is malformed",
    a_leaf: "cannot be a root of",
    bad_keys: f"the keys of `{PROD}`: ",
    private_keys: "is symmetric",
}


def test_a_bad_update_changes_nothing_and_is_told_and_the_next_good_one_counts(world: World) -> None:
    with world.serving() as at:
        for number, (spoil, why) in enumerate(BAD.items(), start=1):
            before = {name: getattr(world.agent, name) for name in ("svids", "roots", "keys")}
            streams, mark = world.agent.calls, at.service.mark()

            world.agent.publish(**spoil(world))
            line = at.service.wait_line("does not deliver", mark)
            assert why in line, spoil.__name__
            at.service.wait_line("what it delivered before stays in force", mark)
            assert at.presents(world.first)
            assert at.asks("pep")
            assert at.asks("other")
            assert at.shows(svid()).status == 200
            assert at.metric(REFUSED) == 1
            assert at.metric('pdp_renewals_total{files="workload-api",outcome="rejected"}') == number

            world.agent.publish(**before)
            at.service.wait_line("again", mark)
            assert at.metric(REFUSED) == 0
            assert world.agent.calls == streams, "the stream was begun anew"
        assert "PRIVATE" not in at.service.log
        # Not only the same as before: something else counts after all of that.
        second = world.ours()
        world.agent.publish(svids=[as_svid(OURS, second)], roots=world.roots(world.pki.root))
        until(lambda: at.presents(second))
        until(lambda: not at.asks("other"))


def test_a_bad_bundle_of_one_trust_domain_keeps_back_nothing_of_others(world: World) -> None:
    with world.serving() as at:
        mark = at.service.mark()
        roots = {**world.roots(world.pki.root), f"spiffe://{PARTNER}": b"garbage"}

        world.agent.publish(roots=roots)

        assert PARTNER in at.service.wait_line("does not deliver roots", mark)
        until(lambda: not at.asks("other"))
        assert at.asks("pep")


# -- what is withdrawn -----------------------------------------------------------------


def test_an_empty_or_absent_bundle_withdraws_all_and_a_good_one_gives_it_back(world: World) -> None:
    full = world.roots(world.pki.root, world.other)
    with world.serving() as at:
        for roots in (
            {**full, f"spiffe://{PROD}": b""},
            {f"spiffe://{PARTNER}": full[f"spiffe://{PARTNER}"]},
            {PROD: full[f"spiffe://{PROD}"]},  # a name without its scheme names no trust domain
            {},
        ):
            mark = at.service.mark()
            world.agent.publish(roots=roots)
            at.service.wait_line(f"warning: no root is trusted for `{PROD}`: nothing verifies", mark)
            assert not at.asks("pep")
            world.agent.publish(roots=full)
            until(lambda: at.asks("pep"))
        for keys in ({f"spiffe://{PROD}": b'{"keys": []}'}, {f"spiffe://{PROD}": b'{"keys": null}'}, {}):
            world.agent.publish(keys=keys)
            until(lambda: at.shows(svid()).status == 400)
            world.agent.publish(keys=world.keys())
            until(lambda: at.shows(svid()).status == 200)
        assert "does not deliver" not in at.service.log


def test_trust_domains_that_no_setting_names_are_ignored_and_told_once(world: World) -> None:
    stranger = authority(
        "x", uris=["spiffe://x.test"], start=world.pki.now, end=world.pki.now + timedelta(days=1)
    )
    world.pki.issue("stranger", stranger, uris=["spiffe://x.test/ns/pdp/sa/pep"])
    roots = {**world.roots(world.pki.root), "spiffe://x.test": stranger.der}
    world.agent.publish(roots=roots)
    with world.serving() as at:
        assert not at.asks("stranger")
        mark = at.service.mark()
        world.agent.publish(roots={**roots, **world.roots(world.pki.root, world.other)})
        at.service.wait_line("trust changed", mark)
        assert at.service.log.count("a bundle of `x.test`, which no setting asks for") == 1


# -- the agent itself ------------------------------------------------------------------


def test_an_agent_that_is_restarted_is_asked_again_and_nobody_notices(world: World) -> None:
    with world.serving() as at:
        mark = at.service.mark()
        world.agent.stop()
        second = world.ours()
        assert at.asks("pep")
        world.agent.svids = [as_svid(OURS, second)]
        world.agent.start()

        until(lambda: at.presents(second))
        assert at.asks("other")
        assert not any("does not deliver" in line for line in at.service.lines[mark:])


def test_an_agent_that_is_away_is_told_and_what_it_delivered_stays(world: World) -> None:
    with world.serving() as at:
        mark = at.service.mark()
        world.agent.stop()

        for what in ("our certificate", "roots", "keys of tokens"):
            at.service.wait_line(f"does not deliver {what}: unavailable: ", mark)
        assert at.metric(REFUSED) == 1
        assert at.presents(world.first)
        assert at.asks("pep")
        assert at.shows(svid()).status == 200

        world.agent.start()
        for what in ("our certificate", "roots", "keys of tokens"):
            at.service.wait_line(f"delivers {what} again", mark)
        assert at.metric(REFUSED) == 0


def test_without_an_agent_the_service_waits_for_its_certificate_and_starts_once_it_comes(
    world: World,
) -> None:
    world.agent.stop()
    later = world.agent

    def begin() -> None:
        time.sleep(3)
        later.start()

    thread = threading.Thread(target=begin)
    thread.start()
    with world.serving() as at:
        thread.join()
        assert at.presents(world.first)
        assert at.asks("pep")


def test_with_a_certificate_of_files_nobody_is_believed_until_the_agent_comes(world: World) -> None:
    world.agent.stop()
    files = f'certificate = "{world.pki.folder}/server.pem"\nkey = "{world.pki.folder}/server-key.pem"\n'

    with world.serving(settings=f"[http]\n{files}") as at:
        at.service.wait_line("does not deliver roots: unavailable: ")
        at.service.wait_line("there is none yet")
        at.service.wait_line(f"warning: no root is trusted for `{PROD}`: nothing verifies")
        assert not at.asks("pep")

        world.agent.start()
        until(lambda: at.asks("pep"))
        until(lambda: at.shows(svid()).status == 200)


def test_without_tls_tokens_are_verified_by_the_agents_keys(world: World) -> None:
    file = world.folder / "plain.toml"
    file.write_text(
        f'[http]\nplaintext = true\n[local]\ncaller = "{EDGE}"\n'
        f'[workload_api]\nsocket = "unix://{world.agent.socket}"\ntrust_domains = ["{PROD}"]\n'
        f'[jwt_bundles."{PROD}"]\naudiences = ["{AUDIENCE}"]\n'
    )
    command = [
        sys.executable, "-m", "pdp.cli.main", "serve", str(world.policies), "--http", "127.0.0.1:0",
        "--config", str(file),
    ]  # fmt: skip
    service = Service(world.pki, world.policies, command=command, started="http://127.0.0.1:")

    def status(token: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=15)
        with closing(connection):
            body = json.dumps(question(principal={"jwt": token}))
            connection.request("POST", "/v1/decide", body, {"content-type": "application/json"})
            return connection.getresponse().status

    try:
        assert status(svid()) == 200
        world.agent.publish(keys=world.keys(("new", 8)))
        until(lambda: status(svid()) == 400)
        assert status(svid("new", 8)) == 200
    finally:
        assert service.stop() == 0, service.log


@pytest.mark.slow
def test_without_a_certificate_in_time_the_service_does_not_start_and_says_why(world: World) -> None:
    world.agent.refuses = grpc.StatusCode.PERMISSION_DENIED
    began = time.monotonic()

    with pytest.raises(AssertionError) as raised, world.serving():
        pass

    assert 25 < time.monotonic() - began < 50
    said = str(raised.value)
    assert (
        f"the Workload API at {world.agent.socket} has delivered no certificate for us in 30 seconds" in said
    )
    assert "permission_denied: no identity issued" in said
