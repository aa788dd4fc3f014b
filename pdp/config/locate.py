"""Where in a TOML file a setting stands.

The standard library's parser tells values and not their places. Places are looked up line by line,
only for what is wrong: a line that begins a table, or gives a key, is read by the same parser.
"""

import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

from pdp.diagnostics import Source, Span

__all__ = ["locate"]

_LINE = re.compile(r"[^\n]*\n|[^\n]+")  # TOML, section 2: lines end at a line feed, and nowhere else
_TABLE = re.compile(r"^[ \t]*\[[^\[\]].*?\][ \t]*(?:#.*)?$")
# Nothing is given back: a long word in a text of several lines would be taken apart in every way there is.
_KEY = re.compile(r"^([ \t]*+)((?:[A-Za-z0-9_-]++|\"[^\"\n]*+\"|'[^'\n]*+'|[ \t]*+\.[ \t]*+)++)[ \t]*+=")


def locate(source: Source, path: Sequence[str | int]) -> Span:
    """The place of the setting with this path of keys, or of the nearest table around it, or within."""
    wanted = tuple(str(part) for part in path)
    best, depth = Span(file=source.path, start=0, end=0), 0
    within: Span | None = None
    for keys, span in _places(source):
        if keys == wanted[: len(keys)] and len(keys) > depth:
            best, depth = span, len(keys)
        elif within is None and keys[: len(wanted)] == wanted != ():
            within = span
    return best if depth or within is None else within


def _places(source: Source) -> Iterator[tuple[tuple[str, ...], Span]]:
    """Tables and keys, with the paths they stand for."""
    table: tuple[str, ...] = ()
    start = 0
    for line in _LINE.findall(source.text):
        stripped = line.strip()
        if _TABLE.match(line.rstrip("\r\n")):
            table = _path_of(stripped)
            begin = start + len(line) - len(line.lstrip())
            yield (
                table,
                Span(file=source.path, start=begin, end=begin + len(stripped.partition("#")[0].rstrip())),
            )
        elif match := _KEY.match(line):
            begin = start + len(match[1])
            keys = _path_of(f"{match[2]} = 0")
            if keys:
                yield (*table, *keys), Span(file=source.path, start=begin, end=begin + len(match[2].rstrip()))
        start += len(line)


def _path_of(text: str) -> tuple[str, ...]:
    """The keys that a line of TOML opens, one within the other."""
    try:
        inner: Any = tomllib.loads(text)
    except ValueError:
        return ()
    keys = []
    while isinstance(inner, dict) and inner:
        ((key, inner),) = inner.items()
        keys.append(key)
    return tuple(keys)
