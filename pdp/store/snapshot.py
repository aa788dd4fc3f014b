"""One version of a policy set, compiled; and what came of compiling one.

How it is compiled is the business of `pdp.store.loader`, who serves it that of `pdp.store.publish`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, final

from pdp.compiler.callers import CallerEntry
from pdp.compiler.rows import Unit
from pdp.diagnostics import Diagnostic, Source
from pdp.image.reader import Image
from pdp.index.rule_index import RuleIndex
from pdp.lang.parsed import Parsed

__all__ = ["Loaded", "Snapshot"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One version of the policy set, compiled.

    Attributes:
        index: What decisions look up.
        callers: Who may ask.
        revision: Names everything that can change an answer.
        digest: Of the files it was made from.
        files: The parsed files, for tests and analysis; none where it was read from an image.
        units: The lowered files; none where it was read from an image.
        rules: How many rules there are.
        generation: Numbers of atoms and methods mean the same in versions of one generation.
        image: Where its index lies, or None if that was built here.
    """

    index: RuleIndex
    callers: tuple[CallerEntry, ...]
    revision: str
    digest: str
    files: tuple[Parsed, ...]
    units: tuple[Unit, ...]
    rules: int
    generation: int
    image: Image | None = None

    @classmethod
    def of(cls, image: Image, revision: str) -> Self:
        """A version as it was read from an image, for decisions alone."""
        return cls(
            index=image.index,
            callers=image.callers,
            revision=revision,
            digest=image.digest,
            files=(),
            units=(),
            rules=image.rules,
            generation=0,
            image=image,
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a bundle came to.

    Attributes:
        snapshot: The compiled version, or None if there are errors.
        diagnostics: Everything wrong or doubtful, by file and position.
        sources: The texts, to show diagnostics with.
    """

    snapshot: Snapshot | None
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, Source]
