"""How much one question of the analysis may cost, and what happens beyond."""

from typing import final

__all__ = ["Budget", "TooLargeError"]


class TooLargeError(Exception):
    """The question has more cases than the bound admits: it is not answered, in either direction."""


@final
class Budget:
    """Steps that are left; a step costs some microseconds."""

    __slots__ = ("left",)

    def __init__(self, steps: int) -> None:
        self.left = steps

    def spend(self, steps: int = 1) -> None:
        """Take steps.

        Raises:
            TooLargeError: None are left.
        """
        self.left -= steps
        if self.left < 0:
            raise TooLargeError
