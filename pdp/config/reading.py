"""Texts to values: a document of TOML, and a variable's text by the type of its setting.

What the values have to be is in `pdp.config.model`, where they come from in `pdp.config.load`.
"""

import re
import tomllib
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from pdp.config.model import Settings
from pdp.diagnostics import Diagnostic, Source, Span

__all__ = ["fields_of", "from_text", "not_toml", "parse_toml"]

_POSITION: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def parse_toml(text: str) -> dict[str, Any]:
    """The document.

    Raises:
        ValueError: There is none; the message says why.
    """
    # The parser recurses, and leaves it to Python how many digits a number may have.
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:
        raise ValueError("a number has too many digits") from None
    except RecursionError:
        raise ValueError("it nests too deep") from None


def from_text(keys: tuple[str, ...], value: str) -> object:
    """A variable's value: TOML where the setting is a number, a truth value or a list; else the text."""
    fields = fields_of(keys[:-1])
    if keys[-1] not in fields or _holds_text(fields[keys[-1]].annotation):
        return value
    try:
        tree = parse_toml(f"value = {value}")
    except ValueError:
        return value
    return tree["value"] if len(tree) == 1 else value  # else a line break in it began another setting


def _holds_text(annotation: Any) -> bool:
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _holds_text(inside[0])
    if origin is UnionType or origin is Union:
        return any(map(_holds_text, inside))
    return isinstance(annotation, type) and issubclass(annotation, str | Path | Enum)


def fields_of(keys: tuple[str, ...]) -> Mapping[str, FieldInfo]:
    """The settings of a table."""
    fields: Mapping[str, FieldInfo] = Settings.model_fields
    named = False  # whether the next key is a name that the operator gives, of a table among equals
    for key in keys:
        if named:
            named = False
            continue
        annotation = fields[key].annotation if key in fields else None
        models = [each for each in (annotation, *get_args(annotation)) if hasattr(each, "model_fields")]
        fields = models[0].model_fields if models else {}
        named = bool(models) and get_origin(annotation) is dict
    return fields


def not_toml(source: Source, message: str) -> Diagnostic:
    """What is wrong with a document that `parse_toml` did not take."""
    at = len(source.text)
    if match := _POSITION.search(message):
        message = message[: match.start()]
        if match[1]:
            lines = source.text.split("\n")
            at = sum(len(line) + 1 for line in lines[: int(match[1]) - 1]) + int(match[2]) - 1
    at = min(at, len(source.text))
    span = Span(file=source.path, start=at, end=at + 1)
    return Diagnostic(code="toml", message=f"this is not TOML: {message[:1].lower()}{message[1:]}", span=span)
