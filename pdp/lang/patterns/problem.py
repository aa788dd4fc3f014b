"""A mistake inside a token: what every module of this package raises, and nothing else."""

from typing import NoReturn

__all__ = ["PatternError", "fail"]


class PatternError(Exception):
    """A mistake inside a token.

    Attributes:
        code: The diagnostic's code.
        start: Where the mistake begins, counted from the token's start.
        end: Where it ends.
    """

    def __init__(self, code: str, message: str, *, at: tuple[int, int], help_: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.start, self.end = at
        self.help = help_


def fail(code: str, message: str, at: tuple[int, int], help_: str = "") -> NoReturn:
    """Raise `PatternError`."""
    raise PatternError(code, message, at=at, help_=help_)
