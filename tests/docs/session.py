"""The commands of a page, run as an operator would: in one directory, one after the other, beside a service.

In a ```console block a line that begins with `$ ` is a command; what follows is what it prints, of which
each line has to be there, in that order, `...` standing for anything. A command has to end with 0, unless
the line ends in `# exits with N`; one that ends in `&` begins the service. What is printed may take a moment
to be true, so a command that only looks is repeated until it says what is shown. A block whose info names a
file is that file.

Addresses of the page are free ones here: the service is given port 0, and tells which it took. `%1`, the
shell's name for what was begun with `&`, is the service.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.docs.sets import blocks
from tests.e2e.running import clean_environment

__all__ = ["Command", "Session", "steps"]

SECONDS: Final = 30.0
_LOOKS: Final = ("curl ", "grep ", "tail ")
_ADDRESSES: Final = {
    "127.0.0.1:8443": re.compile(r"^serving revision .* on https://(\S+)$", re.MULTILINE),
    "127.0.0.1:8080": re.compile(r"^answering probes on http://([^/\s]+)", re.MULTILINE),
}
_LOG: Final = "pdp.log"
_FREE: Final = {"PDP_HTTP__LISTEN": "127.0.0.1:0", "PDP_HEALTH__LISTEN": "127.0.0.1:0"}


@dataclass(frozen=True)
class Command:
    """A command of a page, with what it prints and the status that it ends with."""

    line: str
    shown: tuple[str, ...] = ()
    status: int = 0


@dataclass(frozen=True)
class File:
    """A file of a page."""

    name: str
    text: str


def steps(section: str) -> list[Command | File]:
    """What a section has its reader do, in order."""
    found: list[Command | File] = []
    for block in blocks(section):
        kind, _, name = block.info.partition(" ")
        if kind == "console" and not name:
            found += _commands(block.text)
        elif name and kind != "console":
            found.append(File(name, block.text))
    return found


def _commands(text: str) -> list[Command]:
    found = []
    for part in re.split(r"^\$ ", re.sub(r"\\\n\s*", "", text), flags=re.MULTILINE)[1:]:
        line, *shown = part.strip("\n").split("\n")
        exits = re.search(r"\s+# exits with (\d+)$", line)
        line = line[: exits.start()] if exits else line
        found.append(Command(line, tuple(shown), int(exits[1]) if exits else 0))
    return found


class Session:
    """A directory, and the service that a command in it began."""

    def __init__(self, folder: Path, after: Mapping[str, Callable[["Session"], None]]) -> None:
        """Begin in a directory; `after` is what happens once a command that begins so was run."""
        self.folder = folder
        self.after = after
        self.service: subprocess.Popen[bytes] | None = None
        self.addresses: dict[str, str] = {}
        self._environment = {
            **clean_environment(),
            **{f"GIT_{who}_NAME": "operator" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "operator@example.org" for who in ("AUTHOR", "COMMITTER")},
            "GIT_CONFIG_GLOBAL": os.devnull,
            "LC_ALL": "C",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }

    def follow(self, section: str) -> None:
        """Do all that a section says."""
        for step in steps(section):
            if isinstance(step, File):
                path = self.folder / step.name
                path.parent.mkdir(exist_ok=True)
                path.write_text(step.text, encoding="utf-8")
            elif step.line.endswith("&"):
                self.begin(step.line.removesuffix("&"))
            else:
                self.run(step)

    def begin(self, line: str = f"pdp serve --config pdp.toml >{_LOG} 2>&1", **variables: str) -> None:
        """Begin the service, in the place of one that runs, and wait until it serves."""
        self.stop()
        (self.folder / _LOG).unlink(missing_ok=True)  # it tells of addresses of the one before
        self.service = subprocess.Popen(
            ["bash", "-c", f"exec {line}"], cwd=self.folder, env={**self._environment, **_FREE, **variables}
        )
        deadline = time.monotonic() + SECONDS
        while len(found := self._taken()) < len(_ADDRESSES):
            assert self.service.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)
        self.addresses = found

    def _taken(self) -> dict[str, str]:
        return {name: found[1] for name, pattern in _ADDRESSES.items() if (found := pattern.search(self.log))}

    @property
    def log(self) -> str:
        file = self.folder / _LOG
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def run(self, command: Command) -> None:
        """Run a command and compare; one that only looks, until it shows what it should."""
        line = command.line
        for name, address in self.addresses.items():
            line = line.replace(name, address)
        if self.service is not None:
            line = re.sub(r"(?<=\s)%1\b", str(self.service.pid), line)
        environment = self._environment | (_FREE if line.startswith("pdp serve") else {})
        deadline = time.monotonic() + (SECONDS if line.startswith(_LOOKS) else 0)
        while True:
            done = subprocess.run(
                ["bash", "-o", "pipefail", "-c", line], cwd=self.folder, env=environment, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False,
            )  # fmt: skip
            if done.returncode == command.status and shows(done.stdout, command.shown):
                break
            assert time.monotonic() < deadline, (
                f"{line}\nended with {done.returncode}:\n{done.stdout}\n-- but should show\n"
                + "\n".join(command.shown)
                + f"\n-- the service said\n{self.log}"
            )
            time.sleep(0.2)
        for beginning, then in self.after.items():
            if line.startswith(beginning):
                then(self)

    def stop(self) -> None:
        """End the service, if there is one."""
        if self.service is not None:
            self.service.terminate()
            try:
                self.service.wait(1)
            except subprocess.TimeoutExpired:
                self.service.terminate()  # at once
                self.service.wait(SECONDS)
            self.service = None


def shows(text: str, lines: tuple[str, ...]) -> bool:
    """Whether all lines are there, in order; `...` stands for anything."""
    rest = iter(text.splitlines())
    stripped = [line.strip() for line in lines if line.strip()]
    patterns = [re.compile(".*".join(map(re.escape, line.split("...")))) for line in stripped]
    return all(any(pattern.fullmatch(each.strip()) for each in rest) for pattern in patterns)
