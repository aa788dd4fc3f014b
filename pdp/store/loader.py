"""Bundles to snapshots, one after another. How they are compiled is the business of `pdp.store.compilation`.

That is imported with the first set that is compiled, and all of the compiler with it: a service that begins
with the kept compiled form answers before it needs any of that.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, final

from pdp import __version__
from pdp.diagnostics import Source
from pdp.image.reader import Image
from pdp.lang.parsed import Parsed
from pdp.store.bundle import PolicyBundle
from pdp.store.snapshot import Loaded, Snapshot
from pdp.vocabulary import Millis

if TYPE_CHECKING:
    from pdp.store.compilation import Compilation  # imports the compiler: only where something is compiled

__all__ = ["Loader"]

_REVISION_DIGITS: Final = 16


def _nothing_kept(_: Source) -> None:
    return None


@final
@dataclass(slots=True)
class Loader:
    """Compiles one bundle after another; used by one thread at a time.

    Attributes:
        circumstances: Names whatever else than the files can change an answer, such as the roots
            that callers are verified to; part of every revision from then on.
        invariants: Whether to decide the `never` and `always` of a set; where another loader has
            decided them already, there is no need.
        recall: What a file was parsed to before, where somebody has kept that.
    """

    circumstances: str = ""
    invariants: bool = True
    recall: Callable[[Source], Parsed | None] = _nothing_kept

    _compilation: "Compilation | None" = None

    def load(self, bundle: PolicyBundle, *, now: Millis) -> Loaded:
        """Compile a bundle. What was learned is kept only while there are no errors.

        Args:
            bundle: The files.
            now: The instant from which on invariants have to hold.
        """
        if self._compilation is None:
            from pdp.store.compilation import Compilation  # noqa: PLC0415 -- as the module says

            self._compilation = Compilation(self.invariants, self.recall)
        return self._compilation.load(bundle, self.revision(bundle.digest), now)

    def rest_on(self, snapshot: Snapshot, image: Image) -> Snapshot:
        """Go on from an image of the version that was loaded last, and hold nothing that lies in it.

        Returns:
            The version as it lies there.
        """
        return snapshot if self._compilation is None else self._compilation.rest_on(snapshot, image)

    def revision(self, digest: str) -> str:
        """A name for everything that can change an answer, with files of this digest."""
        databases = f"tzdata {version('tzdata')}, Unicode {unicodedata.unidata_version}"
        parts = (digest, self.circumstances, databases, __version__)
        return sha256("\n".join(parts).encode()).hexdigest()[:_REVISION_DIGITS]
