"""The README is true: its commands run as pasted and say what it says, and `make run`'s demo works.

In a ```console block of the README a line that begins with `$ ` is a command, continued by a backslash; what
follows is its output, where it has one. Commands that begin with `pdp` are run, in the tree, with this
environment's programs first on the path. `make` is not: it builds environments.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.sets import blocks
from tests.e2e.running import clean_environment
from tests.programs import needs

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECONDS = 3.0  # from the second `make run` on, until it serves

#: What may differ from run to run, with what stands for it.
VARIABLES = [
    (re.compile(r"\b[0-9a-f]{16}\b(~\d+)?"), "<revision>"),
    (re.compile(r"\b[0-9A-HJKMNP-TV-Z]{26}\b"), "<decision id>"),
    (re.compile(r"127\.0\.0\.1:\d+"), "<address>"),
]


@dataclass(frozen=True)
class Command:
    line: str
    output: str


def commands(page: str) -> list[Command]:
    """The commands of the console blocks, with the output that is shown for each."""
    found = []
    for block in blocks(page):
        if block.info != "console":
            continue
        joined = re.sub(r"\\\n\s*", "", block.text)
        for part in re.split(r"^\$ ", joined, flags=re.MULTILINE)[1:]:
            line, _, output = part.partition("\n")
            found.append(Command(line=re.sub(r"\s+# .*$", "", line).strip(), output=output.strip()))
    return found


def settled(text: str) -> str:
    for pattern, name in VARIABLES:
        text = pattern.sub(name, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


ALL = commands(README)
RUN = [command for command in ALL if command.line.startswith("pdp ")]
assert RUN, "no command was found in the README: this would pass by testing nothing"


@pytest.mark.parametrize("command", RUN, ids=lambda command: command.line[:40])
def test_command_runs_as_pasted_and_says_what_is_shown(command: Command) -> None:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        shlex.split(command.line), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        env={**clean_environment(), "PATH": programs, "PYTHONPATH": str(ROOT), "COLUMNS": "120"},
        executable=str(Path(sys.executable).parent / "pdp"),
    )  # fmt: skip

    assert done.stderr == ""
    assert settled(done.stdout) == settled(command.output)


def test_other_commands_are_targets_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {word for word in re.findall(r"\bmake ([a-z-]+)", README) if word not in {"a", "it"}}

    assert {command.line.split()[0] for command in ALL} <= {"pdp", "make"}
    assert {"run", "test"} <= named <= targets


def test_policy_shown_is_the_example_beside_it() -> None:
    (shown,) = [block.text for block in blocks(README) if block.info == "policy"]

    assert shown.strip() in (ROOT / "docs" / "examples" / "first.policy").read_text(encoding="utf-8")


def test_links_to_files_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if not link.startswith("http") and not (ROOT / link).exists()] == []


# -- make run --------------------------------------------------------------------------


def cpu_seconds(pid: int) -> float:
    """What a process has used of the processor: what it would take on a machine that is not busy."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Demo:
    """The demonstration in a folder of its own, with the policies of the tree."""

    def __init__(self, folder: Path) -> None:
        began = time.monotonic()
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pdp.cli.demo", "--http", "127.0.0.1:0", "policies"],
            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**clean_environment(), "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        self.text = ""
        self.until("serving revision")
        self.seconds = min(time.monotonic() - began, cpu_seconds(self.process.pid))
        self.until("Ctrl-C ends")

    def until(self, text: str) -> None:
        assert self.process.stdout is not None
        while text not in self.text:
            line = self.process.stdout.readline()
            assert line, f"ended without {text!r}:\n{self.text}"
            self.text += line

    def stop(self) -> int:
        assert self.process.stdout is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.text += self.process.stdout.read()
        self.process.stdout.close()
        return self.process.wait(15)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The second run: the certificates are there."""
    folder = tmp_path_factory.mktemp("demo")
    shutil.copytree(ROOT / "policies", folder / "policies")
    first = Demo(folder)
    assert first.stop() == 0, first.text
    second = Demo(folder)
    yield second
    assert second.stop() == 0, second.text
    assert "Traceback" not in first.text + second.text


def test_second_run_serves_soon(demo: Demo) -> None:
    assert demo.seconds < SECONDS
    assert "issued" not in demo.text


def test_both_questions_are_answered_with_their_regions(demo: Demo) -> None:
    allowed, denied = re.findall(r"^may .*?^$", demo.text, re.MULTILINE | re.DOTALL)

    assert re.search(r"ALLOW  allowed  cartservice\.boutique/", allowed)
    assert re.search(r"DENY  no_rule_matched", denied)
    assert re.search(r"nearest rule  .*charge .*principal: asked ", denied)
    for text in (allowed, denied):
        found = re.search(r"holds for     (\{.*\})", text)
        assert found is not None
        assert json.loads(found[1])["service"].endswith(".boutique")
        assert re.search(r"for at most   [1-9]\d* ms under revision [0-9a-f]{16}", text)


@needs("curl")
def test_curl_line_works_as_pasted(demo: Demo) -> None:
    found = re.search(r"^curl .*?(?<!\\)$", demo.text, re.MULTILINE | re.DOTALL)
    assert found is not None

    done = subprocess.run(
        ["sh", "-c", found[0]], cwd=demo.folder, capture_output=True, text=True, timeout=30, check=False
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["decision"] == "allow"


def test_file_that_it_says_to_edit_is_there_and_an_edit_is_shown(demo: Demo) -> None:
    found = re.search(r"^Edit (\S+) and save", demo.text, re.MULTILINE)
    assert found is not None
    file = demo.folder / found[1]

    file.write_text(file.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")

    demo.until("\nrevision ")


def test_a_taken_port_is_named_with_what_changes_it(demo: Demo) -> None:
    found = re.search(r"on https://(\S+)$", demo.text, re.MULTILINE)
    assert found is not None

    again = subprocess.run(
        [sys.executable, "-m", "pdp.cli.demo", "--http", found[1], "policies"],
        cwd=demo.folder, capture_output=True, text=True, timeout=30, check=False,
        env={**clean_environment(), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip

    assert again.returncode == 3
    assert f"{found[1]} is taken" in again.stderr
    assert "make run HTTP=" in again.stderr
