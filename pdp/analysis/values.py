"""Values: the few values of an attribute, users and instants that are enough to try.

A test of an attribute against constants tells two values apart only if one of its constants does,
so one value of each kind and a fresh one stand for all. Values that are compared with each other
are drawn from one stock, with enough fresh ones for all to differ.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network
from itertools import combinations, product
from typing import Final, TypeAlias, final

from pdp.analysis.budget import Budget
from pdp.analysis.facts import Facts, Scalar, Test
from pdp.compiler.attributes import address
from pdp.compiler.windows import WeekWindow
from pdp.lang import ast
from pdp.lang.ast import AttributeType
from pdp.limits import YEARS_AHEAD
from pdp.vocabulary import AttributeValue, Millis, User

__all__ = ["KEPT_FOR", "Calendar", "Stock", "attribute_values", "users"]

_INT_LIMIT: Final = 1 << 63
_MAPPED_END: Final = 1 << 48  # the first IPv6 address after those that are IPv4
_YEAR: Final[Millis] = 366 * 86_400_000

#: For how long what was found to hold is held to be found.
KEPT_FOR: Final[Millis] = 30 * 86_400_000


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """What the values that are compared with each other are drawn from.

    Attributes:
        tests: Constants of all of them, by the tests that they occur in.
        texts: Segments that they may be compared with.
        fresh: Texts that nothing knows, one more than are compared.
    """

    tests: frozenset[Test]
    texts: tuple[str, ...]
    fresh: tuple[str, ...]

    @classmethod
    def of(cls, facts: Facts, segments: Iterable[str], fresh: tuple[str, ...]) -> "Stock":
        """The stock for some conditions, on given segments of principal and path."""
        tests = frozenset().union(*(facts.tests[name] for name in facts.pairs))
        texts = dict.fromkeys(text for text in segments if text)
        return cls(tests=tests, texts=tuple(texts), fresh=fresh)


def attribute_values(
    name: str, type_: AttributeType, facts: Facts, stock: Stock, budget: Budget
) -> list[AttributeValue | None]:
    """Values of an attribute that are enough to try; None, for none, comes first.

    Raises:
        TooLargeError: There are too many.
    """
    own = facts.tests[name]
    compared = name in facts.pairs
    tests = own | stock.tests if compared else own
    extra = len(stock.fresh) if compared else 1
    values: Iterable[AttributeValue]
    match type_:
        case AttributeType.BOOL:
            values = (True, False)
        case AttributeType.INT:
            values = _integers(tests, extra)
        case AttributeType.ADDRESS:
            values = _addresses(tests, extra)
        case AttributeType.STRING:
            values = _texts(tests, stock, compared=compared)
        case AttributeType.STRINGS:
            values = _lists(_texts(tests, stock, compared=compared), len(own), stock.fresh[0], budget)
    return [None, *values]


def _kinds(tests: Iterable[Test], *, compared: bool) -> list[str]:
    """One constant for each set of tests that some constant occurs in; all where values are compared."""
    ordered = sorted(tests, key=lambda test: sorted(map(str, test)))
    members: dict[Scalar, list[int]] = {}
    for number, test in enumerate(ordered):
        for constant in test:
            members.setdefault(constant, []).append(number)
    texts = sorted(constant for constant in members if isinstance(constant, str))
    if compared:
        return texts
    # A header is read between its commas, too: such a constant occurs in more tests than those that name it.
    kinds = {(tuple(members[text]), text if _may_be_joined(text) else ""): text for text in reversed(texts)}
    return list(kinds.values())[::-1]


def _may_be_joined(text: str) -> bool:
    return "," in text or text != text.strip(" \t")


def _texts(tests: Iterable[Test], stock: Stock, *, compared: bool) -> list[str]:
    known = _kinds(tests, compared=compared)
    if not compared:
        return [*known, stock.fresh[0]]
    return list(dict.fromkeys((*known, *stock.texts, *stock.fresh)))


def _lists(texts: Sequence[str], tests: int, fresh: str, budget: Budget) -> list[tuple[str, ...]]:
    """Lists of the texts: each test is decided by one member, and one more makes a list of several."""
    found: list[tuple[str, ...]] = []
    for size in range(1, min(len(texts), tests + 1) + 1):
        for members in combinations(texts, size):
            budget.spend()
            found.append(members)
    if len(texts) == 1:
        found.append((fresh, fresh))
    return found


def _integers(tests: Iterable[Test], extra: int) -> list[int]:
    constants = sorted({value for test in tests for value in test if type(value) is int} | {0})
    near = [value + step for value in constants for step in range(-extra, extra + 1)]
    return [value for value in dict.fromkeys(near) if -_INT_LIMIT <= value < _INT_LIMIT]


def _addresses(tests: Iterable[Test], extra: int) -> list[str]:
    """Addresses at which some block begins, or is over, and a few after each."""
    borders: set[tuple[int, int]] = {(4, 0), (6, 0), (6, _MAPPED_END)}
    for text in sorted({value for test in tests for value in test if isinstance(value, str)}):
        block = ip_network(text)
        first, last = int(block.network_address), int(block.broadcast_address)
        version = int(block.version)
        if isinstance(block, IPv6Network) and address(str(block.network_address)) != block.network_address:
            version, first, last = 4, first & 0xFFFF_FFFF, last & 0xFFFF_FFFF
        borders |= {(version, first), (version, last + 1)}
    near = [(version, border + step) for version, border in sorted(borders) for step in range(extra)]
    return [text for version, number in dict.fromkeys(near) if (text := _address(version, number))]


def _address(version: int, number: int) -> str:
    """An address as text; empty for one that there is not, or that is another in disguise."""
    if number >= 1 << (32 if version == 4 else 128):
        return ""
    found = IPv4Address(number) if version == 4 else IPv6Address(number)
    return str(found) if address(str(found)) == found else ""


def users(facts: Facts, stock: Stock, budget: Budget) -> list[User | None]:
    """Users that are enough to try, and none.

    Raises:
        TooLargeError: There are too many.
    """

    def texts(name: str) -> list[str]:
        compared = name in facts.pairs
        own = facts.tests.get(name, frozenset())
        return _texts(own | stock.tests if compared else own, stock, compared=compared)

    tests = len(facts.tests.get("user.groups", frozenset()))
    groups = [(), *_lists(texts("user.groups"), tests, stock.fresh[0], budget)] if tests else [()]
    found: list[User | None] = [None]
    for issuer, subject, listed in product(texts("user.iss"), texts("user.sub"), groups):
        budget.spend()
        found.append(User(issuer=issuer, subject=subject, groups=listed))
    return found


# -- instants --------------------------------------------------------------------------

_Key: TypeAlias = tuple[frozenset[ast.During], frozenset[Millis]]


@final
class Calendar:
    """Instants from now on, one for each way in which windows and dates can stand together."""

    def __init__(self, now: Millis) -> None:
        self.now = now
        # As far as counts, and further by as long as an answer is kept.
        self._end = now + YEARS_AHEAD * _YEAR + KEPT_FOR
        self._flips: dict[ast.During, tuple[WeekWindow, list[Millis]]] = {}
        self._known: dict[_Key, tuple[Millis, ...]] = {}

    def instants(self, windows: frozenset[ast.During], dates: frozenset[Millis]) -> tuple[Millis, ...]:
        """Instants that are enough to try, ascending."""
        ahead = frozenset(date for date in dates if date > self.now)
        found = self._known.get((windows, ahead))
        if found is None:
            found = self._known[windows, ahead] = self._find(windows, ahead)
        return found

    def _find(self, windows: frozenset[ast.During], dates: frozenset[Millis]) -> tuple[Millis, ...]:
        tracks = [self._track(window) for window in windows]
        changes = sorted({self.now, *dates, *(flip for _, flips in tracks for flip in flips)})
        passed = sorted(dates)
        seen: dict[object, Millis] = {}
        for instant in changes:
            before = sum(date <= instant for date in passed)
            seen.setdefault((before, *(window.holds(instant) for window, _ in tracks)), instant)
        return tuple(seen.values())

    def _track(self, during: ast.During) -> tuple[WeekWindow, list[Millis]]:
        """A window of our own, so that those of the rules keep what they know, and its flips."""
        known = self._flips.get(during)
        if known is None:
            window = WeekWindow(during.days, during.start, during.end, during.zone)
            flips: list[Millis] = []
            at = window.next_flip(self.now)
            while at is not None and at <= self._end:
                flips.append(at)
                at = window.next_flip(at)
            known = self._flips[during] = (window, flips)
        return known
