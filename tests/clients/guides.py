"""The guides under `clients/`, read: their folders, their files and what those say."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

__all__ = ["CLIENTS", "GUIDES", "MANIFESTS", "Guide", "documents"]

CLIENTS: Final = Path(__file__).parents[2] / "clients"


@dataclass(frozen=True)
class Guide:
    """One folder with a page."""

    folder: Path

    @property
    def text(self) -> str:
        return (self.folder / "README.md").read_text(encoding="utf-8")

    @property
    def files(self) -> list[Path]:
        return sorted(file for file in self.folder.rglob("*") if file.is_file() and file.name != "README.md")

    def named(self, name: str) -> list[Path]:
        return [file for file in self.files if re.fullmatch(name, file.name)]


def documents(file: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(file.read_text(encoding="utf-8")))


def profile(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))["proxies"]["edge"]
    return found


#: Of proxies. `clients/python` is no configuration but a package, with tests of its own.
GUIDES: Final = [
    Guide(page.parent) for page in sorted(CLIENTS.glob("*/README.md")) if page.parent.name != "python"
]
#: What no program here reads.
MANIFESTS: Final = [
    file
    for name in ("istio", "envoy-gateway", "gateway-api", "apisix")
    for file in sorted((CLIENTS / name).glob("*.yaml"))
]
assert len(GUIDES) > 8, "no guides found: this would pass by testing nothing"
assert len(MANIFESTS) > 5, "no manifests found: this would pass by testing nothing"
