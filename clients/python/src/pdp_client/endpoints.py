"""The replicas of the service: one is active, the others are asked when it fails."""

from collections.abc import Sequence
from typing import Final, final
from urllib.parse import urlsplit

__all__ = ["Endpoints"]


@final
class Endpoints:
    """A list of replicas, each `https://HOST:PORT`, of which one is active."""

    def __init__(self, endpoints: Sequence[str]) -> None:
        """The first one is active.

        Raises:
            ValueError: There is none, or one is no such address.
        """
        self.all: Final = tuple(endpoints)
        if isinstance(endpoints, str) or not self.all:
            raise ValueError("a client takes a list of endpoints, and at least one")
        for endpoint in self.all:
            _check(endpoint)
        self._active = 0

    @property
    def active(self) -> str:
        """The one that is asked first, and whose revisions are followed."""
        return self.all[self._active]

    def tries(self) -> tuple[str, ...]:
        """In which order they are tried: the active one first, and one that is alone twice."""
        order = self.all[self._active :] + self.all[: self._active]
        return order if len(order) > 1 else order * 2

    def answered(self, endpoint: str, instead_of: str) -> bool:
        """One answered in the place of another: whether that makes it the active one."""
        if self.active != instead_of or endpoint == instead_of:
            return False  # somebody else has moved on in the meantime
        self._active = self.all.index(endpoint)
        return True

    def failed(self, endpoint: str) -> bool:
        """One cannot be reached: whether another one is active now."""
        if len(self.all) == 1 or self.active != endpoint:
            return False
        self._active = (self._active + 1) % len(self.all)
        return True


def _check(endpoint: str) -> None:
    parts = urlsplit(endpoint)
    plain = f"https://{parts.netloc}"
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc or endpoint.rstrip("/") != plain:
        raise ValueError(f"an endpoint is `https://HOST:PORT`, and {endpoint!r} is not")
    if parts.port is None:
        raise ValueError(f"an endpoint names its port, and {endpoint!r} does not")
