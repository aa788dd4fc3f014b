"""What a syntax error is called, and what to write instead.

Given where parsing failed and what could have stood there, this module finds the words.
Most of them are for people who know another language: `;`, `&&`, `get`, `*` for everything.
"""

import re
import unicodedata
from typing import Final

from pdp.diagnostics import Diagnostic, Span, did_you_mean
from pdp.lang.failure import TOP_LEVEL, Failure
from pdp.lang.recovery import misplaced

__all__ = ["explain"]

# Terminals that are not keywords, as people call them.
_PLAIN: Final = {
    "$END": "the end of the file",
    "METHOD": "a method such as `GET`",
    "OPERATOR": "a comparison such as `==`",
    "PATH": "a path",
    "STRING": "text in quotes",
    "WORD": "a name or a pattern",
}
_SHOWN: Final = 8  # a longer list of what was expected helps nobody
_WORD_SHOWN: Final = 60  # characters of a word in a message

_NO_REGEX: Final = "a path is no regular expression: `*` is one segment, `**` any number of them"
_STRAIGHT: Final = 'text stands in straight quotes: `"`'
_CHARACTERS: Final = {
    ";": "a statement ends with its line: leave the `;` out",
    "[": "a list stands in `{ }`",
    "]": "a list stands in `{ }`",
    "?": "the query of a request plays no part: leave it out",
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not`",
    "^": _NO_REGEX,
    **dict.fromkeys("'`\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a", _STRAIGHT),
}
_IN_A_PATH: Final = dict.fromkeys("[](|)^", _NO_REGEX)
_METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PUBLISH", "CONSUME"}
)
_OTHER_WORDS: Final = {
    **dict.fromkeys(("permit", "grant", "accept"), "write `allow`"),
    **dict.fromkeys(("forbid", "reject", "block", "refuse"), "write `deny`"),
    **dict.fromkeys(
        ("import", "include", "require", "use"), "every file of a policy set is read: nothing is imported"
    ),
}
_CLAUSES: Final = frozenset({"when", "unless", "from", "until", "because", "owner", "as", "set", "reuse"})
_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f\x7f]|\\["\\])*')


def explain(failure: Failure) -> Diagnostic:
    """The diagnostic of a syntax error."""
    if failure.kind == "$END":
        return _diagnostic(failure, "unexpected end of file", _end_help(failure))
    if not failure.kind:
        return _character(failure)
    word, at = failure.before
    if word in {"to", "may"} and word.upper() in failure.accepted:
        # It was read as the name that is missing in front of it.
        help_ = f"who? a principal stands before `{word}`, such as `anyone`"
        return _diagnostic(failure, f"unexpected `{word}`", help_, (at, at + len(word)))
    if failure.kind == "PATH" and "PATH" not in failure.accepted and (help_ := _method_help(word)):
        return _diagnostic(failure, f"`{word}` is not a method", help_, (at, at + len(word)))
    return _diagnostic(failure, f"unexpected `{_short(failure.text)}`", _word_help(failure))


def _diagnostic(failure: Failure, message: str, help_: str, at: tuple[int, int] | None = None) -> Diagnostic:
    start, end = at or (failure.start, failure.end)
    return Diagnostic(
        code="PDP101", message=message, span=Span(file=failure.source.path, start=start, end=end), help=help_
    )


def _short(word: str) -> str:
    return word if len(word) <= _WORD_SHOWN else f"{word[: _WORD_SHOWN - 1]}…"


# -- the end of the file, and blocks ---------------------------------------------------


def _end_help(failure: Failure) -> str:
    if failure.accepted == {"LANGUAGE"}:
        return _HEADER_HELP
    if failure.complete and failure.opener is not None:
        return _never_closed(failure, failure.opener)
    return _expected(failure)


_HEADER_HELP: Final = "a policy file begins with `language 1`"


def _never_closed(failure: Failure, opener: int) -> str:
    line, _ = failure.source.position(opener)
    begins = failure.source.line(line).partition("{")[0].strip(" \t=")
    return f"`{_short(begins)}` on line {line} opens a block that is not closed: write `}}`"


def _block_help(failure: Failure) -> str:
    """About a statement that cannot stand in the block around it."""
    if failure.opener is None or not failure.complete:
        return ""
    if not misplaced(failure.bared, failure.start, failure.opener):
        return _never_closed(failure, failure.opener)
    return f"`{failure.text}` stands outside of blocks"


def _broken_off(failure: Failure) -> str:
    """About a statement that begins where the one before it is not complete."""
    if failure.opener is not None and failure.before[0] == ",":
        return _never_closed(failure, failure.opener)
    return "the statement before it is not complete"


# -- characters ------------------------------------------------------------------------


def _character(failure: Failure) -> Diagnostic:
    text, start = failure.source.text, failure.start
    char = text[start]
    if char == '"':
        return _diagnostic(failure, *_string_problem(text, start))
    end = start + 2 if char in "&|" and text.startswith(char, start + 1) else start + 1
    inside = start > 0 and not text[start - 1].isspace() and "/" in failure.before[0]
    help_ = _IN_A_PATH.get(char, "") if inside else ""
    help_ = help_ or _CHARACTERS.get(char, "") or _strange(char)
    return _diagnostic(failure, f"unexpected `{text[start:end]}`", help_, (start, end))


def _string_problem(text: str, start: int) -> tuple[str, str]:
    match = _STRING.match(text, start)
    end = match.end() if match else start + 1
    if text.startswith("\\", end):
        return f"`{text[end : end + 2]}` has no meaning", 'inside quotes write `\\"` and `\\\\`: nothing else'
    return "text in quotes that does not end", 'close it with `"` on the same line'


def _strange(char: str) -> str:
    if char.isascii():
        return "what is not a plain word is written in quotes"
    if unicodedata.category(char) == "Zs":
        return "this is not the ordinary space: type it again"
    name = unicodedata.name(char, "an unknown character").lower()
    return f"this is {name}: outside of quotes the language is ASCII"


# -- words -----------------------------------------------------------------------------


def _method_help(word: str) -> str:
    """What to write for a word that stands where a method does, before a path."""
    if word == "*":
        return "every method is `any`"
    if word.upper() in _METHODS:
        return f"methods are written in capitals: `{word.upper()}`"
    return ""


def _word_help(failure: Failure) -> str:
    keywords = {failure.words[name] for name in failure.accepted if name in failure.words}
    text = failure.text
    if failure.accepted == {"LANGUAGE"}:
        close = did_you_mean(text, keywords) if text.isalpha() and len(text) <= _WORD_SHOWN else ""
        return close or _HEADER_HELP
    return _known_slip(failure) or _close(failure, keywords) or _in_context(failure) or _expected(failure)


def _close(failure: Failure, keywords: set[str]) -> str:
    text = failure.text
    if not text.isalpha() or len(text) > _WORD_SHOWN or text in failure.words.values():
        return ""
    return _OTHER_WORDS.get(text, "") or did_you_mean(text, [word for word in keywords if word.isalpha()])


def _known_slip(failure: Failure) -> str:
    """For words that mean something in another language, or in another place of this one."""
    text, accepted, (word, at) = failure.text, failure.accepted, failure.before
    if not accepted:
        return _broken_off(failure)
    adjacent = at + len(word) == failure.start
    if text.startswith(("//", "/*", "--")) and not accepted & {"PATH", "STRING"}:
        return "a comment begins with `#`"
    if text == "{" and adjacent and word.endswith("/"):
        return "a capture is a whole segment in lower case: `/{id}`"
    if text == "{" and adjacent and "/" in word:
        return "a capture stands for a whole segment: `/{id}`"
    if text in {"(", ")"} and adjacent and "/" in word:
        return _NO_REGEX
    if text == "=" and "OPERATOR" in accepted:
        return "`==` compares"
    if text == "(" and "LBRACE" in accepted:
        return "a list stands in `{ }`"
    if text == "}" and failure.opener is None:
        return "no block is open here"
    if text == "language":
        return "`language 1` stands once, at the beginning of the file"
    if text in TOP_LEVEL and failure.starts_line:
        return _block_help(failure)
    if "METHOD" in accepted and text.upper() in _METHODS:
        return f"methods are written in capitals: `{text.upper()}`"
    return ""


def _in_context(failure: Failure) -> str:
    """For words that could stand there if something else stood before them."""
    text, accepted, (word, _) = failure.text, failure.accepted, failure.before
    if word == "," and text != ",":
        return "a list goes on after `,`, or ends without one"
    if text == "," and "AND" in accepted:
        return "exceptions are joined by `and`"
    if text == "and" and "COMMA" in accepted:
        return "principals are separated by `,`"
    if text in _CLAUSES and "TO" in accepted:
        return f"`{text}` stands after the path"
    if failure.kind == "PATH" and "METHOD" in accepted:
        return f"which method? write `GET {_short(text)}`, or `any` for every one"
    if failure.kind == "OPERATOR":
        return "a comparison has two sides: join several by `and`"
    if {"AND", "OR"} <= accepted:
        return "conditions are joined by `and` or `or`"
    plain = failure.kind == "WORD" and text not in failure.words.values()
    if plain and word.startswith("/") and not failure.starts_line:
        return "a path holds no space: in a request it is `%20`"
    return ""


def _expected(failure: Failure) -> str:
    accepted = sorted(failure.accepted)
    shown = [_PLAIN[name] for name in accepted if name in _PLAIN]
    shown += sorted(f"`{failure.words[name]}`" for name in accepted if name in failure.words)
    return f"expected {_listed(shown)}" if 0 < len(shown) <= _SHOWN else ""


def _listed(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
