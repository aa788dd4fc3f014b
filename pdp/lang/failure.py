"""Where parsing failed, and what stands around that place.

Which words to tell it in is the business of `pdp.lang.mistakes`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, final

from pdp.diagnostics import Source
from pdp.lang.bare import open_block

__all__ = ["TOP_LEVEL", "Failure", "at_the_keyword"]

_WORD_FOLLOWS: Final = frozenset({"WORD"})
#: The words that statements outside of blocks begin with, and what kinds of token may follow each.
TOP_LEVEL: Final = {
    "trust": frozenset({"DOMAIN"}),
    "delegate": frozenset({"STRING"}),
    "test": frozenset({"STRING"}),
    **dict.fromkeys(
        ("issuer", "group", "role", "condition", "attribute", "service", "caller", "never", "always"),
        _WORD_FOLLOWS,
    ),
}
# Those of statements in blocks as well.
_FOLLOWS: Final = {
    **TOP_LEVEL,
    "allow": _WORD_FOLLOWS,
    "deny": _WORD_FOLLOWS,
    "host": _WORD_FOLLOWS,
    "shadow": frozenset({"ALLOW", "DENY"}),
    "paths": frozenset({"MAY"}),
}
_LAST_WORD: Final = re.compile(r"([,(){}=]|[^\s,(){}=]+)\s*\Z")
_LOOK_BACK: Final = 4096  # characters: no word worth naming is longer


@final
@dataclass(frozen=True, kw_only=True)
class Failure:
    """Where parsing failed.

    Attributes:
        source: The file as it was written.
        bared: The text that was parsed, without quotes and comments.
        start: Where the token or the character begins.
        end: Where it ends.
        kind: The kind of token; empty where the text is not even one.
        accepted: The kinds of token that could have stood there.
        words: The keyword of each kind that has one.
    """

    source: Source
    bared: str
    start: int
    end: int
    kind: str
    accepted: frozenset[str]
    words: Mapping[str, str]

    @property
    def text(self) -> str:
        """What stands there."""
        return self.source.text[self.start : self.end]

    @cached_property
    def before(self) -> tuple[str, int]:
        """The word before it, and where that begins."""
        low = max(0, self.start - _LOOK_BACK)
        match = _LAST_WORD.search(self.bared[low : self.start])
        return (match[1], low + match.start(1)) if match else ("", self.start)

    @property
    def starts_line(self) -> bool:
        """Whether nothing stands before it on its line."""
        return not self.bared[self.bared.rfind("\n", 0, self.start) + 1 : self.start].strip()

    @cached_property
    def opener(self) -> int | None:
        """The brace of the block that it stands in."""
        return open_block(self.bared, self.start)

    @property
    def complete(self) -> bool:
        """Whether the statement before it could have ended there."""
        return not {"$END", "RBRACE"}.isdisjoint(self.accepted)

    @property
    def lacks_header(self) -> bool:
        """Whether it is the first line that is missing, or wrong."""
        word, at = self.before
        return self.accepted == {"LANGUAGE"} or (word == "language" and not self.bared[:at].strip())


def at_the_keyword(failure: Failure) -> Failure:
    """The failure moved to the word before it, if that begins a statement and was read as a name.

    So it goes with what follows a statement that breaks off: `group web = { web,`, then `role reader`.
    """
    word, at = failure.before
    follows = _FOLLOWS.get(word)
    if follows is None or follows <= failure.accepted:
        return failure
    moved = replace(failure, start=at, end=at + len(word), kind="WORD", accepted=frozenset())
    return moved if moved.starts_line else failure
