"""The Dockerfile, read: its stages, what they copy, and their build steps as a script for this machine.

No engine is needed. The steps are run as they stand, but that absolute paths lie below a folder; the base
image is stood for by the Python that runs the tests.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

__all__ = ["DOCKERFILE", "ROOT", "Image", "Stage", "build", "command", "is_sent", "read"]

ROOT: Final = Path(__file__).parents[2]
DOCKERFILE: Final = ROOT / "Dockerfile"


@dataclass
class Stage:
    """From one `FROM` to the next: its instructions in order, each a word and what follows it."""

    base: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, word: str) -> list[str]:
        return [text for found, text in self.instructions if found == word]

    def one(self, word: str) -> str:
        (text,) = self.all(word)
        return text

    def environment(self) -> dict[str, str]:
        return dict(part.split("=", 1) for text in self.all("ENV") for part in shlex.split(text))


@dataclass(frozen=True)
class Image:
    """What the build steps made: `/opt/pdp`, below a folder, and the last stage."""

    folder: Path
    stage: Stage

    @property
    def installed(self) -> Path:
        return self.folder / "opt" / "pdp"


def read(text: str) -> tuple[dict[str, str], list[Stage]]:
    """The arguments before the first stage, and the stages."""
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(base=base, name=name))
        elif word and not stages:
            assert word == "ARG", f"{word} before the first FROM"
            name, _, value = rest.partition("=")
            arguments[name] = value
        elif word:
            stages[-1].instructions.append((word, rest.strip()))
    return arguments, stages


def is_sent(path: str) -> bool:
    """Whether `.dockerignore` lets a path of the context through: the last line that matches it decides."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!")
        if not pattern or pattern.startswith("#"):
            continue
        parts = path.split("/")
        prefixes = ["/".join(parts[: count + 1]) for count in range(len(parts))]
        anywhere = pattern.removeprefix("**/")
        if any(fnmatch(each, pattern) for each in prefixes) or (anywhere != pattern and anywhere in parts):
            sent = line.startswith("!")
    return sent


def build(folder: Path) -> Image:
    """Run the steps of the first stage, below a folder."""
    _, (making, last) = read(DOCKERFILE.read_text(encoding="utf-8"))
    source = folder / making.one("WORKDIR").lstrip("/")
    source.mkdir(parents=True)
    (folder / "opt").mkdir()
    environment = {**_pip(), **making.environment(), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    for word, text in making.instructions:
        if word == "COPY":
            _copy(text, source)
        elif word == "RUN":
            _run(re.sub(r"(?<![\w/])/opt/", f"{shlex.quote(str(folder))}/opt/", text), source, environment)
    return Image(folder=folder, stage=last)


def _run(line: str, folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["sh", "-euc", line], cwd=folder, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def _pip() -> dict[str, str]:
    """Where packages are found on this machine, and nothing that a build would not see."""
    names = ("HOME", "HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return kept | {name: value for name, value in os.environ.items() if name.startswith("PIP_")}


def _copy(text: str, folder: Path) -> None:
    """`COPY`: a directory's content goes into the target, a file below it."""
    *sources, target = text.split()
    for name in sources:
        origin = ROOT / name
        if origin.is_dir():
            shutil.copytree(origin, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            assert target.endswith("/"), "a file's target is a directory, and says so"
            (folder / target).mkdir(parents=True, exist_ok=True)
            shutil.copy(origin, folder / target)


def command(stage: Stage) -> list[str]:
    """What the container runs."""
    words: list[str] = [*json.loads(stage.one("ENTRYPOINT")), *json.loads(stage.one("CMD"))]
    return words
