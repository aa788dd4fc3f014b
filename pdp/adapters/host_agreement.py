"""Whether all that a question says of the request's host is one host.

A request can name its host twice, in `host` and in `:authority`, and servers disagree about which one
counts. What a host is, is left to `pdp.paths`; which service it is, to the index.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from pdp.paths import AmbiguousHostError, canonical_host
from pdp.vocabulary import AttributeValue

__all__ = ["hosts_agree"]

_SAY_IT: Final = ("request.host", "header.host")


def hosts_agree(host: str | None, context: Mapping[str, AttributeValue | None]) -> bool:
    """Whether the host asked about, `request.host` and `header.host` are one, as far as they are given.

    A port may be left out; two that are given have to be equal. A single value is whatever it is: only
    two can contradict each other.
    """
    if context.keys().isdisjoint(_SAY_IT):
        return True
    named = list(_named(host, context))
    if len(named) < 2:
        return True
    try:
        found = [canonical_host(authority) for authority in named]
    except AmbiguousHostError:
        return False
    return len({name for name, _ in found}) == 1 and len({port for _, port in found} - {None}) <= 1


def _named(host: str | None, context: Mapping[str, AttributeValue | None]) -> Iterator[str]:
    if host is not None:
        yield host
    for name in _SAY_IT:
        value = context.get(name)
        if isinstance(value, str):
            yield value
        elif isinstance(value, tuple):
            yield from value
