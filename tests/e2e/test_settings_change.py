"""Settings that are read again on SIGHUP, over the real service, alone and with several workers."""

import http.client
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.e2e.running import PEP, PROD, Pki, Service, ask, question, send, until
from tests.e2e.test_life import probe
from tests.e2e.test_workers import workers_of

BEGIN = '[drain]\ngrace_seconds = 100\n[health]\nlisten = "127.0.0.1:0"\n[decision_log]\nto = "LOG"\n'
CONNECTIONS = 6  # enough to reach every worker


class World:
    """A service, its file of settings, and its log."""

    def __init__(self, pki: Pki, policies: Path, folder: Path, workers: int) -> None:
        self.file, self.log = folder / "pdp.toml", folder / "log"
        self.write("")
        self.service = Service(pki, policies, "--config", str(self.file), "--workers", str(workers))

    def write(self, text: str) -> None:
        self.file.write_text(BEGIN.replace("LOG", str(self.log)) + text)

    def hang_up(self, since: int | None = None) -> str:
        """Send SIGHUP; the line that is told of it."""
        mark = self.service.mark() if since is None else since
        self.service.process.send_signal(signal.SIGHUP)
        return self.service.wait_line("settings", mark)

    def change(self, text: str) -> str:
        self.write(text)
        return self.hang_up()

    def everywhere(self, path: str = "/v1/decide", body: object = None) -> list[dict]:
        """The answers of connections that are spread over all workers."""
        with ExitStack() as opened:
            connections = [opened.enter_context(closing(self.service.connect())) for _ in range(CONNECTIONS)]
            asked = question() if body is None else body
            return [send(each, asked, path=path).json for each in connections]  # type: ignore[arg-type]


