"""The unit is one that systemd takes, closes what it says, and lets the service work."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pdp.adapters.grpc.v1 import decision_pb2 as v1
from pdp.limits import DEFAULT_GRACE_SECONDS, DRAIN_SECONDS, LOG_STOP_SECONDS
from pdp.process.together import _SPARE_SECONDS
from tests.deploy.confined import LIBRARY, settings
from tests.deploy.dockerfile import ROOT
from tests.e2e.grpc_calls import call, channel, grpc_port, to_question
from tests.e2e.running import PROD, Pki, Service, ask, make_policies, question, until
from tests.programs import needs, needs_library

FOLDER = ROOT / "deploy" / "systemd"
UNIT = FOLDER / "pdp.service"
SETTINGS = settings(UNIT)
EXPOSURE = 1.5  # of ten: it listens on the network, which alone is 0.8


needs_systemd = needs("systemd-analyze")


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with the command of this environment."""
    command = Path(sys.executable).parent / "pdp"
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text(encoding="utf-8").replace("/opt/pdp/bin/pdp", str(command)))
    return copy


@needs_systemd
@pytest.mark.parametrize("dropped_in", [False, True], ids=["alone", "live-renewal"])
def test_systemd_takes_it_without_a_warning(unit: Path, *, dropped_in: bool) -> None:
    if dropped_in:
        folder = unit.with_name("pdp.service.d")
        folder.mkdir()
        shutil.copy(FOLDER / "live-renewal.conf", folder)

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_what_it_leaves_open_is_little(unit: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    found = re.search(r"Overall exposure level for pdp.service: ([\d.]+)", done.stdout)

    assert found is not None, done.stdout + done.stderr
    assert float(found[1]) <= EXPOSURE


def test_it_may_take_as_long_to_end_as_the_service_does() -> None:
    (seconds,) = SETTINGS["TimeoutStopSec"]

    assert int(seconds) >= DEFAULT_GRACE_SECONDS + DRAIN_SECONDS + max(LOG_STOP_SECONDS, _SPARE_SECONDS)


def test_workers_are_left_to_the_supervisor_and_a_socket_s_directory_is_ours_alone() -> None:
    assert SETTINGS["KillMode"] == ["mixed"]
    assert (SETTINGS["RuntimeDirectory"], SETTINGS["RuntimeDirectoryMode"]) == (["pdp"], ["0700"])
    assert [value.partition(":")[0] for value in SETTINGS["LoadCredential"]] == ["tls.crt", "tls.key"]


def test_a_reload_has_the_settings_read_again() -> None:
    """As systemd has it; a service that is reloaded before it hears the signal is begun anew."""
    assert SETTINGS["ExecReload"] == ["kill -HUP $MAINPID"]
    assert SETTINGS["RestartForceExitStatus"] == ["SIGHUP"]


def reload(service: Service, confined: list[str]) -> None:
    """What `systemctl reload` does, confined as the service is."""
    (line,) = SETTINGS["ExecReload"]
    program, *arguments = line.replace("$MAINPID", str(service.process.pid)).split()
    found = shutil.which(program)
    assert found is not None, f"{program}: no such program"
    subprocess.run([*confined, found, *arguments], check=True, timeout=60)


@needs_library(LIBRARY, "systemd-analyze", "kill")
def test_what_is_closed_is_closed_and_the_service_works_all_the_same(tmp_path: Path, pki: Pki) -> None:
    """In two workers and over gRPC, so that all compiled libraries are there; an edit is followed."""
    confined = [sys.executable, str(ROOT / "tests" / "deploy" / "confined.py"), str(UNIT), sys.executable]
    tried = """
import mmap, os, socket
for what in (lambda: mmap.mmap(-1, 4096, prot=7), lambda: socket.socket(16, 3), lambda: os.chroot("/")):
    try:
        what()
        print("open")
    except OSError as error:
        print(error.strerror)
"""
    done = subprocess.run([*confined, "-c", tried], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == [
        "Operation not permitted",
        "Address family not supported by protocol",
        "Operation not permitted",
    ]

    policies, file = make_policies(tmp_path / "policies"), tmp_path / "pdp.toml"
    file.write_text("")
    service = Service(pki, policies, command=[
        *confined, "-m", "pdp.cli.main", "serve", str(policies), "--config", str(file),
        "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0",
        "--cert", str(pki.folder / "server.pem"), "--key", str(pki.folder / "server-key.pem"),
        "--trust", f"{PROD}={pki.folder / 'prod.pem'}", "--workers", "2", "--health", "127.0.0.1:0",
    ])  # fmt: skip
    try:
        assert ask(service).json["decision"] == "allow"
        with channel(pki, grpc_port(service)) as on:
            answer = call(on, "Decide", to_question(question()), v1.Answer)
            assert answer.decision == v1.DECISION_ALLOW
        (policies / "more.policy").write_text("language 1\nservice more {}\n", encoding="utf-8")
        until(lambda: "`more` is new" in service.log)
        assert ask(service).json["decision"] == "allow"

        file.write_text("[limits]\nmax_age_ms = 70\n")
        reload(service, confined[:-1])
        service.wait_line("settings read again: limits.max_age_ms changed")
        until(lambda: ask(service).json["max_age_ms"] == 70)
    finally:
        code = service.stop()
    assert code == 0, service.log
    assert not re.search("Traceback|rror", service.log), service.log
