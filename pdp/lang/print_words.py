"""How names, patterns, constants and clauses are spelled.

What is built from them, and which statements there are, is the printer's business.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Final, assert_never

from pdp.lang import ast
from pdp.vocabulary import Millis

__all__ = [
    "NotWritableError",
    "print_duration",
    "print_during",
    "print_instant",
    "print_obligation",
    "print_operand",
    "print_path",
    "print_path_text",
    "print_segment",
    "print_segments",
    "print_services",
    "print_user",
    "print_value",
    "print_values",
    "quoted",
    "word_or_quoted",
]

# What surely is one WORD or PATH of the grammar; anything else is quoted where that is possible.
_WORD: Final = re.compile(r"(?![A-Z][A-Z0-9_-]*\Z)[A-Za-z0-9*_~:-][A-Za-z0-9_.*:@%+~$/-]*")
_PATH: Final = re.compile(r"/(?:[A-Za-z0-9_.*:@%+~$!&'=/-]|(?<=/)\{[a-z][a-z0-9_]*\})*")
_UNQUOTABLE: Final = re.compile(r"[\x00-\x1f\x7f]")
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_UNITS: Final = (("h", 3_600_000), ("m", 60_000), ("s", 1000))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# An instant outside the years that can be written is printed by the clock of the farthest zone.
_FARTHEST: Final = timedelta(hours=23, minutes=59)
# Words that mean something else after `on`.
_NOT_SERVICES: Final = frozenset({"any", "behalf"})


class NotWritableError(ValueError):
    """A text holds a character that no text in quotes can hold."""


def quoted(text: str) -> str:
    """Text in quotes.

    Raises:
        NotWritableError: It holds a control character.
    """
    if _UNQUOTABLE.search(text):
        raise NotWritableError("text in a policy holds no line breaks or other control characters")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def word_or_quoted(text: str, *, reserved: frozenset[str] = frozenset()) -> str:
    """A plain word if it surely is one, else text in quotes."""
    return text if _WORD.fullmatch(text) and text not in reserved else quoted(text)


def print_instant(millis: Millis) -> str:
    """An instant of whole seconds in its shortest form: `2027-03-31`, `2027-01-01T09:00Z`."""
    moment, zone = _EPOCH, "Z"
    try:
        moment += timedelta(milliseconds=millis)
    except OverflowError:
        zone = "+23:59" if millis < 0 else "-23:59"
        moment = moment.astimezone(timezone(_FARTHEST if millis < 0 else -_FARTHEST))
        moment = (moment.replace(tzinfo=None) + timedelta(milliseconds=millis)).replace(tzinfo=moment.tzinfo)
    text = moment.replace(tzinfo=None).isoformat(timespec="seconds").removesuffix(":00")
    return text.removesuffix("T00:00") if zone == "Z" and text.endswith("T00:00") else text + zone


def print_duration(millis: Millis) -> str:
    """In the largest unit that divides it: `1h`, `5m`, `30s`, `500ms`."""
    for unit, size in _UNITS:
        if millis and millis % size == 0:
            return f"{millis // size}{unit}"
    return f"{millis}ms"


def print_segments(segments: Iterable[ast.Segment]) -> str:
    """Segments with slashes between them."""
    return "/".join(map(print_segment, segments))


def print_segment(segment: ast.Segment) -> str:
    """One segment as it stands between slashes."""
    match segment:
        case ast.LiteralSegment(text=text):
            return text
        case ast.Capture(name=name):
            return f"{{{name}}}"
        case ast.AnySegment():
            return "*"
        case ast.PrefixSegment(text=text):
            return f"{text}*"
        case ast.SuffixSegment(text=text):
            return f"*{text}"
        case ast.RestSegments():
            return "**"
        case _:
            assert_never(segment)


def print_path(pattern: ast.PathPattern) -> str:
    """A path pattern, quoted if need be."""
    return print_path_text(f"/{print_segments(pattern.segments)}")


def print_path_text(text: str) -> str:
    """The text of a path, quoted if need be."""
    return text if _PATH.fullmatch(text) else quoted(text)


def print_user(user: ast.UserPattern) -> str:
    """A user pattern, as after `on behalf of`."""
    match user.kind:
        case ast.UserKind.ANY:
            return "any user"
        case ast.UserKind.ISSUER:
            return word_or_quoted(f"{user.issuer}/*")
        case ast.UserKind.SUBJECT:
            return word_or_quoted(f"{user.issuer}/{user.name}")
        case ast.UserKind.GROUP:
            return f"group {word_or_quoted(f'{user.issuer}/{user.name}')}"


def print_services(services: ast.Services) -> str:
    """Services, as after `on`."""
    if isinstance(services, ast.AnyService):
        return "any service"
    return ", ".join(word_or_quoted(name.text, reserved=_NOT_SERVICES) for name in services)


def print_value(value: ast.Value) -> str:
    """A constant."""
    match value:
        case ast.StringValue(value=text):
            return quoted(text)
        case ast.IntValue(value=number):
            return str(number)
        case ast.BoolValue(value=truth):
            return "true" if truth else "false"
        case ast.AddressValue(text=text):
            return text
        case _:
            assert_never(value)


def print_values(values: tuple[ast.Value, ...]) -> str:
    """One value as it is, several in braces."""
    return print_value(values[0]) if len(values) == 1 else f"{{ {', '.join(map(print_value, values))} }}"


def print_operand(operand: ast.Operand) -> str:
    """One side of a comparison."""
    match operand:
        case ast.AttributeOperand(name=name):
            return name
        case ast.CaptureOperand(name=name):
            return f"{{{name}}}"
        case ast.ValueOperand(value=value):
            return print_value(value)
        case _:
            assert_never(operand)


def print_during(window: ast.During) -> str:
    """A time of week."""
    days = "daily" if len(window.days) == len(_DAYS) else ", ".join(_days(window.days))
    start, end = (f"{minute // 60:02}:{minute % 60:02}" for minute in (window.start, window.end))
    return f"during {days} {start}-{end} in {window.zone}"


def _days(days: tuple[int, ...]) -> Iterator[str]:
    """Ranges for three days in a row or more: `mon-fri`."""
    left = list(days)
    while left:
        run = 1
        while run < len(left) and left[run] == left[0] + run:
            run += 1
        if run > 2:
            yield f"{_DAYS[left[0]]}-{_DAYS[left[run - 1]]}"
        else:
            yield from (_DAYS[day] for day in left[:run])
        del left[:run]


def print_obligation(duty: ast.HeaderObligation | ast.ReuseLimit) -> str:
    """An obligation as a clause."""
    match duty:
        case ast.HeaderObligation(header=header, value=None):
            return f"remove header {header}"
        case ast.HeaderObligation(header=header, value=str(value)):
            return f"set header {header} = {quoted(value)}"
        case ast.ReuseLimit(millis=millis):
            return f"reuse at most {print_duration(millis)}"
        case _:
            raise TypeError(duty)


def _bound(name: ast.Name, values: tuple[ast.Value, ...] | None) -> str:
    return f"{name.text} = {'absent' if values is None else print_values(values)}"


def _names(names: Iterable[ast.Name]) -> str:
    return ", ".join(name.text for name in names)