@pytest.fixture(params=[1, 2])
def world(pki: Pki, policies: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(pki, policies, tmp_path, request.param)
    yield world
    world.service.stop(signal.SIGINT)


def test_limits_hold_from_the_next_question_on_and_no_connection_is_closed(world: World) -> None:
    with closing(world.service.connect()) as open_before:
        assert send(open_before, question()).json["max_age_ms"] == 5000
        running = world.service.process.pid, workers_of(world.service)

        line = world.change("[limits]\nmax_age_ms = 70\n")

        assert line == "settings read again: limits.max_age_ms changed"
        until(lambda: send(open_before, question()).json["max_age_ms"] == 70)
    until(lambda: {each["max_age_ms"] for each in world.everywhere()} == {70})
    assert running == (world.service.process.pid, workers_of(world.service))

    assert world.change("") == "settings read again: limits.max_age_ms changed"
    until(lambda: {each["max_age_ms"] for each in world.everywhere()} == {5000})


def test_callers_are_metered_from_then_on(world: World) -> None:
    world.change("[limits]\nper_caller_per_second = 1\n")

    until(lambda: "rate_limited" in json.dumps(world.everywhere()))
    world.change("")
    until(lambda: "rate_limited" not in json.dumps(world.everywhere()))


def test_freshness_holds_from_then_on(world: World) -> None:
    world.service.policies.joinpath("main.policy").write_text("language 1\nallow\n")
    world.service.wait_line("still serving")
    until(lambda: ask(world.service).json["age_seconds"] >= 2)

    said = world.change(
        "[freshness]\nmax_staleness_seconds = 1\n[freshness.services.nowhere]\nwhen_stale = 'serve'\n"
    )

    assert said.startswith("settings read again: freshness.max_staleness_seconds, freshness.services.nowhere")
    world.service.wait_line("`freshness.services.nowhere`: the policy set declares no such service")
    until(lambda: {each["reason"] for each in world.everywhere()} == {"stale"})
    world.change("")
    until(lambda: {each["reason"] for each in world.everywhere()} == {"allowed"})


def test_who_reads_metrics_holds_from_then_on(world: World) -> None:
    def status() -> int:
        return world.service.send("", method="GET", path="/metrics", headers={}).status

    assert status() == 403
    world.change(f'[metrics]\nreaders = ["{PEP}"]\n')
    until(lambda: {status() for _ in range(CONNECTIONS)} == {200})
    world.change(f'[metrics]\nreaders = ["spiffe://{PROD}/other"]\n')
    until(lambda: {status() for _ in range(CONNECTIONS)} == {403})


def test_the_way_of_the_log_holds_from_then_on(world: World) -> None:
    main = world.service.policies / "main.policy"
    rule = '    allow prod/ns/shop/sa/* to GET /v1/h when header.x-a has "v" as header\n'
    main.write_text(main.read_text().replace("    deny anyone", f"{rule}    deny anyone"))
    asked = question(path="/v1/h", context={"header.x-a": ["v"]})
    until(lambda: {each.get("decision") for each in world.everywhere(body=asked)} == {"allow"})

    def lines() -> list[dict]:
        return [json.loads(line) for line in world.log.read_text().splitlines()]

    def values() -> list[object]:
        return [line["read"]["header.x-a"] for line in lines() if line["decision"] == "allow"]

    until(lambda: len(values()) >= CONNECTIONS)
    assert all(str(value).startswith("keyed:") for value in values())
    assert world.change('plain_headers = ["x-a"]\n') == (
        "settings read again: decision_log.plain_headers changed"
    )
    until(lambda: world.everywhere(body=asked) and values()[-CONNECTIONS:] == [["v"]] * CONNECTIONS)

    said = world.change('mode = "sample"\none_in = 1000000\n')
    assert said == (
        "settings read again: decision_log.mode, decision_log.one_in, decision_log.plain_headers changed"
    )
    time.sleep(0.5)
    before = len(lines())
    assert {each["decision"] for each in world.everywhere(body=asked)} == {"allow"}  # next to none is logged
    assert {each["decision"] for each in world.everywhere(body=question(path="/v1/no"))} == {"deny"}
    until(lambda: len(lines()) >= before + CONNECTIONS)
    assert {line["decision"] for line in lines()[before:]} == {"deny"}


def test_probes_and_the_grace_period_are_as_the_settings_are_now(world: World) -> None:
    world.service.policies.joinpath("main.policy").write_text("language 1\nallow\n")
    world.service.wait_line("still serving")
    until(lambda: ask(world.service).json["age_seconds"] >= 2)
    assert probe(world.service, "/health/fresh")[0] == 200

    text = world.file.read_text().replace("[decision_log]", "max_staleness_seconds = 1\n[decision_log]")
    world.file.write_text(text.replace("grace_seconds = 100", "grace_seconds = 0.1"))
    said = world.hang_up()
    assert said == "settings read again: drain.grace_seconds, health.max_staleness_seconds changed"
    until(lambda: probe(world.service, "/health/fresh")[0] == 503)

    assert world.service.stop() == 0  # much sooner than after the grace period of before


def test_connections_that_are_made_from_then_on_have_the_new_age(world: World) -> None:
    world.change("[limits]\nconnection_seconds = 1\n")

    def ends() -> bool:
        with closing(world.service.connect()) as connection:
            send(connection, question())
            time.sleep(1.3)
            try:
                return send(connection, question()).headers.get("connection") == "close"
            except (OSError, http.client.HTTPException):
                return True

    until(ends)
    assert ends()


def test_a_file_with_a_mistake_changes_nothing_and_says_what_is_wrong(world: World) -> None:
    world.change("[limits]\nmax_age_ms = 70\n")
    mark = world.service.mark()

    world.write("[limits]\nmax_age_ms = 71\nin_fligth = 1\n")
    assert world.hang_up(mark) == "the settings are as before" or world.service.wait_line("as before", mark)

    told = "\n".join(world.service.lines[mark:])
    assert "pdp.toml:9:1: error[setting]: there is no setting `limits.in_fligth`" in told
    assert "did you mean `in_flight`?" in told
    assert {each["max_age_ms"] for each in world.everywhere()} == {70}

    mark = world.service.mark()
    world.write("[limits\n")
    world.hang_up(mark)
    world.service.wait_line("as before", mark)
    assert "this is not TOML" in "\n".join(world.service.lines[mark:])

    mark = world.service.mark()
    world.file.unlink()
    world.service.process.send_signal(signal.SIGHUP)
    world.service.wait_line("as before", mark)
    assert "pdp.toml cannot be read: No such file or directory" in "\n".join(world.service.lines[mark:])
    assert {each["max_age_ms"] for each in world.everywhere()} == {70}


def test_what_became_of_them_is_counted(world: World) -> None:
    def counted() -> set[str]:
        page = world.service.send("", method="GET", path="/metrics", headers={}).body.decode()
        return {line for line in page.splitlines() if line.startswith("pdp_settings_reloads_total")}

    readers = f'[metrics]\nreaders = ["{PEP}"]\n'
    world.change(readers)
    world.change(f"{readers}[limits]\nmax_age_ms = 0\n[limits]\n")
    world.change(readers)

    expected = {
        'pdp_settings_reloads_total{outcome="accepted"} 2.0',
        'pdp_settings_reloads_total{outcome="rejected"} 1.0',
    }
    until(lambda: counted() == expected)


def test_what_takes_a_restart_is_named_and_does_not_hold(world: World) -> None:
    world.write("[limits]\nmax_age_ms = 70\n")
    world.file.write_text(
        world.file.read_text().replace("127.0.0.1:0", "127.0.0.1:1").replace("/log", "/other")
    )

    said = world.hang_up()

    assert said == (
        "settings read again: limits.max_age_ms changed; decision_log.to, health.listen take a restart"
    )
    assert probe(world.service)[0] == 200
    until(lambda: {each["max_age_ms"] for each in world.everywhere()} == {70})
    assert not (world.log.parent / "other").exists()
    assert world.hang_up() == "settings read again: decision_log.to, health.listen take a restart"


def test_many_signals_at_once_end_nothing(world: World) -> None:
    for number in range(200):
        if number % 20 == 0:
            world.write(f"[limits]\nmax_age_ms = {number + 1}\n")
        world.service.process.send_signal(signal.SIGHUP)
    world.change("[limits]\nmax_age_ms = 77\n")

    until(lambda: {each["max_age_ms"] for each in world.everywhere()} == {77})
    world.service.assert_still_answers()


def test_workers_that_are_begun_later_have_the_settings_of_now(
    pki: Pki, policies: Path, tmp_path: Path
) -> None:
    world = World(pki, policies, tmp_path, 2)
    try:
        world.change("[limits]\nmax_age_ms = 70\n")
        for worker in workers_of(world.service):
            os.kill(worker, signal.SIGHUP)  # settings come from the supervisor
        before = workers_of(world.service)
        os.kill(before[0], signal.SIGKILL)
        until(lambda: len(set(workers_of(world.service)) - set(before)) == 1, 60)
        # While it begins: it was given others.
        world.change("[limits]\nmax_age_ms = 71\n")
        assert before[1] in workers_of(world.service)

        for _ in range(20):
            time.sleep(0.1)
            until(lambda: {each["max_age_ms"] for each in world.everywhere()} == {71})
    finally:
        world.service.stop(signal.SIGINT)


def test_without_a_file_the_signal_means_what_it_always_does(pki: Pki, policies: Path) -> None:
    inherited = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs us may have it ignored
    try:
        service = Service(pki, policies)
    finally:
        signal.signal(signal.SIGHUP, inherited)

    assert service.stop(signal.SIGHUP) == -signal.SIGHUP
