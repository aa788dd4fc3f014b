"""What can be set, with its type, its bounds and its default.

`docs/configuration.md` has a heading for each; a test compares. Nothing has a default that could
open anything: addresses, certificates and roots are stated or there is no listener. Relative paths
are relative to the file that they stand in, or to where the command runs.
"""

from enum import Enum
from pathlib import Path
from typing import Annotated, NamedTuple, final

from pydantic import AfterValidator, Field, model_validator

from pdp.audit.log_mode import LogMode
from pdp.config.address import Address, parse_address, parse_http_address
from pdp.config.dns import DnsSettings
from pdp.config.evidence import EvidenceSettings
from pdp.config.federation import FederationSettings
from pdp.config.freshness import FreshnessSettings
from pdp.config.proxies import ProxyName, ProxySettings
from pdp.config.quarantine import AdminSettings, QuarantineSettings
from pdp.config.section import DAY_SECONDS, Seconds
from pdp.config.section import Section as _Section
from pdp.config.tokens import TokenSettings
from pdp.config.unix import UnixAddress, is_unix
from pdp.config.values import (
    FilePath,
    HostHeader,
    HttpListen,
    Identity,
    Listen,
    SpiffeId,
    TrustDomain,
    TrustDomainName,
    Uid,
    file_name,
)
from pdp.config.workload_api import WorkloadApiSettings
from pdp.limits import (
    DEFAULT_CONNECTION_SECONDS,
    DEFAULT_GRACE_SECONDS,
    DEFAULT_IN_FLIGHT,
    DEFAULT_LOG_BYTES,
    DEFAULT_LOG_KEEP,
    DEFAULT_REMEMBERED_ANSWERS,
    MAX_AGE_LIMIT_MS,
    MAX_REMEMBERED_ANSWERS,
    MAX_WORKERS,
)

__all__ = [
    "Credentials",
    "DecisionLogSettings",
    "DrainSettings",
    "Forwarded",
    "GrpcSettings",
    "HealthSettings",
    "HttpSettings",
    "IdentitySettings",
    "LimitSettings",
    "LocalSettings",
    "LogTarget",
    "MetricsSettings",
    "PolicySettings",
    "ProcessSettings",
    "Settings",
]


@final
class PolicySettings(_Section):
    """Where policies come from."""

    path: FilePath
    compiled: FilePath | None = None


class Credentials(NamedTuple):
    """Our certificate chain and its private key."""

    certificate: Path
    key: Path


@final
class HttpSettings(_Section):
    """The decision listener: over mTLS, or, where that is said, in plaintext to this machine alone."""

    listen: HttpListen = "127.0.0.1:8443"
    plaintext: bool = False
    certificate: FilePath | None = None
    key: FilePath | None = None
    direct: bool = True
    remembered_answers: int = Field(default=DEFAULT_REMEMBERED_ANSWERS, ge=0, le=MAX_REMEMBERED_ANSWERS)

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
    identity: SpiffeId | None = None


@final
class GrpcSettings(_Section):
    """The same over gRPC, with the certificate of `[http]`; always over mTLS."""

    listen: Listen
    remembered_answers: int = Field(default=DEFAULT_REMEMBERED_ANSWERS, ge=0, le=MAX_REMEMBERED_ANSWERS)


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

    to: Annotated[str, Field(min_length=1), AfterValidator(file_name)] = "none"
    mode: Annotated[LogMode, Field(strict=False)] = LogMode.DROP
    one_in: int = Field(default=100, ge=1, le=1_000_000)
    max_bytes: int = Field(default=DEFAULT_LOG_BYTES, ge=1 << 16, le=1 << 40)
    keep: int = Field(default=DEFAULT_LOG_KEEP, ge=0, le=1000)
    plain_headers: frozenset[Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]] = Field(
        default=frozenset(), strict=False
    )
    digest_key: FilePath | None = None

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


class IdentitySettings(TokenSettings):
    """Whom we believe, and by which evidence."""

    trust: dict[TrustDomain, FilePath] = Field(default={}, min_length=1)
    dns: DnsSettings | None = None
    crls: dict[TrustDomainName, FilePath] = Field(default={})
    quarantine: QuarantineSettings | None = None
    admin: AdminSettings | None = None
    workload_api: WorkloadApiSettings | None = None
    federation: dict[TrustDomainName, FederationSettings] = Field(default={})


@final
class Settings(IdentitySettings):
    """Everything."""

    policies: PolicySettings
    http: HttpSettings = HttpSettings()
    local: LocalSettings | None = None
    grpc: GrpcSettings | None = None
    health: HealthSettings | None = None
    metrics: MetricsSettings = MetricsSettings()
    evidence: EvidenceSettings = EvidenceSettings()
    proxies: dict[ProxyName, ProxySettings] = Field(default={})
    freshness: FreshnessSettings = FreshnessSettings()
    decision_log: DecisionLogSettings = DecisionLogSettings()
    limits: LimitSettings = LimitSettings()
    drain: DrainSettings = DrainSettings()
    process: ProcessSettings = ProcessSettings()

    @model_validator(mode="after")
    def _distinct(self) -> "Settings":
        """Each listener has an address of its own."""
        sections = {"http": self.http, "grpc": self.grpc, "health": self.health, "admin": self.admin}
        seen: dict[Address, str] = {}
        for name, section in sections.items():
            if section is None or is_unix(section.listen):
                continue
            address = parse_address(section.listen)
            if address.port and (first := seen.setdefault(address, name)) != name:
                raise ValueError(f"`{name}.listen` and `{first}.listen` are one address")
        return self

    @model_validator(mode="after")
    def _something_to_administer(self) -> "Settings":
        if self.admin is not None and (self.quarantine is None or self.quarantine.file is None):
            raise ValueError("`admin` changes the list in `quarantine.file`, which is not set")
        return self
