"""Path patterns as bytes in an image: for explanations, and for what follows an inner `**`."""

from pdp.compiler.packed_patterns import pack_pattern, unpack_pattern
from pdp.image.layout import ImageError
from pdp.lang import ast

__all__ = ["pack_pattern", "read_pattern"]


def read_pattern(content: bytes) -> tuple[ast.Segment, ...]:
    """The pattern that bytes hold.

    Raises:
        ImageError: They hold none.
    """
    try:
        return unpack_pattern(content)
    except ValueError as error:  # the errors of msgspec are among them
        raise ImageError("a path pattern cannot be read") from error
