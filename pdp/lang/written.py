"""Parsed files as bytes, and back: what one process has parsed, the next need not parse again.

Decoded by type: whatever the bytes are, what comes of them is a syntax tree or an error. Who may have
written them is for those to know who keep them (`pdp.process.kept_trees`).
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from msgspec.structs import force_setattr

from pdp.diagnostics import Diagnostic, Span
from pdp.lang import ast
from pdp.lang.parsed import Parsed

__all__ = ["WrittenError", "read_parsed", "write_parsed"]


class WrittenError(Exception):
    """Bytes hold no parsed file."""


class _Written(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    # Each item by itself: of a large file, no single call should keep other threads waiting.
    path: str
    items: tuple[bytes, ...]
    diagnostics: tuple[Diagnostic, ...]
    damaged: tuple[str, ...]
    endings: tuple[tuple[Span, Span], ...]
    digest: bytes


_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(_Written)
_items: Final[msgspec.msgpack.Decoder[ast.Item]] = msgspec.msgpack.Decoder(ast.Item)
_NO_CLAUSE: Final = ast.Clause()


def write_parsed(parsed: Parsed) -> bytes:
    """A parsed file as bytes."""
    return _encode(
        _Written(
            path=parsed.file.path,
            items=tuple([_encode(item) for item in parsed.file.items]),
            diagnostics=parsed.diagnostics,
            damaged=tuple(sorted(parsed.damaged)),
            endings=tuple(parsed.endings.items()),
            digest=parsed.digest,
        )
    )


def read_parsed(content: bytes) -> Parsed:
    """The parsed file that bytes hold.

    Raises:
        WrittenError: They hold none.
    """
    try:
        found = _decoder.decode(content)
        items = tuple([_items.decode(item) for item in found.items])
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise WrittenError("a syntax tree cannot be read") from error
    _share(items)
    return Parsed(
        file=ast.File(path=found.path, items=items),
        diagnostics=found.diagnostics,
        damaged=frozenset(found.damaged),
        endings=dict(found.endings),
        digest=found.digest,
    )


def _share(items: Iterable[ast.Item]) -> None:
    """Hold once what rules have in common, as the parser does: else a tree takes twice the memory.

    Only what has no place in the text: equal nodes may stand anywhere.
    """
    known: dict[ast.Segment, ast.Segment] = {}
    once = known.setdefault
    for rule in _rules(items):
        if rule.clause == _NO_CLAUSE:
            force_setattr(rule, "clause", _NO_CLAUSE)
        patterns: list[ast.PathPattern | ast.PrincipalPattern] = [
            term for term in rule.principals.terms if isinstance(term, ast.PrincipalPattern)
        ]
        patterns += [target.path for target in rule.targets if isinstance(target, ast.Target)]
        for pattern in patterns:
            force_setattr(
                pattern, "segments", tuple([once(segment, segment) for segment in pattern.segments])
            )


def _rules(items: Iterable[ast.Item]) -> Iterator[ast.Rule]:
    for item in items:
        if isinstance(item, ast.ServiceBlock):
            yield from (inner for inner in item.items if isinstance(inner, ast.Rule))
        elif isinstance(item, ast.Rule):
            yield item
