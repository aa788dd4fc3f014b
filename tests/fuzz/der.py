"""DER (X.690) as a tree: read, changed in its structure, and written with right lengths again.

Bytes changed at random nearly always end a certificate at the first length. Here the lengths fit
whatever happens, so that what is changed is looked at. Written from the standard alone.
"""

import random
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Final

__all__ = ["Node", "NotDerError", "change", "read_all"]

_CONSTRUCTED: Final = 0x20
#: Tags that hold DER in turn though they do not say so: OCTET STRING, as extensions do.
_HOLDS_MORE: Final = 0x04
_TAGS: Final = (
    0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0C, 0x13, 0x16, 0x17, 0x18, 0x30, 0x31, 0x80, 0x81, 0x82, 0x83,
    0x84, 0x86, 0x87, 0x88, 0xA0, 0xA3, 0xA4,
)  # fmt: skip
_CONTENTS: Final = (
    b"", b"\x00", b"\xff", b"\x01", b"\x7f", b"\x80", b"\x00\x80", b"\xff" * 9, b"\x00" * 40, b"\x55\x1d\x11",
    b"\x55\x1d\x13", b"\x55\x1d\x0f", b"\x55\x1d\x25", b"\x55\x1d\x1e", b"\x55\x1d\x23", b"270301120000Z",
    b"20270301120000Z", b"99991231235959Z", b"991231235959Z", b"270301120000+0100", b"spiffe://a/b",
    b"spiffe://prod.example.org", b"spiffe://prod.example.org/a\0b", b"spiffe://prod.example.org/\xc3\xa9",
    b"spiffe://prod.example.org/ns/../x", b"*", b"\xc3\xa9",
)  # fmt: skip


class NotDerError(Exception):
    """No whole element stands here."""


@dataclass(slots=True)
class Node:
    """An element: its tag, and its content or the elements in it."""

    tag: int
    content: bytes
    children: "list[Node] | None" = None

    def encode(self) -> bytes:
        content = (
            self.content if self.children is None else b"".join(child.encode() for child in self.children)
        )
        return bytes([self.tag]) + _length(len(content)) + content

    def all(self) -> "Iterator[Node]":
        """This one and all within it."""
        yield self
        for child in self.children or ():
            yield from child.all()


def _length(size: int) -> bytes:
    if size < 0x80:
        return bytes([size])
    written = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([0x80 | len(written)]) + written


def _read(data: bytes, at: int) -> tuple[Node, int]:
    if at + 2 > len(data) or data[at] & 0x1F == 0x1F:
        raise NotDerError
    tag, size, at = data[at], data[at + 1], at + 2
    if size >= 0x80:
        count = size & 0x7F
        size, at = int.from_bytes(data[at : at + count]), at + count
    if at + size > len(data):
        raise NotDerError
    content = data[at : at + size]
    children = None
    if content and (tag & _CONSTRUCTED or tag == _HOLDS_MORE):
        try:
            children = read_all(content)
        except NotDerError:
            children = None
    return Node(tag, content, children), at + size


def read_all(data: bytes) -> list[Node]:
    """The elements that stand one after another.

    Raises:
        NotDerError: Something else stands there.
    """
    found, at = [], 0
    while at < len(data):
        node, at = _read(data, at)
        found.append(node)
    return found


def change(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """One change in the structure, or a few; `other` lends elements."""
    try:
        trees, lent = read_all(data), read_all(other)
    except NotDerError:
        return data
    lenders = [node for tree in lent for node in tree.all()]
    if not trees or not lenders:
        return data + other
    for _ in range(min(4, 1 + int(rng.expovariate(1.5)))):
        _change_once(rng, trees, lenders)
    return b"".join(tree.encode() for tree in trees)


def _change_once(rng: random.Random, trees: Sequence[Node], lenders: Sequence[Node]) -> None:
    nodes = [node for tree in trees for node in tree.all()]
    node = rng.choice(nodes)
    siblings = [each for each in nodes if each.children]
    around = rng.choice(siblings).children if siblings else None
    lent = rng.choice(lenders)
    match rng.randint(0, 8):
        case 0:
            node.tag = rng.choice(_TAGS)
        case 1:
            node.content, node.children = rng.choice(_CONTENTS), None
        case 2 if around:
            del around[rng.randrange(len(around))]
        case 3 if around:
            around.insert(rng.randint(0, len(around)), deepcopy(rng.choice(around)))
        case 4 if around:
            rng.shuffle(around)
        case 5 if around:
            around.insert(rng.randint(0, len(around)), Node(lent.tag, lent.content))
        case 6:
            node.tag, node.content, node.children = lent.tag, lent.content, None
        case 7 if node.children is None and node.content:
            at = rng.randrange(len(node.content))
            changed = bytes([node.content[at] ^ 1 << rng.randrange(8)])
            node.content = node.content[:at] + changed + node.content[at + 1 :]
        case _:
            wrapped = Node(node.tag, node.content, node.children)
            node.tag, node.children = rng.choice((0x30, 0x31, 0xA0)), [wrapped]
