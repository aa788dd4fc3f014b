"""What is said of a setting that the service does not start with."""

from typing import NamedTuple

__all__ = ["Problem"]


class Problem(NamedTuple):
    """A setting and why it is refused, or only doubtful."""

    setting: tuple[str, ...]
    message: str
    help: str = ""
    refused: bool = True
