"""What people are told of the rules of one file, as a part."""

from bisect import bisect_left
from typing import Final, final

import msgspec

from pdp.compiler.rule_texts import RuleText, RuleTexts, rule_text
from pdp.image.layout import Buffer, ImageError, Part, build_part, column
from pdp.image.sequences import BLOBS, Blobs, BlobsWriter

__all__ = ["TEXTS", "Texts", "write_texts"]

#: The kind of these parts.
TEXTS: Final = 2
_SECTIONS: Final = 8 + BLOBS

_encode: Final = msgspec.msgpack.Encoder().encode
#: A name that an author gave, reason and owner.
_notes: Final = msgspec.msgpack.Decoder(tuple[str, str, str])


def write_texts(texts: RuleTexts) -> bytes:
    """The part of a file's rules."""
    strings = BlobsWriter()
    scopes = column("I", [strings.number(scope.encode()) for scope in texts.scopes])
    noted = sorted(texts.names.keys() | texts.notes.keys())
    notes = [_encode((texts.names.get(rule, ""), *texts.notes.get(rule, ("", "")))) for rule in noted]
    return build_part(
        TEXTS,
        [
            texts.file.encode(), texts.lines, texts.starts, texts.ids, texts.effects, scopes,
            column("I", noted), column("I", [strings.number(note) for note in notes]), *strings.sections(),
        ],
    )  # fmt: skip


@final
class Texts:
    """What people are told of the rules of one file, where it lies."""

    def __init__(self, buffer: Buffer, start: int, length: int) -> None:
        """Read the part at a place in a buffer.

        Raises:
            ImageError: There is none.
        """
        part = Part(buffer, start, length, TEXTS, _SECTIONS)
        try:
            self._file: Final = part.raw(0).decode()
        except UnicodeDecodeError as error:
            raise ImageError("the name of a file cannot be read") from error
        self._lines, self._starts = part.numbers(1, "I"), part.numbers(2, "I")
        self._ids, self._effects = part.numbers(3, "Q"), part.numbers(4, "B")
        self._scopes, self._noted = part.numbers(5, "I"), part.numbers(6, "I")
        self._notes, self._strings = part.numbers(7, "I"), Blobs(part, 8)

    def start(self, rule: int) -> int:
        """Offset of a rule in the file."""
        return self._starts[rule]

    def text(self, rule: int) -> RuleText:
        """What people are told about a rule.

        Raises:
            ImageError: The image is damaged.
        """
        try:
            at, name, notes = bisect_left(self._noted, rule), "", ("", "")
            if at < len(self._noted) and self._noted[at] == rule:
                name, *rest = _notes.decode(self._strings[self._notes[at]])
                notes = rest[0], rest[1]
            return rule_text(
                file=self._file,
                line=self._lines[rule],
                effects=self._effects[rule],
                content_id=self._ids[rule],
                scope=self._strings[self._scopes[rule]].decode(),
                name=name,
                notes=notes,
            )
        except (IndexError, UnicodeDecodeError, msgspec.MsgspecError) as error:
            raise ImageError("what is told of a rule cannot be read") from error
