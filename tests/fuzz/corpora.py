"""Inputs to begin with: what the repository holds already, of every kind, right and wrong."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from tests.docs.sets import blocks, files_in

__all__ = ["documents", "paths_of_kind", "policy_sets", "policy_texts", "questions", "tables"]

ROOT = Path(__file__).parents[2]
_PLACES = ("policies", "tests/golden/rejected", "tests/corpus", "docs")


def _files(suffix: str) -> list[str]:
    found = [path for place in _PLACES for path in sorted((ROOT / place).rglob(f"*{suffix}"))]
    return [path.read_text(encoding="utf-8", errors="replace") for path in found]


@cache
def policy_texts() -> tuple[str, ...]:
    """Policy files: the examples, what is rejected, and the pages of the documentation."""
    pages = [text for page in _files(".md") for text in _policies_in(page)]
    found = tuple(dict.fromkeys([*_files(".policy"), *pages]))
    assert len(found) > 200, "the policies were not found"
    return found


def _policies_in(page: str) -> list[str]:
    found = [block for block in blocks(page) if block.info.startswith("policy")]
    return [
        text for block in found for path, text in files_in(block.text).items() if path.endswith(".policy")
    ]


@cache
def policy_sets() -> tuple[str, ...]:
    """Whole sets; one of several files has them between `-- path --` lines."""
    pages = [
        block.text for page in _files(".md") for block in blocks(page) if block.info.startswith("policy")
    ]
    return tuple(dict.fromkeys([*_files(".policy"), *pages]))


@cache
def tables() -> tuple[str, ...]:
    """Tables of grants and files of members."""
    pages = [
        text
        for page in _files(".md")
        for block in blocks(page)
        if block.info.startswith("policy")
        for path, text in files_in(block.text).items()
        if not path.endswith(".policy")
    ]
    return tuple(dict.fromkeys([*_files(".csv"), *_files(".members"), *_files(".txt"), *pages, *_TABLES]))


_TABLES = (
    "principal,methods,path\nprod/ns/web/sa/frontend,GET HEAD,/v1/orders\ncheckout,any,/v1/**\n",
    'principal,methods,path\n"prod/ns/a/sa/*","GET POST","/v1/""x"""\nspiffe://prod.example.org/a/**,any,/*\n',
    "principal , methods, path\r\n dns *.example.org , GET , /a/{id}\r\n\r\n,,\r\n",
    "principal,methods,path\na,GET,/\u2028b,any,/**\x0bc,GET\x1c,/\x85\n",
    "prod/ns/a/sa/b # why\n\nspiffe://prod.example.org/ns/a\ndns a.example.org\nothers\n",
)


@cache
def questions() -> tuple[dict[str, Any], ...]:
    """Questions of the corpus of decisions, as JSON has them."""
    lines = (ROOT / "tests/corpus/decisions.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(json.loads(line)["question"] for line in lines)


@cache
def paths_of_kind(kind: str) -> tuple[str, ...]:
    """Paths, hosts or methods of the corpus."""
    lines = (ROOT / "tests/corpus/paths.jsonl").read_text(encoding="utf-8").splitlines()
    found = tuple(_text(case["input"]) for line in lines if (case := json.loads(line))["kind"] == kind)
    assert found, f"nothing of the kind {kind}"
    return found


def _text(pieces: str | list[str | list[Any]]) -> str:
    """Long inputs are written as pieces, each with how often it stands."""
    if isinstance(pieces, str):
        return pieces
    return "".join(piece if isinstance(piece, str) else piece[0] * piece[1] for piece in pieces)


@cache
def documents() -> tuple[bytes, ...]:
    """JSON of every kind."""
    asked = [json.dumps(question).encode() for question in questions()]
    return (*asked, *_DOCUMENTS)


_DOCUMENTS = (
    b"[]", b"{}", b"null", b"-0", b"1.5e3", rb'"\ud83d\ude00"', b'{"a": [1, {"b": [true, false, null]}]}',
    b'{"a":1,"a":2}', rb'{"a":1,"\u0061":2}', b"[9223372036854775807, -9223372036854775808]",
    b"[1e308, 1e-400]", '{"é": "\\u0000"}'.encode(), b"[" * 16 + b"]" * 16, b'{":":1,":":2}',
    b'{"a" :1,"a":2}', rb'{"\u0061" : 1, "b": [], "a":2}', b" \t\r\n[1 ,2]\n",
)  # fmt: skip
