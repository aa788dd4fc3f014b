"""What becomes of decisions that the decision log has no room for, as settings say it."""

from enum import Enum

__all__ = ["LogMode"]


class LogMode(Enum):
    """What a full queue means."""

    BLOCK = "block"  # no decision without its line: questions wait, and are refused when it takes too long
    DROP = "drop"  # decisions go on, and lines that do not fit are counted
    SAMPLE = "sample"  # like DROP, of all that is a plain allow one in so many
