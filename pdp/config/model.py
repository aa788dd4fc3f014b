"""What can be set, with its type, its bounds and its default.

`docs/configuration.md` has a heading for each; a test compares. Nothing has a default that could
open anything: addresses, certificates and roots are stated or there is no listener. Relative paths
are relative to the file that they stand in, or to where the command runs.
"""

from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, NamedTuple, final

from pydantic import AfterValidator, Field, field_validator, model_validator

from pdp.audit.decision_log import LogMode
from pdp.config.freshness import FreshnessSettings
from pdp.config.section import DAY_SECONDS, Seconds
from pdp.config.section import Section as _Section
from pdp.config.unix import UnixAddress, is_unix, parse_unix
from pdp.limits import (
    DEFAULT_CONNECTION_SECONDS,
    DEFAULT_GRACE_SECONDS,
    DEFAULT_IN_FLIGHT,
    DEFAULT_LOG_BYTES,
    DEFAULT_LOG_KEEP,
    MAX_AGE_LIMIT_MS,
    MAX_TRUST_DOMAIN_BYTES,
    MAX_WORKERS,
)
from pdp.principals import dns_principal, spiffe_principal

__all__ = [
    "Address",
    "Credentials",
    "DecisionLogSettings",
    "DrainSettings",
    "Forwarded",
    "GrpcSettings",
    "HealthSettings",
    "HttpSettings",
    "LimitSettings",
    "LocalSettings",
    "LogTarget",
    "MetricsSettings",
    "PolicySettings",
    "ProcessSettings",
    "Settings",
    "parse_address",
    "parse_http_address",
]

_MAX_PORT: Final = 65535
_MAX_UID: Final = 2**32 - 1  # stands for nobody at all


