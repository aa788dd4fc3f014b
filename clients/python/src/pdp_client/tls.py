"""Who we are to the service, and whom we believe: a certificate, its key and roots, in files that change."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias, final

__all__ = ["TlsFiles", "TlsMaterial", "TlsWatch"]

_Signature: TypeAlias = tuple[tuple[int, int, int], ...]


@final
@dataclass(frozen=True)
class TlsFiles:
    """Where they lie.

    Attributes:
        certificate: Our certificate, PEM, with what leads to a root of the service's.
        key: Its key.
        roots: The roots that the service's certificate is verified to.
    """

    certificate: Path | str
    key: Path | str
    roots: Path | str


@final
@dataclass(frozen=True, eq=False)
class TlsMaterial:
    """What the files held at one moment, all of it together and good.

    Attributes:
        certificate: Our certificate, PEM.
        key: Its key.
        roots: The roots.
        context: The same for Python's TLS: 1.3 and nothing older, verified, with our certificate.
    """

    certificate: bytes
    key: bytes = field(repr=False)
    roots: bytes
    context: ssl.SSLContext


@final
class TlsWatch:
    """Reads the files, and again when they change. A bad change is none until it is mended."""

    def __init__(self, files: TlsFiles) -> None:
        """Read them.

        Raises:
            OSError: One cannot be read, or they do not fit together (`ssl.SSLError`).
            ValueError: There are no roots.
        """
        self._paths: Final = tuple(Path(name) for name in (files.certificate, files.key, files.roots))
        self._seen = self._signature()
        #: What is in force.
        self.current = self._read()

    def look(self) -> bool:
        """Whether something else is in force now."""
        try:
            seen = self._signature()
            if seen == self._seen:
                return False
            found = self._read()
        except (OSError, ValueError):  # being replaced, empty, or not fitting the other: looked at again
            return False
        self._seen = seen
        was = self.current
        if (was.certificate, was.key, was.roots) == (found.certificate, found.key, found.roots):
            return False
        self.current = found
        return True

    def _signature(self) -> _Signature:
        stats = [path.stat() for path in self._paths]
        return tuple((stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in stats)

    def _read(self) -> TlsMaterial:
        certificate, key, roots = (path.read_bytes() for path in self._paths)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies the chain and the name
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["http/1.1"])
        context.load_verify_locations(cadata=roots.decode("ascii", errors="strict"))
        context.load_cert_chain(self._paths[0], self._paths[1])
        return TlsMaterial(certificate=certificate, key=key, roots=roots, context=context)
