"""The types of settings about tokens that issuers, trust domains and clusters have in common."""

from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from pdp.config.section import Section
from pdp.limits import MAX_LEEWAY_SECONDS

__all__ = ["Believed", "Document", "among"]

_MAX_LIFETIME_SECONDS: Final = 366 * 86_400
_OWN: Final = "it should be a table, or a text that holds JSON"


def _document(value: Any) -> Any:
    if value is not None and not isinstance(value, dict | str):
        raise ValueError(_OWN)
    return value


def among(known: frozenset[str]) -> Callable[[frozenset[str]], frozenset[str]]:
    """What checks that algorithms are some of these."""

    def check(names: frozenset[str]) -> frozenset[str]:
        if unknown := sorted(names - known):
            msg = f"`{unknown[0]}` is not accepted: algorithms are some of {', '.join(sorted(known))}"
            raise ValueError(msg)
        return names

    return check


Document = Annotated[Any, AfterValidator(_document)]
_Audiences = Annotated[
    frozenset[Annotated[str, Field(min_length=1, max_length=2048)]], Field(strict=False, min_length=1)
]
_Leeway = Annotated[float, Field(ge=0, le=MAX_LEEWAY_SECONDS, allow_inf_nan=False)]
_Lifetime = Annotated[int, Field(ge=1, le=_MAX_LIFETIME_SECONDS)]


class Believed(Section):
    """What is said of each, whoever it is."""

    audiences: _Audiences
    leeway_seconds: _Leeway = 10
    max_lifetime_seconds: _Lifetime | None = None