class Address(NamedTuple):
    """Where to listen: an IP address or a host name, without brackets, and a port; 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False  # a name is whatever somebody's resolver says


def parse_address(text: str) -> Address:
    """The host and the port of HOST:PORT; an IPv6 address stands in brackets.

    Raises:
        ValueError: It is something else.
    """
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    digits = port.isascii() and port.isdigit() and len(port) <= len(str(_MAX_PORT))
    if not digits or int(port) > _MAX_PORT or not host or (":" in host and not bracketed):
        raise ValueError("write HOST:PORT, such as 127.0.0.1:8443")
    return Address(host.strip("[]"), int(port))


def parse_http_address(text: str) -> Address | UnixAddress:
    """The same, or `unix:/PATH`: where decisions are answered over HTTP.

    Raises:
        ValueError: It is neither.
    """
    return parse_unix(text) if is_unix(text) else parse_address(text)


def _address(text: str) -> str:
    if is_unix(text):
        raise ValueError("write HOST:PORT; a Unix socket is for `http.listen` alone")
    parse_address(text)
    return text


def _http_address(text: str) -> str:
    parse_http_address(text)
    return text


def _identity(text: str) -> str:
    if text.startswith("spiffe://"):
        return spiffe_principal(text).id
    return dns_principal(text.removeprefix("dns:")).id


def _spiffe_id(text: str) -> str:
    return spiffe_principal(text).id


def _file_name(text: str) -> str:
    if "\0" in text:
        raise ValueError("no file's name holds a NUL character")
    return text


def _path(path: Path) -> Path:
    _file_name(str(path))
    return path


Listen = Annotated[str, AfterValidator(_address)]
Identity = Annotated[str, AfterValidator(_identity)]
Uid = Annotated[int, Field(ge=0, lt=_MAX_UID)]
#: As it stands in the header `host`: a name or an address, and most often a port.
HostHeader = Annotated[str, Field(pattern=r"^(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$")]
FilePath = Annotated[Path, Field(strict=False), AfterValidator(_path)]
TrustDomain = Annotated[str, Field(min_length=1, max_length=MAX_TRUST_DOMAIN_BYTES)]


@final
class PolicySettings(_Section):
    """Where policies come from."""

    path: FilePath


class Credentials(NamedTuple):
    """Our certificate chain and its private key."""

    certificate: Path
    key: Path


@final
class HttpSettings(_Section):
    """The decision listener: over mTLS, or, where that is said, in plaintext to this machine alone."""

    listen: Annotated[str, AfterValidator(_http_address)] = "127.0.0.1:8443"
    plaintext: bool = False
    certificate: FilePath | None = None
    key: FilePath | None = None

    @property
    def where(self) -> Address | UnixAddress:
        """Where to listen."""
        return parse_http_address(self.listen)

    @property
    def credentials(self) -> Credentials:
        """What TLS needs. `load_settings` lets no settings pass that need it and do not name it.

        Raises:
            ValueError: One of the two is not set.
        """
        if self.certificate is None or self.key is None:
            raise ValueError("`http.certificate` and `http.key` are not set")
        return Credentials(self.certificate, self.key)


class Forwarded(Enum):
    """Where a plaintext question says who asks it."""

    NONE = "none"
    XFCC = "xfcc"


@final
class LocalSettings(_Section):
    """Who asks where the decision listener is plaintext. What goes with what: `pdp.config.local`."""

    caller: Identity | None = None
    uids: frozenset[Uid] | None = Field(default=None, strict=False, min_length=1)
    hosts: frozenset[HostHeader] | None = Field(default=None, strict=False, min_length=1)
    forwarded: Annotated[Forwarded, Field(strict=False)] = Forwarded.NONE
    identity: Annotated[str, AfterValidator(_spiffe_id)] | None = None


@final
class GrpcSettings(_Section):
    """The same over gRPC, with the certificate of `[http]`; always over mTLS."""

    listen: Listen


@final
class HealthSettings(_Section):
    """The listener for probes: plaintext, and it says nothing but yes or no."""

    listen: Listen
    max_staleness_seconds: Seconds = 0


@final
class MetricsSettings(_Section):
    """Who may read `/metrics` on the decision listener."""

    readers: frozenset[Identity] = Field(default=frozenset(), strict=False)


class LogTarget(Enum):
    """Where the decision log goes, where that is no file."""

    NONE = "none"
    STDOUT = "stdout"


@final
class DecisionLogSettings(_Section):
    """The decision log."""

    to: Annotated[str, Field(min_length=1), AfterValidator(_file_name)] = "none"
    mode: Annotated[LogMode, Field(strict=False)] = LogMode.DROP
    one_in: int = Field(default=100, ge=1, le=1_000_000)
    max_bytes: int = Field(default=DEFAULT_LOG_BYTES, ge=1 << 16, le=1 << 40)
    keep: int = Field(default=DEFAULT_LOG_KEEP, ge=0, le=1000)
    plain_headers: frozenset[Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]] = Field(
        default=frozenset(), strict=False
    )
    digest_key: Path | None = Field(default=None, strict=False)

    @field_validator("digest_key")
    @classmethod
    def _digest_key(cls, path: Path | None) -> Path | None:
        return None if path is None else _path(path)

    @property
    def target(self) -> LogTarget | Path:
        """Nowhere, standard output, or a file."""
        try:
            return LogTarget(self.to)
        except ValueError:
            return Path(self.to)


@final
class LimitSettings(_Section):
    """What the service takes on at most, and what answers may be reused for."""

    in_flight: int = Field(default=DEFAULT_IN_FLIGHT, ge=1, le=1_000_000)
    per_caller_per_second: int = Field(default=0, ge=0, le=10_000_000)
    max_age_ms: int = Field(default=MAX_AGE_LIMIT_MS, ge=0, le=3_600_000)
    connection_seconds: Annotated[float, Field(ge=1, le=DAY_SECONDS, allow_inf_nan=False)] = (
        DEFAULT_CONNECTION_SECONDS
    )


@final
class DrainSettings(_Section):
    """How the service ends."""

    grace_seconds: Seconds = DEFAULT_GRACE_SECONDS


@final
class ProcessSettings(_Section):
    """In how many processes the service runs."""

    workers: int = Field(default=1, ge=1, le=MAX_WORKERS)


@final
class Settings(_Section):
    """Everything."""

    policies: PolicySettings
    http: HttpSettings = HttpSettings()
    trust: dict[TrustDomain, FilePath] = Field(default={}, min_length=1)
    local: LocalSettings | None = None
    grpc: GrpcSettings | None = None
    health: HealthSettings | None = None
    metrics: MetricsSettings = MetricsSettings()
    freshness: FreshnessSettings = FreshnessSettings()
    decision_log: DecisionLogSettings = DecisionLogSettings()
    limits: LimitSettings = LimitSettings()
    drain: DrainSettings = DrainSettings()
    process: ProcessSettings = ProcessSettings()

    @model_validator(mode="after")
    def _distinct(self) -> "Settings":
        """Each listener has an address of its own."""
        sections = {"http": self.http, "grpc": self.grpc, "health": self.health}
        seen: dict[Address, str] = {}
        for name, section in sections.items():
            if section is None or is_unix(section.listen):
                continue
            address = parse_address(section.listen)
            if address.port and (first := seen.setdefault(address, name)) != name:
                raise ValueError(f"`{name}.listen` and `{first}.listen` are one address")
        return self
