"""The manifests, read; and what the kubelet would mount into the pod, written to a directory."""

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import yaml

from tests.deploy.dockerfile import ROOT
from tests.e2e.running import PROD, Pki, question

__all__ = ["BASE", "MINIMAL", "SECRET_KEYS", "SPIFFE", "Manifests", "asked", "certificates", "volume"]

BASE: Final = ROOT / "deploy" / "kubernetes" / "base"
MINIMAL: Final = ROOT / "deploy" / "kubernetes" / "minimal.yaml"
SPIFFE: Final = ROOT / "deploy" / "kubernetes" / "spiffe"
#: What the Secret holds; `docs/operations.md` makes it.
SECRET_KEYS: Final = ("tls.crt", "tls.key", "roots.pem")
_FS_GROUP: Final = 65532


def documents(place: Path) -> Iterator[dict[str, Any]]:
    """The resources in the files of a folder, or in one file."""
    for file in sorted(place.glob("*.yaml")) if place.is_dir() else [place]:
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            if document["kind"] != "Kustomization":
                yield document


class Manifests:
    """All resources of `deploy/kubernetes/base`, or of another place."""

    def __init__(self, place: Path = BASE) -> None:
        self.all = list(documents(place))

    @property
    def kustomization(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load((BASE / "kustomization.yaml").read_text())
        return found

    def one(self, kind: str, name: str = "pdp") -> dict[str, Any]:
        (found,) = [d for d in self.all if d["kind"] == kind and d["metadata"]["name"] == name]
        return found

    @property
    def pod(self) -> dict[str, Any]:
        return self.one("Deployment")["spec"]["template"]["spec"]

    @property
    def container(self) -> dict[str, Any]:
        (found,) = self.pod["containers"]
        return found

    def ports(self) -> dict[str, int]:
        return {port["name"]: port["containerPort"] for port in self.container["ports"]}

    def config(self, name: str) -> dict[str, str]:
        return self.one("ConfigMap", name)["data"]

    def mounts(self, folder: Path, certificates: Mapping[str, bytes]) -> dict[str, Path]:
        """By path in the container, directories as the kubelet writes them; one holds the certificates."""
        volumes = {each["name"]: each for each in self.pod["volumes"]}
        found = {}
        for mount in self.container["volumeMounts"]:
            source, place = volumes[mount["name"]], folder / mount["name"]
            if "configMap" in source:
                texts = self.config(source["configMap"]["name"])
                volume(place, {name: text.encode() for name, text in texts.items()})
            else:
                volume(place, certificates, mode=source["secret"]["defaultMode"])
            found[mount["mountPath"]] = place
        return found


def certificates(pki: Pki, name: str = "server") -> dict[str, bytes]:
    """What the Secret holds: a leaf of ours, its key, and the root that callers are verified to."""
    files = (f"{name}.pem", f"{name}-key.pem", "prod.pem")
    return {key: (pki.folder / file).read_bytes() for key, file in zip(SECRET_KEYS, files, strict=True)}


def asked() -> dict[str, Any]:
    """A question that the policies of the ConfigMap answer with allow, for the caller `proxy`."""
    principal = f"spiffe://{PROD}/ns/shop/sa/web"
    return question(principal=principal, service="payments.shop", method="POST", path="/v1/charges")


def volume(folder: Path, files: Mapping[str, bytes], *, mode: int = 0o644) -> None:
    """Write a volume as the kubelet does: a directory of this moment, `..data` to it, links through that."""
    group = _FS_GROUP if os.geteuid() == 0 else -1
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    kept = folder / f"..{time.monotonic_ns()}"
    kept.mkdir()
    kept.chmod(0o755)
    for name, content in files.items():
        (kept / name).write_bytes(content)
        os.chown(kept / name, -1, group)
        (kept / name).chmod(mode)
        with suppress(FileExistsError):
            (folder / name).symlink_to(f"..data/{name}")
    before = (folder / "..data").readlink() if (folder / "..data").is_symlink() else None
    (folder / "..data_tmp").symlink_to(kept.name)
    (folder / "..data_tmp").rename(folder / "..data")
    if before is not None:
        shutil.rmtree(folder / before)
