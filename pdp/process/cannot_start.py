"""Why the service does not start."""

from typing import final

__all__ = ["AddressTakenError", "CannotStartError"]


class CannotStartError(Exception):
    """Why the service does not start, in words, with what to do about it."""


@final
class AddressTakenError(CannotStartError):
    """Something else listens on the address; the message names the option that changes it."""
