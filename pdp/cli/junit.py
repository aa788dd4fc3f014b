"""Test results as JUnit XML, which every CI system reads.

There is no standard; this is the part that all readers agree on: suites by file, cases with
`classname` and `name`, a `failure` with a message and a text.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Final, final
from xml.etree import ElementTree as ET

__all__ = ["JUnitCase", "junit"]

# XML 1.0 section 2.2: what is not a character cannot be written, escaped or not.
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class JUnitCase:
    """One test case; `failure` is empty if it passed."""

    file: str
    line: int
    name: str
    failure: str


def junit(cases: Iterable[JUnitCase]) -> bytes:
    """The document, UTF-8; cases of one file stand together."""
    listed = list(cases)
    root = ET.Element("testsuites", _totals("pdp", listed))
    for file, group in groupby(listed, key=lambda case: case.file):
        members = list(group)
        suite = ET.SubElement(root, "testsuite", _totals(file, members))
        for case in members:
            place = {"classname": _text(file), "name": _text(case.name), "file": _text(file)}
            element = ET.SubElement(suite, "testcase", {**place, "line": str(case.line)})
            if case.failure:
                message = _text(case.failure.splitlines()[0])
                failure = ET.SubElement(element, "failure", {"message": message, "type": "failure"})
                failure.text = _text(case.failure)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _totals(name: str, cases: list[JUnitCase]) -> dict[str, str]:
    counts = {
        "tests": len(cases),
        "failures": sum(bool(case.failure) for case in cases),
        "errors": 0,
        "skipped": 0,
    }
    return {"name": _text(name), **{key: str(count) for key, count in counts.items()}}


def _text(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
