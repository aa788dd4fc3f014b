"""Answers are used again only as long as the stream of revisions permits.

The property: an answer differs from the service's for at most one lease, and never once the stream has told
the new revision. Each test is against the real service, most of them through a proxy that can stall.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from clients.python.tests.asking import KINDS, Proxy, client, item, port_of
from pdp_client import CouldNotAnswerError, Timeouts, UnreachableError
from tests.e2e.running import POLICY, Pki, Service, make_policies, until

READ = "allow prod/ns/shop/sa/* to GET /v1/items/{id} as read-item because"
SHUT = POLICY.replace(READ, READ.replace("allow", "deny"))
LEASE = (
    1.5  # shorter than the service's heartbeat leaves room for: used only where the stream is to fall silent
)
QUICK = Timeouts(connect=0.5, read=0.5, overall=1.5)


@pytest.fixture(params=KINDS, ids="-".join)
def kind(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


@pytest.fixture
def proxy(running: Service, kind: tuple[str, str]) -> Iterator[Proxy]:
    found = Proxy(port_of(running, kind[1]))
    yield found
    found.close()


def edit(service: Service, text: str) -> str:
    """Save a policy, wait until it is served; its revision."""
    mark = service.mark()
    (service.policies / "main.policy").write_text(text, encoding="utf-8")
    return service.wait_line("revision ", mark).split()[1].rstrip(":")


def cache_of(asks: Any) -> Any:
    return asks._cache if hasattr(asks, "_cache") else asks.client._cache


def held(asks: Any) -> Any:
    """A client that holds the answer about items."""
    until(lambda: asks.is_reusing)
    until(lambda: asks.decide(item()).reused)
    return asks


def test_once_a_revision_is_told_nothing_older_is_answered(
    kind: tuple[str, str], running: Service, pki: Pki
) -> None:
    with client(*kind, [port_of(running, kind[1])], pki) as asks:
        for text, allowed in [(SHUT, False), (POLICY, True)] * 3:
            held(asks)
            revision = edit(running, text)
            until(lambda wanted=revision: cache_of(asks).revision == wanted, 3.0)
            found = asks.decide(item())
            assert (found.revision, found.allowed) == (revision, allowed)


def test_an_edit_is_told_long_before_a_lease_is_over(
    kind: tuple[str, str], running: Service, pki: Pki
) -> None:
    with client(*kind, [port_of(running, kind[1])], pki) as asks:
        held(asks)
        edit(running, SHUT)
        assert until(lambda: not asks.decide(item()).allowed) < 3.0


def test_a_stream_that_is_silent_for_a_lease_ends_all_reuse(
    kind: tuple[str, str], running: Service, proxy: Proxy, pki: Pki
) -> None:
    with client(*kind, [proxy.port], pki, lease_seconds=3.0, timeouts=QUICK) as asks:
        held(asks)
        proxy.flows.clear()
        began = time.monotonic()
        edit(running, SHUT)
        ended = None
        while ended is None:
            try:
                if not asks.decide(item()).reused:
                    ended = time.monotonic()
            except UnreachableError:
                ended = time.monotonic()
            assert time.monotonic() - began < 10
            time.sleep(0.01)
        # The last word came before the stall; what was asked then is given up within the time of all tries.
        assert ended - began < 3.0 + QUICK.overall + 0.5
        proxy.flows.set()
        assert until(lambda: asks.is_reusing) < 10
        assert not asks.decide(item()).allowed


def test_what_comes_out_of_a_stall_is_not_taken_for_news(
    kind: tuple[str, str], running: Service, proxy: Proxy, pki: Pki
) -> None:
    """Heartbeats from before an edit arrive after it: they revive nothing."""
    with client(*kind, [proxy.port], pki, lease_seconds=2.5, timeouts=QUICK) as asks:
        held(asks)
        proxy.flows.clear()
        time.sleep(2.2)  # a heartbeat is held back
        edit(running, SHUT)
        time.sleep(1.0)  # and the lease is over
        assert not asks.is_reusing
        proxy.flows.set()
        deadline = time.monotonic() + 3.0
        while time.monotonic() < deadline:
            try:
                assert not asks.decide(item()).allowed
            except CouldNotAnswerError:
                continue


def test_a_service_that_is_gone_is_answered_for_no_longer_than_a_lease(
    kind: tuple[str, str], proxy: Proxy, pki: Pki
) -> None:
    with client(*kind, [proxy.port], pki, lease_seconds=3.0, timeouts=QUICK) as asks:
        held(asks)
        proxy.cut()
        assert asks.decide(item()).reused, "the lease is not over"
        until(lambda: not asks.is_reusing, 3.0 + 0.5)
        with pytest.raises(UnreachableError) as error:
            asks.decide(item())
        assert error.value.fault == "network"
        proxy.up = True
        assert until(lambda: asks.is_reusing) < 10


def test_a_stream_that_the_service_ends_begins_again_and_reuse_goes_on(
    pki: Pki, policies: Path, kind: tuple[str, str]
) -> None:
    """`limits.connection_seconds` ends it cleanly."""
    config = policies.parent / "settings.toml"
    config.write_text("[limits]\nconnection_seconds = 2\n", encoding="utf-8")
    service = Service(pki, policies, "--grpc", "127.0.0.1:0", "--config", str(config))
    try:
        with client(*kind, [port_of(service, kind[1])], pki, reuse=True) as asks:
            held(asks)
            deadline = time.monotonic() + 7.0
            while time.monotonic() < deadline:
                assert asks.is_reusing
                asks.decide(item())
                time.sleep(0.01)
            counts = asks.counts
            assert counts.misses <= 20, "asked anew only when an answer has aged"
            assert counts.dropped <= 1
    finally:
        service.stop()


def test_a_service_that_is_restarted_with_another_policy_is_never_answered_for_wrongly(
    pki: Pki, policies: Path, kind: tuple[str, str]
) -> None:
    service = Service(pki, policies, "--grpc", "127.0.0.1:0")
    proxy = Proxy(port_of(service, kind[1]))
    try:
        with client(*kind, [proxy.port], pki, timeouts=QUICK) as asks:
            held(asks)
            service.stop()
            (policies / "main.policy").write_text(SHUT, encoding="utf-8")
            service = Service(pki, policies, "--grpc", "127.0.0.1:0")
            proxy.to = port_of(service, kind[1])
            began = time.monotonic()
            while True:
                try:
                    if not asks.decide(item()).allowed:
                        break
                except CouldNotAnswerError:
                    pass
                assert time.monotonic() - began < 5.0, "for longer than a lease"
            until(lambda: asks.is_reusing)
            assert not asks.decide(item()).allowed
    finally:
        proxy.close()
        service.stop()


def test_another_certificate_leaves_nothing_and_asks_as_somebody_else(
    kind: tuple[str, str], running: Service
) -> None:
    """The files are replaced by those of a caller that may ask nothing about this service."""
    pki = running.pki
    pki.issue("changing", uris=["spiffe://prod.example.org/ns/pdp/sa/pep"])
    pki.issue("other", uris=["spiffe://prod.example.org/ns/shop/sa/pay"])
    with client(*kind, [port_of(running, kind[1])], pki, "changing") as asks:
        held(asks)
        dropped = asks.counts.dropped
        for part in ("", "-key"):
            (pki.folder / f"other{part}.pem").replace(pki.folder / f"changing{part}.pem")
        until(lambda: asks.counts.dropped > dropped)
        with pytest.raises(CouldNotAnswerError) as refused:
            asks.decide(item())
        assert refused.value.fault == "caller"


def test_files_that_do_not_fit_for_a_moment_change_nothing(running: Service, pki: Pki) -> None:
    pki.issue("halfway", uris=["spiffe://prod.example.org/ns/pdp/sa/pep"])
    whole = (pki.folder / "halfway.pem").read_bytes()
    with client("sync", "http", [running.port], pki, "halfway") as asks:
        held(asks)
        (pki.folder / "halfway.pem").write_bytes(b"")
        time.sleep(1.5)
        (pki.folder / "halfway.pem").write_bytes((pki.folder / "server.pem").read_bytes())
        time.sleep(1.5)
        assert asks.decide(item()).allowed
        (pki.folder / "halfway.pem").write_bytes(whole)


# -- several replicas ----------------------------------------------------------------------


@pytest.fixture
def replicas(pki: Pki, tmp_path: Path) -> Iterator[list[Service]]:
    """Two of the same policies, each with files of its own."""
    found = [
        Service(pki, make_policies(tmp_path / name / "policies"), "--grpc", "127.0.0.1:0")
        for name in ("a", "b")
    ]
    yield found
    for service in found:
        service.stop()


def test_another_replica_answers_for_one_that_is_gone_and_is_followed(
    kind: tuple[str, str], replicas: list[Service], pki: Pki
) -> None:
    one, other = replicas
    with client(*kind, [port_of(each, kind[1]) for each in replicas], pki, timeouts=QUICK) as asks:
        held(asks)
        one.stop()
        assert asks.decide(item(method="HEAD")).reason == "no_rule_matched"
        until(lambda: asks.is_reusing)
        held(asks)
        edit(other, SHUT)
        assert until(lambda: not asks.decide(item()).allowed) < 3.0


def test_the_stream_moves_to_another_replica_where_nobody_asks(
    kind: tuple[str, str], replicas: list[Service], pki: Pki
) -> None:
    """What is held would be answered to the end of the lease, and nothing after it, by nobody."""
    ports = [port_of(each, kind[1]) for each in replicas]
    with client(*kind, ports, pki, timeouts=QUICK, lease_seconds=3.0) as asks:
        held(asks)
        replicas[0].stop()
        time.sleep(3.5)
        until(lambda: asks.is_reusing, 5.0)


def test_another_replica_answers_in_time_for_one_that_hangs(
    kind: tuple[str, str], replicas: list[Service], pki: Pki
) -> None:
    hanging = Proxy(port_of(replicas[0], kind[1]))
    try:
        ports = [hanging.port, port_of(replicas[1], kind[1])]
        usual = Timeouts()
        assert usual.overall < 1.0
        with client(*kind, ports, pki, timeouts=Timeouts(connect=0.4, read=0.4, overall=1.6)) as asks:
            held(asks)
            hanging.flows.clear()
            began = time.monotonic()
            assert asks.decide(item(method="HEAD")).reason == "no_rule_matched"
            assert time.monotonic() - began < 1.6
            until(lambda: asks.is_reusing, 2.0)
            edit(replicas[1], SHUT)
            until(lambda: not asks.decide(item()).allowed, 3.0)
    finally:
        hanging.close()


def test_replicas_of_two_versions_never_have_old_answers_used_again(
    kind: tuple[str, str], replicas: list[Service], pki: Pki
) -> None:
    """As behind a load balancer: each connection goes to the other of the two."""
    edit(replicas[1], SHUT)
    proxy = Proxy(port_of(replicas[0], kind[1]))
    try:
        with client(*kind, [proxy.port], pki, timeouts=QUICK) as asks:
            held(asks)
            first = cache_of(asks).revision
            proxy.cut()
            proxy.to, proxy.up = port_of(replicas[1], kind[1]), True
            until(lambda: not asks.decide(item("/v1/items/1/2")).reused)
            found = asks.decide(item())
            assert found.revision != first
            assert not found.allowed
            until(lambda: cache_of(asks).revision == found.revision)
    finally:
        proxy.close()


def test_an_answer_that_contradicts_the_stream_has_it_begin_anew(replicas: list[Service], pki: Pki) -> None:
    """As behind a load balancer: the stream stays with one replica while questions go to the other."""
    edit(replicas[1], SHUT)
    proxy = Proxy(replicas[0].port)
    try:
        with client("sync", "http", [proxy.port], pki) as asks:
            held(asks)
            first = cache_of(asks).revision
            proxy.to = replicas[1].port  # for connections that are made from now on
            # Held back until one had to be made: a fast service answers all on the connection that there is.
            proxy.flows.clear()
            before = proxy.connections
            with ThreadPoolExecutor(8) as pool:
                asked = [pool.submit(asks.decide, item(f"/v1/other/{n}", method="PUT")) for n in range(8)]
                until(lambda: proxy.connections > before)
                proxy.flows.set()
                found = [each.result() for each in asked]
            assert len({each.revision for each in found}) == 2
            until(lambda: cache_of(asks).revision not in {first, None})
            assert not asks.decide(item()).reused
    finally:
        proxy.close()


def test_no_replica_at_all_is_an_error_within_the_time_for_all_tries(kind: tuple[str, str], pki: Pki) -> None:
    with client(*kind, [1, 2], pki, timeouts=Timeouts()) as asks:
        began = time.monotonic()
        with pytest.raises(UnreachableError):
            asks.decide(item())
        assert time.monotonic() - began < 2.0


# -- all of it together --------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_happens_an_answer_differs_for_at_most_one_lease(
    kind: tuple[str, str], running: Service, proxy: Proxy, pki: Pki, seed: int
) -> None:
    """Edits, stalls and cuts at random while threads ask: no answer is older than a lease."""
    lease, rng = 2.5, Random(seed)
    served: list[tuple[float, str]] = []  # since when at the latest each revision was the newest
    found: list[tuple[float, str, bool]] = []
    done = threading.Event()

    def ask(asks: Any) -> None:
        while not done.is_set():
            began = time.monotonic()
            try:
                answer = asks.decide(item(f"/v1/items/{rng.randrange(100)}"))
            except CouldNotAnswerError:
                continue
            found.append((began, answer.revision, answer.reused))
            time.sleep(0.002)

    with client(*kind, [proxy.port], pki, lease_seconds=lease, timeouts=QUICK) as asks:
        served.append((time.monotonic(), asks.decide(item()).revision))
        threads = [threading.Thread(target=ask, args=(asks,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for turn in range(12):
                match rng.randrange(4):
                    case 0:
                        proxy.flows.clear()
                    case 1:
                        proxy.cut()
                        proxy.up = True
                text = POLICY.replace("secret reason", f"reason {turn}")
                revision = edit(running, text)
                served.append((time.monotonic(), revision))
                time.sleep(rng.uniform(0, 1.5))
                proxy.flows.set()
                time.sleep(rng.uniform(0, 0.7))
        finally:
            done.set()
            proxy.flows.set()
            for thread in threads:
                thread.join()
    ends = {old: since for (_, old), (since, _) in pairwise(served)}  # when another one took its place
    late = [(began - ends[name], name) for began, name, _ in found if began > ends.get(name, began) + lease]
    assert not late
    reused = sum(reused for *_, reused in found)
    assert reused > 100
    assert len(found) > reused
