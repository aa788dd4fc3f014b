"""How a client is made: what `Client` and `AsyncClient` both take."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypedDict

from pdp_client.limits import LEASE_SECONDS, MAX_ENTRIES
from pdp_client.tls import TlsFiles, TlsMaterial
from pdp_client.transports.base import Timeouts, Transport
from pdp_client.transports.http import HttpTransport

__all__ = ["Options", "Settings", "settings"]


class Options(TypedDict, total=False):
    """What may be said when a client is made.

    Attributes:
        transport: How the service is asked: `http`, or `grpc` with the extra of that name.
        timeouts: How long things may take.
        reuse: Whether answers are kept, and used again as long as they hold.
        max_entries: How many of them at most.
        lease_seconds: How long the stream of revisions may be silent before none is used again.
    """

    transport: Literal["http", "grpc"]
    timeouts: Timeouts
    reuse: bool
    max_entries: int
    lease_seconds: float


_USUAL: Final = Timeouts()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All of it, checked."""

    endpoints: tuple[str, ...]
    tls: TlsFiles
    transport: Literal["http", "grpc"] = "http"
    timeouts: Timeouts = _USUAL
    reuse: bool = True
    max_entries: int = MAX_ENTRIES
    lease_seconds: float = LEASE_SECONDS

    def __post_init__(self) -> None:
        if self.transport not in {"http", "grpc"}:
            raise ValueError(f"a transport is `http` or `grpc`, and {self.transport!r} is neither")
        if self.transport == "grpc":
            _grpc()
        for name in ("connect", "read", "overall"):
            if not getattr(self.timeouts, name) > 0:
                raise ValueError(f"the time for {name!r} is more than nothing")
        if self.max_entries < 1 or not self.lease_seconds > 0:
            raise ValueError("a cache holds at least one answer, for some time; `reuse=False` is for none")

    def make_transport(self, tls: TlsMaterial) -> Transport:
        """Connections under a certificate."""
        if self.transport == "http":
            return HttpTransport(tls, self.timeouts)
        return _grpc()(tls, self.timeouts)


def _grpc() -> Callable[[TlsMaterial, Timeouts], Transport]:
    try:
        from pdp_client.transports.grpc import GrpcTransport  # noqa: PLC0415 -- an extra, and a large library
    except ImportError as error:
        raise ImportError("the transport `grpc` needs the extra: `pip install 'pdp-client[grpc]'`") from error
    return GrpcTransport


def settings(endpoints: Sequence[str], tls: TlsFiles, options: Options) -> Settings:
    """Settings of what a client is given."""
    if isinstance(endpoints, str):
        raise ValueError("a client takes a list of endpoints")  # noqa: TRY004 - what is wrong is the value
    return Settings(endpoints=tuple(endpoints), tls=tls, **options)
