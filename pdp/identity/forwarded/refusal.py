"""Why headers name nobody: one kind of fault, one sentence for people.

This module holds the refusal alone. Who refuses, and when, is in the modules of the forms.
"""

from enum import Enum
from typing import Final, final

__all__ = ["ForwardedError", "ForwardedFault", "invalid", "missing"]


@final
class ForwardedFault(Enum):
    """Why headers name nobody."""

    MISSING = "missing"
    INVALID = "invalid"
    ELSEWHERE = "elsewhere"


@final
class ForwardedError(Exception):
    """Headers that name no caller.

    Attributes:
        fault: What kind of fault it is.
        message: One sentence in plain words; holds nothing of any header.
    """

    def __init__(self, fault: ForwardedFault, message: str) -> None:
        super().__init__(message)
        self.fault: Final = fault
        self.message: Final = message


def invalid(name: bytes, why: str) -> ForwardedError:
    """A header that is there, and proves nothing.

    Args:
        name: Its name as the operator or the form gives it, never as a request does.
        why: The rest of a sentence about it.
    """
    return ForwardedError(ForwardedFault.INVALID, f"`{name.decode('ascii')}` is refused: {why}")


def missing(name: bytes, why: str = "the proxy says of nobody that they ask") -> ForwardedError:
    """A header that is not there.

    Args:
        name: As for `invalid`.
        why: What that means, a sentence.
    """
    return ForwardedError(ForwardedFault.MISSING, f"`{name.decode('ascii')}` is missing: {why}")
