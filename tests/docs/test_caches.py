"""`docs/caching.md` lists every cache of the service: what it keeps, by which key, and how much."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "caching.md").read_text(encoding="utf-8")
LISTED = PAGE[PAGE.index("## Caches inside the service") :]
KEEPS = re.compile(
    r"^\s*@(?:lru_)?cache\b|\b(?:(?:lru_cache|LRUCache|TTLCache)[\[(]|OrderedDict\[(?:_Key|bytes),)",
    re.MULTILINE,
)
KEEPING = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix()
    for path in (ROOT / "pdp").rglob("*.py")
    if KEEPS.search(path.read_text(encoding="utf-8"))
)


def test_there_are_caches() -> None:
    assert {"pdp/adapters/remembered", "pdp/adapters/known_heads"} <= set(KEEPING)


@pytest.mark.parametrize("module", KEEPING)
def test_every_cache_is_listed(module: str) -> None:
    classes = re.findall(r"^class (\w+)", (ROOT / f"{module}.py").read_text(encoding="utf-8"), re.MULTILINE)
    names = [module.replace("/", "."), *classes]

    assert any(re.search(rf"`{re.escape(name)}\b", LISTED) for name in names), names
