"""What a version is made of: its parts and where they lie, and what is too small to be a part."""

from typing import Final

import msgspec

from pdp.compiler.callers import CallerEntry
from pdp.image.layout import ImageError
from pdp.lang.ast import AttributeType
from pdp.vocabulary import Millis

__all__ = ["Contents", "Manifest", "Place", "ServiceParts", "read_manifest", "write_manifest"]


class Place(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a part lies.

    Attributes:
        part: Its number, which no other part ever has.
        file: The number of the file.
        start: Offset in the file.
        length: Bytes.
        digest: SHA-256 of them.
    """

    part: int
    file: int
    start: int
    length: int
    digest: bytes


class ServiceParts(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One service: the numbers of its parts, and what `ServiceIndex` says beside them."""

    name: str
    rules: int
    texts: tuple[int, ...]
    declared: bool
    observe_until: Millis | None
    relaxations: int


class Contents(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A version by the numbers of its parts.

    Attributes:
        services: The declared ones.
        undeclared: What holds for every other.
        names: Named principals, oldest first.
        walks: Patterns of principals.
        environment: What names stand for.
        methods: Bit of each method that some rule names.
        hosts: Service of each host name.
        attributes: Types of the declared attributes.
        callers: Who may ask.
        rules: How many rules there are.
        digest: Of the files that it was made from.
    """

    services: tuple[ServiceParts, ...]
    undeclared: ServiceParts
    names: tuple[int, ...]
    walks: int
    environment: int
    methods: dict[str, int]
    hosts: dict[str, str]
    attributes: dict[str, AttributeType]
    callers: tuple[CallerEntry, ...]
    rules: int
    digest: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A version, with the places of its parts.

    Attributes:
        files: Numbers of the files, in the order in which they are handed over.
        places: Where every part lies.
        contents: What the version is made of.
    """

    files: tuple[int, ...]
    places: tuple[Place, ...]
    contents: Contents


_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(Manifest)


def write_manifest(manifest: Manifest) -> bytes:
    """A manifest as bytes."""
    return _encode(manifest)


def read_manifest(content: bytes) -> Manifest:
    """The manifest that bytes hold.

    Raises:
        ImageError: They hold none.
    """
    try:
        return _decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ImageError("the manifest of an image cannot be read") from error
