"""Settings about who is believed no more: where the list is, and who may change it."""

from typing import Annotated, Self, final

from pydantic import Field, model_validator

from pdp.config.section import Section
from pdp.config.values import FilePath, Identity, Listen, SourceUrlText, TrustDomain

__all__ = ["AdminSettings", "QuarantineSettings"]


@final
class QuarantineSettings(Section):
    """Where the list is that this service follows: in a file, or at a URL."""

    file: FilePath | None = None
    url: SourceUrlText | None = None
    ca_file: FilePath | None = None
    kept: FilePath | None = None
    poll_seconds: Annotated[float, Field(ge=0.1, le=60, allow_inf_nan=False)] = 0.5

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file is None) == (self.url is None):
            raise ValueError("name the list by one of `file` and `url`")
        if (self.url is None) != (self.kept is None):
            # A start while the URL cannot be reached would believe everybody again.
            raise ValueError("`kept` goes with `url`: the file in which the last list survives a restart")
        if self.ca_file is not None and self.url is None:
            raise ValueError("`ca_file` is for `url` alone")
        return self


@final
class AdminSettings(Section):
    """The listener for those who change the list: mTLS to roots of its own, off unless it is set."""

    listen: Listen
    trust: dict[TrustDomain, FilePath] = Field(min_length=1)
    may_quarantine: frozenset[Identity] = Field(default=frozenset(), strict=False)
    may_lift: frozenset[Identity] = Field(default=frozenset(), strict=False)
