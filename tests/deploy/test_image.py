"""The image as its build steps make it: the service runs in it as any user, and writes nothing.

`dockerfile.py` runs the steps, `container.py` makes the container. What the Deployment mounts is mounted.
"""

import http.client
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.container import arguments, needs_namespaces, signal_to
from tests.deploy.dockerfile import ROOT, Image, build, command
from tests.deploy.kubernetes import Manifests, asked, certificates, volume
from tests.e2e.running import Pki, Service, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MANIFESTS = Manifests()
#: In the place of the fixed addresses of the settings: tests listen on loopback, on free ports.
FREE = {"PDP_HTTP__LISTEN": "127.0.0.1:0", "PDP_HEALTH__LISTEN": "127.0.0.1:0"}
STRANGER = "54321:65532"  # a user that this machine does not know, in the group of the Secret's files


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every user can read; those of pytest are ours alone."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    if not can_fetch():
        pytest.skip("packages cannot be fetched here")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield build(Path(name))


def can_fetch() -> bool:
    """Whether the first of the locked packages is to be had; what keeps others away is a failure."""
    locked = (ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    first = re.match(r".*?[^\\]\n", locked, re.DOTALL)
    assert first is not None
    with tempfile.TemporaryDirectory() as name:
        file = Path(name, "first.txt")
        file.write_text(first[0], encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--dest", name]
        return subprocess.run([*pip, "-r", str(file)], capture_output=True, check=False).returncode == 0


def probe(service: Service, path: str) -> int:
    address = service.wait_line("answering probes on http://").split("http://")[1].partition("/")[0]
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_only_the_locked_packages_are_in_it(image: Image) -> None:
    locked = re.findall(r"^([\w.-]+)==", (ROOT / "requirements" / "runtime.txt").read_text(), re.MULTILINE)
    site = next((image.installed / "lib").glob("python3*/site-packages"))
    installed = {path.name.partition("-")[0].lower() for path in site.glob("*.dist-info")}

    assert installed == {name.replace("-", "_").replace(".", "_").lower() for name in locked} | {"pdp"}


def test_its_command_answers_without_home_path_or_shell(image: Image) -> None:
    done = subprocess.run(
        [str(image.installed / "bin" / "pdp"), "--version"], capture_output=True, check=True, env={}, cwd="/"
    )

    assert re.search(rb"\d+\.\d+", done.stdout)
    first = (image.installed / "bin" / "pdp").read_bytes().partition(b"\n")[0]
    assert first == f"#!{image.installed}/bin/python".encode()


@needs_namespaces
def test_in_the_container_nothing_can_be_written_and_there_are_no_rights(
    image: Image, place: Path, pki: Pki
) -> None:
    """That the container of the next test is one."""
    (place / "over").mkdir()
    folders = ("", "/tmp", "/dev/shm", "/opt/pdp", "/etc/pdp/policies", "/etc/pdp/certificates")  # noqa: S108
    tried = [f"{folder}/{place.name}" for folder in folders]
    words = ["python", "-c", f"""
import os
for name in {tried}:
    try:
        open(name, "w")
    except OSError as error:
        print(name, error.strerror)
print([line.split()[1] for line in open("/proc/self/status") if line[:6] in ("CapEff", "CapBnd", "NoNewP")])
print(os.getpid(), os.getuid(), sorted(set(os.environ) - {{"LC_CTYPE"}}))  # which Python sets itself
"""]  # fmt: skip
    environment = image.stage.environment()
    done = subprocess.run(
        arguments(
            place / "over", words, environment=environment, user=image.stage.one("USER"),
            mounts={"/opt/pdp": image.installed, **MANIFESTS.mounts(place, certificates(pki))},
        ), capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip

    *refused, rights, us = done.stdout.splitlines()
    assert [line.partition(" ")[0] for line in refused] == tried
    assert {line.partition(" ")[2] for line in refused} == {"Read-only file system"}
    assert rights == str(["0" * 16, "0" * 16, "1"])
    assert us == f"1 65532 {sorted(environment)}"


@needs_namespaces
@pytest.mark.parametrize(("user", "workers"), [("", 1), (STRANGER, 2)])
def test_the_container_of_the_deployment_serves_follows_and_ends(
    image: Image, place: Path, pki: Pki, user: str, workers: int
) -> None:
    """Nothing can be written, nobody knows the user, and no variable is set but those of the image."""
    mounts = MANIFESTS.mounts(place, certificates(pki))
    over = place / "over"
    over.mkdir()
    words = [command(image.stage)[0], *MANIFESTS.container["args"]]
    service = Service(pki, place, command=arguments(
        over,
        words,
        mounts={"/opt/pdp": image.installed, str(image.installed): image.installed, **mounts},
        environment={**image.stage.environment(), **FREE, "PDP_PROCESS__WORKERS": str(workers)},
        user=user or image.stage.one("USER"),
    ))  # fmt: skip
    try:
        answer = service.send(asked(), caller="proxy").json
        assert answer["decision"] == "allow"
        assert f'"decision_id":"{answer["decision_id"]}"' in service.wait_line(answer["decision_id"])
        assert [probe(service, MANIFESTS.container[f"{name}Probe"]["httpGet"]["path"])
                for name in ("startup", "liveness", "readiness")] == [200, 200, 200]  # fmt: skip

        volume(mounts["/etc/pdp/certificates"], certificates(pki, "renewed"), mode=0o440)
        service.wait_line("our certificate was renewed")

        began = time.monotonic()
        signal_to(service.process, signal.SIGTERM)
        until(lambda: probe(service, "/health/ready") == 503, 4)
        assert service.send(asked(), caller="proxy").json["decision"] == "allow"
        assert service.process.wait(MANIFESTS.pod["terminationGracePeriodSeconds"]) == 0
        assert time.monotonic() - began >= 4.9
    finally:
        service.stop(signal.SIGKILL)
    assert "Traceback" not in service.log
