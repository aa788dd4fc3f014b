"""The sample configurations under `clients/`, and how each is run here.

A sample is used as it stands: what has to be another address, port or path in a test is replaced by text
that has to occur as often as is said, so that no sample can change without its test noticing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.programs import brought, needs

__all__ = [
    "CLIENTS",
    "SAMPLES",
    "SOON",
    "Places",
    "Sample",
    "Substitutions",
    "envoy_command",
    "replaced",
    "sample_params",
]

CLIENTS: Final = Path(__file__).parents[3] / "clients"
ROOT: Final = "/etc/edge/"
SOON: Final = 0.5


@dataclass(frozen=True)
class Places:
    """Where things are in this test."""

    folder: Path
    listen: int
    http: int
    grpc: int
    upstream: int


Substitutions = Mapping[str, tuple[str, int]]


@dataclass(frozen=True)
class Sample:
    """One proxy with its configuration.

    Attributes:
        name: What tests call it.
        folder: Its folder below `clients`.
        files: Those that the proxy reads.
        caller: Its name in the policy, below `ns/edge/sa/`.
        substitutions: By text of the files, what stands there in a test and how often the text occurs.
        command: What runs it.
        unavailable: Statuses for a client where the PDP does not answer.
        slow: Within how many seconds a client is told so where the PDP is there, and silent.
        without_certificate: The same for one who shows none, or a wrong one; 0 for an end of the connection.
    """

    name: str
    folder: str
    files: tuple[str, ...]
    caller: str
    substitutions: Callable[[Places], Substitutions]
    command: Callable[[Places], list[str]]
    unavailable: frozenset[int]
    without_certificate: int
    slow: float = SOON
    marks: tuple[pytest.MarkDecorator, ...] = ()

    @property
    def identity(self) -> str:
        return f"spiffe://prod.example.org/ns/edge/sa/{self.caller}"

    @property
    def profile(self) -> str:
        """What goes into the settings of the PDP, if anything does."""
        file = CLIENTS / self.folder / "pdp.toml"
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def text(self, file: str) -> str:
        return (CLIENTS / self.folder / file).read_text(encoding="utf-8")

    def write(self, places: Places, planted: Mapping[str, str] | None = None) -> None:
        """Put the configuration where the proxy reads it; `planted` are mistakes, by what they replace."""
        whole = "".join(self.text(file) for file in self.files)
        wanted = {**self.substitutions(places), ROOT: (f"{places.folder}/", whole.count(ROOT))}
        for old, new in (planted or {}).items():
            assert whole.count(old) == 1, old
            wanted = {old: (new, 1), **wanted}
        for old, (_, times) in wanted.items():
            assert times > 0, old
            assert whole.count(old) == times, f"{self.folder}: {old!r} is there {whole.count(old)} times"
        for file in self.files:
            (places.folder / file).write_text(replaced(self.text(file), wanted), encoding="utf-8")


def replaced(text: str, wanted: Substitutions) -> str:
    for old, (new, _) in wanted.items():
        text = text.replace(old, new)
    return text


def _nginx(places: Places) -> Substitutions:
    kept = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"    {kind}_temp_path {places.folder}/{kind};\n" for kind in kept)
    return {
        "\nhttp {\n": (f"\nhttp {{\n    access_log off;\n{temporary}", 1),
        "server pdp.example.com:9443;": (f"server 127.0.0.1:{places.http};", 1),
        "server 127.0.0.1:8080;": (f"server 127.0.0.1:{places.upstream};", 1),
        "listen 0.0.0.0:8443 ssl http2;": (f"listen 127.0.0.1:{places.listen} ssl http2;", 1),
    }


def _nginx_command(places: Places) -> list[str]:
    here = f"daemon off; master_process off; error_log stderr error; pid {places.folder}/nginx.pid;"
    conf = str(places.folder / "nginx.conf")
    return ["nginx", "-e", "stderr", "-p", str(places.folder), "-c", conf, "-g", here]


def _envoy(address: str, port: Callable[[Places], int]) -> Callable[[Places], Substitutions]:
    def wanted(places: Places) -> Substitutions:
        return {
            "address: 0.0.0.0, port_value: 8443": (f"address: 127.0.0.1, port_value: {places.listen}", 1),
            f"address: pdp.example.com, port_value: {address}": (
                f"address: 127.0.0.1, port_value: {port(places)}", 1,
            ),
            "address: 127.0.0.1, port_value: 8080": (f"address: 127.0.0.1, port_value: {places.upstream}", 1),
        }  # fmt: skip

    return wanted


def envoy_command(places: Places) -> list[str]:
    conf = str(places.folder / "envoy.yaml")
    quiet = ["--log-level", "error", "--concurrency", "1", "--disable-hot-restart"]
    return [str(brought("envoy")), "-c", conf, *quiet]


def _caddy(places: Places) -> Substitutions:
    both = ", ".join(f"https://{name}.example.com:{places.listen}" for name in ("payments", "folding"))
    return {
        "https://payments.example.com:8443 {": (f"{both} {{", 1),
        "bind 0.0.0.0": ("bind 127.0.0.1", 1),
        "https://pdp.example.com:9443": (f"https://127.0.0.1:{places.http}", 1),
        "reverse_proxy 127.0.0.1:8080": (f"reverse_proxy 127.0.0.1:{places.upstream}", 1),
    }  # fmt: skip


def _caddy_command(places: Places) -> list[str]:
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(places.folder / "Caddyfile")]


def _haproxy(places: Places) -> Substitutions:
    return {
        "bind 0.0.0.0:8443": (f"bind 127.0.0.1:{places.listen}", 1),
        "server pdp pdp.example.com:9443": (f"server pdp 127.0.0.1:{places.http}", 1),
        "server payments 127.0.0.1:8080": (f"server payments 127.0.0.1:{places.upstream}", 1),
    }


def _haproxy_command(places: Places) -> list[str]:
    return ["haproxy", "-db", "-f", str(places.folder / "haproxy.cfg")]


def _traefik(places: Places) -> Substitutions:
    return {
        'address: "0.0.0.0:8443"': (f'address: "127.0.0.1:{places.listen}"', 1),
        # It asks for the name that it connects to, so that has to lead here.
        "https://pdp.example.com:9443": (f"https://localhost:{places.http}", 1),
        "http://127.0.0.1:8080": (f"http://127.0.0.1:{places.upstream}", 1),
        "Host(`payments.example.com`)": ("Host(`payments.example.com`) || Host(`folding.example.com`)", 1),
    }


def _traefik_command(places: Places) -> list[str]:
    return [str(brought("traefik")), "--configFile", str(places.folder / "traefik.yaml")]


SAMPLES: Final = (
    Sample(
        name="traefik",
        folder="traefik",
        files=("traefik.yaml", "dynamic.yaml"),
        caller="traefik",
        substitutions=_traefik,
        command=_traefik_command,
        unavailable=frozenset({500}),
        without_certificate=0,
        slow=32.0,
    ),
    Sample(
        name="haproxy",
        folder="haproxy",
        files=("haproxy.cfg", "pdp.lua"),
        caller="haproxy",
        substitutions=_haproxy,
        command=_haproxy_command,
        unavailable=frozenset({503}),
        without_certificate=0,
        marks=(needs("haproxy"),),
    ),
    Sample(
        name="caddy",
        folder="caddy",
        files=("Caddyfile",),
        caller="caddy",
        substitutions=_caddy,
        command=_caddy_command,
        unavailable=frozenset({502, 504}),
        without_certificate=0,
        marks=(needs("caddy"),),
    ),
    Sample(
        name="envoy-grpc",
        folder="envoy/grpc",
        files=("envoy.yaml",),
        caller="envoy",
        substitutions=_envoy("9444", lambda places: places.grpc),
        command=envoy_command,
        unavailable=frozenset({503}),
        without_certificate=0,
    ),
    Sample(
        name="envoy-http",
        folder="envoy/http",
        files=("envoy.yaml",),
        caller="envoy",
        substitutions=_envoy("9443", lambda places: places.http),
        command=envoy_command,
        unavailable=frozenset({503}),
        without_certificate=0,
    ),
    Sample(
        name="nginx",
        folder="nginx",
        files=("nginx.conf",),
        caller="nginx",
        substitutions=_nginx,
        command=_nginx_command,
        unavailable=frozenset({500}),
        without_certificate=400,
        marks=(needs("nginx"),),
    ),
)


def sample_params() -> list[object]:
    return [pytest.param(sample, marks=sample.marks, id=sample.name) for sample in SAMPLES]
