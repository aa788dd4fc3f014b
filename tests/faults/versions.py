"""Faults of what is followed: policies, roots, our own certificate."""

import ssl
import time

from tests.e2e.running import PROD, until
from tests.e2e.trusting import replace, rest_of
from tests.faults.load import Load
from tests.faults.published import BROKEN, VERSIONS, policy
from tests.faults.stage import WORKERS, Stage
from tests.faults.trial import Done, Fault, Trial

__all__ = ["FOLLOWED"]

_NEAR_SECONDS = 0.05
_WARM = 8  # reloads before memory is looked at
_LEAK_KILOBYTES = 40.0  # of all workers, for each reload: less than a version of this set takes, many times


def break_the_policy(trial: Trial) -> Done:
    stage, mark = trial.stage, trial.stage.service.mark()
    served = stage.order[-1]
    hurt = time.monotonic()
    stage.write(BROKEN)
    stage.service.wait_line(f"still serving {served}", mark)
    told = time.monotonic() - hurt
    trial.steady()
    assert stage.order[-1] == served
    stage.publish(1)
    return Done(hurt, f"told after {told:.2f} s")


def reload_again_and_again(trial: Trial) -> Done:
    stage = trial.stage
    hurt = time.monotonic()
    first = len(stage.order)
    memory = 0
    for number in range(trial.effort.reloads):
        stage.publish(number % VERSIONS)
        if number == _WARM:
            memory = stage.memory()
    took = time.monotonic() - hurt
    until(lambda: trial.load.answered[-1].revision == stage.order[-1])
    stage.wait_whole()
    more = stage.memory() - memory
    reloads = trial.effort.reloads - _WARM
    assert more < max(20_000, _LEAK_KILOBYTES * reloads), f"{more} KB more after {reloads} reloads"
    near, all_of_them = latencies_near_changes(trial.load, stage.order[first:])
    return Done(
        hurt,
        f"{len(stage.order) - first} versions, {1000 * took / trial.effort.reloads:.0f} ms each; "
        f"p99 {1000 * near:.0f} ms near a change, {1000 * all_of_them:.0f} ms over all; "
        f"{more / 1024:+.1f} MiB in {WORKERS} workers",
    )


def latencies_near_changes(load: Load, order: list[str]) -> tuple[float, float]:
    """p99 of answers around the first one of each revision, and of all since the first change."""
    first: dict[str, float] = {}
    for each in sorted(load.answered, key=lambda each: each.heard):
        first.setdefault(each.revision, each.heard)
    changes = sorted(first[revision] for revision in order if revision in first)
    since = [each for each in load.answered if each.asked >= changes[0] - 1]
    near = [
        each.heard - each.asked
        for each in since
        if any(each.asked - _NEAR_SECONDS < change < each.heard + _NEAR_SECONDS for change in changes)
    ]
    return _p99(near), _p99([each.heard - each.asked for each in since])


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.99)]


def remove_a_root(trial: Trial) -> Done:
    """Twice: the machine may be busy with others, and the quickest says what ours takes."""
    stage, took = trial.stage, []
    hurt = time.monotonic()
    for _ in range(2):
        mark = stage.service.mark()
        with stage.service.tls("second") as idle:
            removed = time.monotonic()
            stage.believe(stage.first)
            received, _ = rest_of(idle)
        assert received == b""
        stage.service.wait_line(f"trust changed: `{PROD}`: 1 root removed", mark)
        trial.steady()
        last = max(each.heard for each in trial.load.answered if each.caller == "second")
        took.append(last - removed)
        assert not _is_let_in(stage)
        assert {each.caller for each in trial.load.answered[-50:]} == {"pep", "grpc"}
        since = trial.asked()
        stage.believe(stage.first, stage.other)
        until(lambda since=since: any(e.caller == "second" for e in trial.load.answered[since:]))
    assert min(took) < 1, took
    return Done(hurt, f"its callers are answered for {min(took):.2f} s more", apart="second")


def _is_let_in(stage: Stage) -> bool:
    try:
        with stage.service.tls("second") as sock:
            return bool(sock.recv(1))
    except OSError:
        return False


def renew_our_certificate(trial: Trial) -> Done:
    stage, folder = trial.stage, trial.stage.folder
    before = _presented(stage)
    name = stage.pki.issue(
        "renewed", uris=[f"spiffe://{PROD}/ns/pdp/sa/pdp"], dns=["localhost"], ips=["127.0.0.1"]
    )
    hurt = time.monotonic()
    for suffix in ("", "-key"):
        replace(folder / f"server{suffix}.pem", (folder / f"{name}{suffix}.pem").read_bytes())
    until(lambda: not before & {each for _ in range(2 * WORKERS) for each in _presented(stage)})
    took = time.monotonic() - hurt
    trial.steady()
    return Done(hurt, f"presented by all after {took:.2f} s")


def _presented(stage: Stage) -> set[bytes]:
    with stage.service.tls() as sock:
        found = sock.getpeercert(binary_form=True)
        assert isinstance(sock, ssl.SSLSocket)
        return set() if found is None else {found}


def hide_the_policies(trial: Trial) -> Done:
    stage, mark = trial.stage, trial.stage.service.mark()
    hidden = stage.policies.with_name("hidden")
    served = stage.order[-1]
    hurt = time.monotonic()
    stage.policies.rename(hidden)
    stage.service.wait_line(f"`{stage.policies}` cannot be opened", mark)
    told = time.monotonic() - hurt
    trial.steady()
    assert stage.order[-1] == served
    hidden.rename(stage.policies)
    returned = time.monotonic()
    stage.write(policy((stage.expected.versions[served.partition("~")[0]] + 1) % VERSIONS))
    until(lambda: trial.load.answered[-1].revision != served)
    live = time.monotonic() - returned
    until(lambda: stage.order[-1] != served)
    return Done(hurt, f"told after {told:.1f} s; an edit is live {live:.2f} s after its return")


FOLLOWED = (
    Fault("a broken policy is published", break_the_policy),
    Fault("versions are published in quick succession", reload_again_and_again),
    Fault("a root is removed", remove_a_root),
    Fault("our certificate is renewed", renew_our_certificate),
    Fault("the policy directory disappears", hide_the_policies),
)
