"""The comparisons that conditions are made of, each compiled to one closure.

`key` is the name of an attribute, or the place of a capture. Every closure is total: a value of
another type than the declared one compares as unknown, so that no rule fails at run time.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final, TypeAlias, cast

from pdp.compiler.attributes import address
from pdp.compiler.evaluation import Evaluation, Place, Truth
from pdp.compiler.terms import Constant, Key
from pdp.lang.ast import AttributeType, Operator

__all__ = ["compare_constant", "contains", "equal", "member_of"]

Test: TypeAlias = Callable[[Evaluation], Truth]
#: A value in comparable form; a tuple for a list; None where it is missing or malformed.
Reader: TypeAlias = Callable[[Evaluation], object]
_Values: TypeAlias = tuple[object, ...] | None
_HEADERS_KEPT: Final = 16  # values, taken apart


def _reader(key: Key, type_: AttributeType) -> Reader:
    if isinstance(key, Place):
        place = key
        return lambda evaluation: evaluation.segment(place)
    name = key
    match type_:
        case AttributeType.STRINGS:
            return lambda evaluation: _as_list(evaluation.context.get(name))
        case AttributeType.ADDRESS:
            return lambda evaluation: address(evaluation.context.get(name))
        case AttributeType.INT:
            return lambda evaluation: _exactly(int, evaluation.context.get(name))
        case AttributeType.BOOL:
            return lambda evaluation: _exactly(bool, evaluation.context.get(name))
        case AttributeType.STRING:
            return lambda evaluation: _exactly(str, evaluation.context.get(name))


def _exactly(type_: type, value: object) -> object:
    return value if type(value) is type_ else None


def _as_list(value: object) -> tuple[object, ...] | None:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple) and value:
        return tuple(value)
    return None


def _comparable(value: Constant, type_: AttributeType) -> object:
    return address(value) if type_ is AttributeType.ADDRESS else value


def _negated(test: Test) -> Test:
    def negated(evaluation: Evaluation) -> Truth:
        truth = test(evaluation)
        return None if truth is None else not truth

    return negated


def _one_of(read: Reader, inside: Callable[[object], bool]) -> Test:
    """Whether a value is inside; a list is only if its single value is, and is not if none is."""

    def test(evaluation: Evaluation) -> Truth:
        value = read(evaluation)
        if value is None:
            return None
        if not isinstance(value, tuple):
            return inside(value)
        if any(inside(item) for item in value):
            return True if len(value) == 1 else None
        return False

    return test


# -- headers ---------------------------------------------------------------------------


def _is_header(key: Key) -> bool:
    return isinstance(key, str) and key.startswith("header.")


class _Wanted:
    """Constants that a header is compared with, told apart by whether lines could have been joined to one.

    Whoever hands a header on may have joined its lines (RFC 9110, section 5.3). So a part of a value may have
    been a line, and several that follow each other; and a value with a comma is never surely one line.
    """

    __slots__ = ("plain", "runs")

    def __init__(self, constants: Iterable[object]) -> None:
        texts = cast("tuple[str, ...]", tuple(constants))  # what headers can be compared with is no other
        self.plain = frozenset(text for text in texts if "," not in text)
        self.runs = tuple(_parts(text)[1] for text in texts if "," in text)

    def within(self, values: Iterable[object]) -> bool:
        """Whether one of the constants may have been a line of these."""
        for value in values:
            if not isinstance(value, str):
                continue
            if value in self.plain:
                return True
            parts, joined = _parts(value)
            if not self.plain.isdisjoint(parts) or any(run in joined for run in self.runs):
                return True
        return False

    def one_of(self, values: tuple[object, ...] | None) -> Truth:
        """Whether the header's only line is one of the constants."""
        if values is None:
            return None
        if len(values) == 1 and values[0] in self.plain:
            return True
        return None if self.within(values) else False


@lru_cache(maxsize=_HEADERS_KEPT)  # several tests read one header of one request
def _parts(text: str) -> tuple[frozenset[str], str]:
    """What stands between the commas of a value; and all of it, so that a run of parts can be found in it."""
    parts = [part.strip(" \t") for part in text.split(",")]
    return frozenset(parts), f",{','.join(parts)},"


# -- the comparisons -------------------------------------------------------------------


def compare_constant(key: Key, operator: Operator, type_: AttributeType, value: Constant) -> Test:
    """`key OP value`."""
    read = _reader(key, type_)
    constant = _comparable(value, type_)
    if operator in {Operator.EQ, Operator.NE}:
        if _is_header(key):
            wanted = _Wanted((value,))
            equal: Test = lambda evaluation: wanted.one_of(cast("_Values", read(evaluation)))  # noqa: E731
        else:
            equal = _one_of(read, lambda item: item == constant)
        return equal if operator is Operator.EQ else _negated(equal)
    bound = cast("int", constant)

    def test(evaluation: Evaluation) -> Truth:
        number = read(evaluation)
        if not isinstance(number, int):
            return None
        match operator:
            case Operator.LT:
                return number < bound
            case Operator.LE:
                return number <= bound
            case Operator.GT:
                return number > bound
            case _:
                return number >= bound

    return test


def member_of(key: Key, type_: AttributeType, values: tuple[Constant, ...]) -> Test:
    """`key in { values }`; for addresses the values are addresses and blocks."""
    read = _reader(key, type_)
    if type_ is AttributeType.ADDRESS:
        blocks = [_block(str(value)) for value in values]
        return _one_of(read, lambda item: any(_inside(item, block) for block in blocks))
    if _is_header(key):
        wanted = _Wanted(values)
        return lambda evaluation: wanted.one_of(cast("_Values", read(evaluation)))
    constants = frozenset(values)
    return _one_of(read, lambda item: item in constants)


def _block(text: str) -> IPv4Network | IPv6Network:
    """A block, with those below `::ffff:0:0/96` as IPv4."""
    block = ip_network(text)
    if isinstance(block, IPv6Network) and block.prefixlen >= 96 and block.network_address.ipv4_mapped:
        return IPv4Network((int(block.network_address.ipv4_mapped), block.prefixlen - 96))
    return block


def _inside(item: object, block: IPv4Network | IPv6Network) -> bool:
    return isinstance(item, IPv4Address | IPv6Address) and item.version == block.version and item in block


def contains(name: str, text: str) -> Test:
    """`name has text`."""
    read = _reader(name, AttributeType.STRINGS)
    if not _is_header(name):

        def test(evaluation: Evaluation) -> Truth:
            value = cast("_Values", read(evaluation))
            return None if value is None else text in value

        return test
    wanted = _Wanted((text,))

    def of_header(evaluation: Evaluation) -> Truth:
        value = cast("_Values", read(evaluation))
        if value is None:
            return None
        # A part is a line or not: `has` is about the list that both of them make.
        return (True if wanted.plain else None) if wanted.within(value) else False

    return of_header


def equal(left: tuple[Key, AttributeType], right: tuple[Key, AttributeType]) -> Test:
    """`left == right`, where the right side is no list."""
    read_left, read_right = _reader(*left), _reader(*right)
    header = _is_header(left[0])

    def test(evaluation: Evaluation) -> Truth:
        wanted = read_right(evaluation)
        if wanted is None:
            return None
        if header:
            return _Wanted((wanted,)).one_of(cast("_Values", read_left(evaluation)))
        return _one_of(read_left, lambda item: item == wanted)(evaluation)

    return test
