"""The pages that speak of the code, and the code that they speak of, read and not run."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = [
    "CLASSES",
    "DOCS",
    "FUNCTIONS",
    "LINKED",
    "METHODS",
    "MODULES",
    "PAGES",
    "PICTURE",
    "ROOT",
    "TEXTS",
    "quoted",
    "without_fences",
]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
LINKED = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("clients/**/*.md")])
# The pages that speak of the code. Those about the language have tests of their own.
PAGES = sorted(
    [
        *(
            DOCS / f"{name}.md"
            for name in ("README", "api", "architecture", "caching", "fuzzing", "threat-model")
        ),
        *(DOCS / "decisions").glob("*.md"),
    ]
)
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
PICTURE = DOCS / "architecture.svg"

assert len(PAGES) > 10, "no pages found: this would pass by testing nothing"


def without_fences(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def quoted(text: str) -> list[str]:
    """What stands between single backticks."""
    return re.findall(r"`([^`\n]+)`", without_fences(text))


def modules() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted((ROOT / "pdp").rglob("*.py")):
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        yield name.removesuffix(".__init__"), ast.parse(file.read_text(encoding="utf-8"))


MODULES = dict(modules())
FUNCTIONS = {
    node.name
    for tree in MODULES.values()
    for node in ast.walk(tree)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
}
METHODS = {
    f"{owner.name}.{item.name}"
    for tree in MODULES.values()
    for owner in ast.walk(tree)
    if isinstance(owner, ast.ClassDef)
    for item in owner.body
    if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
}
CLASSES = {
    node.name for tree in MODULES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
}
