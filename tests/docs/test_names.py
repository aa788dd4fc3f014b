"""What the pages name exists: modules, functions, classes, files, tests, bounds, dependencies."""

import ast
import importlib
import re
import tomllib
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest

from pdp import limits
from tests.docs.pages import CLASSES, FUNCTIONS, METHODS, MODULES, PICTURE, ROOT, TEXTS, quoted


def found(dotted: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            value: ModuleType | object = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            if not hasattr(value, part):
                return False
            value = getattr(value, part)
        return True
    return False


def is_defined(call: str) -> bool:
    """Whether `name()`, `Class.method()` or `pdp.module.name()` is there to be called."""
    if call.startswith("pdp."):
        return found(call)
    return call in METHODS if "." in call else call in FUNCTIONS


@pytest.mark.parametrize("page", TEXTS)
def test_modules_and_what_is_in_them_exist(page: str) -> None:
    named = {name for text in quoted(TEXTS[page]) for name in re.findall(r"\bpdp(?:\.\w+)+", text)}
    named = {name for name in named if not name.startswith("pdp.v1.")}  # of gRPC: the next test

    assert [name for name in sorted(named) if not found(name)] == []


def test_the_calls_of_grpc_are_those_of_the_proto_file() -> None:
    proto = (ROOT / "pdp/adapters/grpc/proto/pdp/v1/decision.proto").read_text(encoding="utf-8")
    defined = {
        f"pdp.v1.DecisionService/{name}" for name in re.findall(r"^  rpc (\w+)\(", proto, re.MULTILINE)
    }

    assert set(re.findall(r"^\| `(pdp\.v1\.\S+)` \|", TEXTS["docs/api.md"], re.MULTILINE)) == defined


@pytest.mark.parametrize("page", TEXTS)
def test_functions_and_methods_exist(page: str) -> None:
    called = {name for text in quoted(TEXTS[page]) for name in re.findall(r"([A-Za-z_][\w.]*)\(\)", text)}

    assert [name for name in sorted(called) if not is_defined(name)] == []


@pytest.mark.parametrize("page", TEXTS)
def test_classes_exist(page: str) -> None:
    """Whatever is written LikeThis in backticks is a class of ours."""
    named = {text for text in quoted(TEXTS[page]) if re.fullmatch(r"(?:[A-Z][a-z]+){2,}", text)}

    assert sorted(named - CLASSES) == []


@pytest.mark.parametrize("page", TEXTS)
def test_files_and_tests_exist(page: str) -> None:
    for text in quoted(TEXTS[page]):
        if (
            not re.match(r"(?:tests|pdp|docs|deploy|grammar|policies|loadtests|requirements)/", text)
            or "NNN" in text
            or "*" in text
        ):
            continue
        file, _, name = text.partition("::")

        assert (ROOT / file).exists(), f"{page} names {text}"
        assert not name or f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{page} names {text}"


@pytest.mark.parametrize("page", TEXTS)
def test_bounds_are_those_of_the_code(page: str) -> None:
    """A bound is named with its value behind it: `MAX_PATH_BYTES` (8192)."""
    bounds = {name: value for name, value in vars(limits).items() if name.isupper()}
    for name in {
        text for text in quoted(TEXTS[page]) if re.fullmatch(r"(?:MAX|AT|WATCH|REFUSED)_[A-Z_]+", text)
    }:
        assert name in bounds, f"{page} names {name}"
        for value in re.findall(rf"`{name}`(.{{0,14}})", TEXTS[page], re.DOTALL):
            shown = re.match(r"\s\(([\d ,.]+)\)", value)
            assert shown is not None, f"{page} does not say how much {name} is"
            assert float(re.sub("[ ,]", "", shown[1])) == bounds[name], f"{page} has another {name}"


def test_the_picture_names_what_exists_and_can_be_read_on_dark_and_light() -> None:
    text = PICTURE.read_text(encoding="utf-8")
    picture = ET.fromstring(text)  # noqa: S314 - our own file
    words = " ".join(node.text or "" for node in picture.iter())

    assert all(found(name) for name in re.findall(r"pdp(?:\.\w+)+", words))
    assert all(is_defined(name) for name in re.findall(r"([A-Za-z_][\w.]*)\(\)", words))
    assert picture.get("role") == "img"
    assert picture.find("{http://www.w3.org/2000/svg}title") is not None
    assert "prefers-color-scheme: dark" in text


def test_the_page_on_architecture_has_a_line_for_every_package() -> None:
    packages = {name for name in MODULES if name.count(".") == 1 and (ROOT / name.replace(".", "/")).is_dir()}
    listed = set(re.findall(r"^\| `(pdp\.\w+)` \|", TEXTS["docs/architecture.md"], re.MULTILINE))

    assert packages <= listed


# -- decisions -------------------------------------------------------------------------

DECISIONS = {name: text for name, text in TEXTS.items() if "/decisions/" in name}
PARTS = ["Problem", "Forces", "Options", "Choice", "What got worse"]


@pytest.mark.parametrize("page", DECISIONS)
def test_a_decision_says_what_it_decides_why_and_what_got_worse(page: str) -> None:
    assert re.match(rf"# {Path(page).name[:4]}: \S", DECISIONS[page])
    assert re.findall(r"^## (.*)$", DECISIONS[page], re.MULTILINE) == PARTS
    assert len(DECISIONS[page].splitlines()) <= 80, "a decision is one page"


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(Path(page).name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))


#: Distributions whose package has another name.
IMPORTED_AS = {
    "prometheus-client": "prometheus_client",
    "grpcio": "grpc",
    "grpcio-health-checking": "grpc_health",
    "protobuf": "google",
    "xds-protos": "envoy",
}


def importers(package: str) -> set[str]:
    """The modules of pdp that import a distribution's package."""
    return {
        name
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == package)
        or (isinstance(node, ast.Import) and package in {alias.name.split(".")[0] for alias in node.names})
    }


def test_every_dependency_is_listed_with_the_modules_that_import_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[>=;\s]", text)[0] for text in project["dependencies"]}
    page = next(text for name, text in DECISIONS.items() if name.endswith("0010-dependencies.md"))
    rows = re.findall(r"^\| `([\w-]+)` \| ([^|]+) \|", page, re.MULTILINE)

    assert {name for name, _ in rows} == declared | {"starlette"}
    for name, where in rows:
        for module in (imported := importers(IMPORTED_AS.get(name, name))):
            assert any(module == text or module.startswith(f"{text}.") for text in quoted(where)), (
                f"{module} imports {name}"
            )
        for text in quoted(where):
            assert any(module == text or module.startswith(f"{text}.") for module in imported), (
                f"{text} does not import {name}"
            )
