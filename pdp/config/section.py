"""What all tables of the settings have in common, and the types of settings that several share."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["DAY_SECONDS", "Seconds", "Section"]

DAY_SECONDS: Final = 86_400
Seconds = Annotated[float, Field(ge=0, le=DAY_SECONDS, allow_inf_nan=False)]


class Section(BaseModel):
    """A table of the file: no key that is not known, no value of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
