"""What a file says, once it was read. How it is read is the business of `pdp.lang.parser`, which few need."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import final

from pdp.diagnostics import Diagnostic, Source, Span
from pdp.lang import ast

__all__ = ["Parsed", "text_digest"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What a file says.

    Attributes:
        file: The statements that could be read.
        diagnostics: What was wrong with the others, by position.
        damaged: Names that the others would have declared.
        endings: Where the date stands at which a deny ends, or a rule that begins: by the rule's place.
        digest: SHA-256 of the text; empty where the file was made otherwise.
    """

    file: ast.File
    diagnostics: tuple[Diagnostic, ...]
    damaged: frozenset[str]
    endings: Mapping[Span, Span] = field(default_factory=dict)
    digest: bytes = b""


def text_digest(source: Source) -> bytes:
    """What `Parsed.digest` is of a file with this text."""
    return sha256(source.text.encode("utf-8", "surrogatepass")).digest()
