"""Obligations of an allow, fulfilled on the request as the application sees it; or it is withheld."""

from collections.abc import Iterable
from typing import Final

from pdp_client.decision import Decision, SetHeader
from pdp_client.middleware.incoming import Withheld, header_name

__all__ = ["headers_after", "set_and_removed"]

#: What frames a message or names whom it is for: the server has read it already, and by the old value.
_NOT_OURS: Final = frozenset(
    {"connection", "content-length", "host", "te", "trailer", "transfer-encoding", "upgrade"}
)


def set_and_removed(decision: Decision) -> dict[str, str | None]:
    """What becomes of headers, by name as it is compared: a new value, or None for none.

    Raises:
        Withheld: The decision is no allow, or demands what cannot be fulfilled here.
    """
    if not decision.allowed:
        raise Withheld(f"denied: {decision.reason}", denied=True)
    changes: dict[str, str | None] = {}
    for duty in decision.obligations:
        name = header_name(duty.name)
        if name in _NOT_OURS or name in changes:
            raise Withheld(f"an obligation about the header {name} cannot be fulfilled", denied=True)
        changes[name] = duty.value if isinstance(duty, SetHeader) else None
    for name, value in changes.items():
        try:
            (value or "").encode("latin-1")
        except UnicodeEncodeError:
            raise Withheld(f"the value of the header {name} is no header's", denied=True) from None
    return changes


def headers_after(
    headers: Iterable[tuple[bytes, bytes]], changes: dict[str, str | None]
) -> list[tuple[bytes, bytes]]:
    """The lines of a request once its obligations are fulfilled: of a name that is changed none is left."""
    kept = [line for line in headers if header_name(line[0].decode("latin-1")) not in changes]
    added = [(name.encode(), value.encode("latin-1")) for name, value in changes.items() if value is not None]
    return kept + added
