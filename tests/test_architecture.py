"""The rules of the house about modules, read from the sources and not by importing them.

Each rule is a function from one module to what is wrong with it. The tests run it over every
module, and over a planted fault that it must find.
"""

import ast
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1] / "pdp"
LEAVES: Final = frozenset(
    {"vocabulary", "principals", "paths", "diagnostics", "limits", "counters", "strictness", "regular_file"}
)

#: From the lowest to the highest: a module imports from its own layer and lower ones.
LAYERS: Final = (
    "leaves",
    "lang",
    "compiler",
    "index",
    "image",
    "engine",
    "analysis",
    "store",
    "audit",
    "config",
    "service",
    "adapters",
    "process",
    "cli",
)
#: Beside the others: what each may import, besides itself.
BESIDE: Final = {"identity": frozenset({"leaves"})}
#: Who may import what lies beside.
USES_IDENTITY: Final = frozenset({"identity", "config", "service", "adapters", "process", "cli"})

#: Everything up to here is a function from values to values.
PURE: Final = frozenset({"leaves", "lang", "compiler", "index", "image", "engine", "analysis"})
#: And so is everything in these folders of other layers.
PURE_FOLDERS: Final = ("identity/forwarded/",)
IMPURE_LIBRARIES: Final = frozenset(
    {
        "asyncio", "concurrent", "glob", "io", "logging", "multiprocessing", "os", "pathlib",
        "queue", "random", "sched", "secrets", "select", "selectors", "shutil", "signal", "socket", "ssl",
        "subprocess", "tempfile", "threading", "time", "urllib.request", "uuid",
    }
)  # fmt: skip
IMPURE_ALLOWED: Final = {
    ("image/keeper.py", "threading"): "several threads may decide, and make the same state",
    ("regular_file.py", "os"): "reads a file, for layers that do not know each other",
    ("lang/parser.py", "pathlib"): "finds the grammar, once",
    ("lang/parser.py", "threading"): "lark's parser is built once, by whichever thread comes first",
}

IMPURE_CALLS: Final = frozenset(
    {"open", "print", "input", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
)

#: Third-party libraries and the modules, or folders, in which each is met.
LIBRARIES: Final = {
    "cachetools": (
        "service/known_callers.py", "service/known_tokens.py", "service/reviews.py",
    ),
    "click": ("cli/",),
    "cryptography": (
        "identity/",
        "process/parcel.py",  # to hand them to other processes
        "adapters/tls.py",  # to hand the roots of the trust store to OpenSSL and BoringSSL
    ),
    "envoy": ("adapters/grpc/check_request.py", "adapters/grpc/ext_authz.py"),
    "fastapi": ("adapters/app.py", "adapters/openapi.py"),
    "google": ("adapters/grpc/",),
    "grpc": ("adapters/grpc/",),
    "grpc_health": ("adapters/grpc/handlers.py",),
    "httptools": ("adapters/bounded.py",),
    "joserfc": ("identity/tokens/signature.py",),
    "lark": ("lang/parser.py",),
    # The structs of the decision path, and JSON at the edges.
    "msgspec": (
        "vocabulary.py", "principals.py", "compiler/evaluation.py", "identity/caller.py", "adapters/", "cli/",
        "process/",
        "audit/record.py", "audit/reuse.py", "diagnostics.py", "lang/ast/", "lang/written.py",
        "store/parse_server.py", "store/parsing.py",
        "identity/tokens/handed.py",
        "identity/quarantine/",
        "compiler/packed_patterns.py",
        "compiler/rows.py", "compiler/resolve.py", "compiler/terms.py", "analysis/lowered.py", "image/",
    ),
    "prometheus_client": ("adapters/metrics_page.py",),
    "pydantic": ("config/",),
    "rich": ("cli/output.py",),
    # What FastAPI is made of.
    "starlette": (
        "adapters/app.py", "adapters/events.py", "adapters/health.py", "adapters/admin", "adapters/beside.py",
        "adapters/bounded.py", "adapters/direct.py", "adapters/late_app.py", "adapters/replies.py",
        "adapters/server.py",
    ),
    "spiffe": ("adapters/grpc/workload_api.py",),
    "uvicorn": (
        "adapters/server.py", "adapters/uvicorn_server.py", "adapters/bounded.py", "adapters/connection.py",
        "adapters/beside.py",
    ),
    "watchfiles": ("store/places.py",),
}  # fmt: skip

#: Libraries whose distribution has another name.
DISTRIBUTIONS: Final = {
    "envoy": "xds-protos",
    "google": "protobuf",
    "grpc": "grpcio",
    "grpc_health": "grpcio-health-checking",
    "prometheus_client": "prometheus-client",
}

ALL_LEFT_OUT: Final = {
    "limits.py": "every name in it is public, and there is nothing else",
    "adapters/grpc/v1/decision_pb2.py": "generated",
    "adapters/grpc/v1/raw_batch_pb2.py": "generated",
}


@dataclass(frozen=True)
class Module:
    """A module: its path below `pdp/`, and what it says."""

    path: str
    tree: ast.Module

    @property
    def layer(self) -> str:
        first = self.path.partition("/")[0].removesuffix(".py")
        return "leaves" if first in LEAVES else first

    def imports(self) -> Iterator[tuple[str, str]]:
        """Modules that it imports, wherever in it, each with the name taken from it."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, "") for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((node.module or "", alias.name) for alias in node.names)


def module(path: str, text: str) -> Module:
    return Module(path=path, tree=ast.parse(text))


MODULES: Final = [
    module(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
    for path in sorted(ROOT.rglob("*.py"))
]
assert len(MODULES) > 80, "the modules were not found: this would pass by testing nothing"


def higher_layers(of: Module) -> list[str]:
    """Imports of a layer that it may not know."""
    found = []
    for name, taken in of.imports():
        if name != "pdp" and not name.startswith("pdp."):
            continue
        if name == "pdp" and taken == "__version__":
            continue
        part = [*name.split("."), taken][1]
        target = "leaves" if part in LEAVES else part
        if target == of.layer or of.path == "__init__.py":
            continue
        if target in BESIDE:
            allowed = of.layer in USES_IDENTITY
        elif of.layer in BESIDE:
            allowed = target in BESIDE[of.layer]
        else:
            allowed = target in LAYERS and LAYERS.index(target) < LAYERS.index(of.layer)
        if not allowed:
            found.append(f"{of.path} imports {name}")
    return found


def relative_imports(of: Module) -> list[str]:
    """Imports that do not say from where."""
    return [
        f"{of.path}:{node.lineno}"
        for node in ast.walk(of.tree)
        if isinstance(node, ast.ImportFrom) and node.level > 0
    ]


def impurities(of: Module) -> list[str]:
    """In pure layers and folders: imports of what touches files, sockets, clocks, threads, logs or chance."""
    if of.layer not in PURE and not of.path.startswith(PURE_FOLDERS):
        return []
    met = {name if name in IMPURE_LIBRARIES else name.partition(".")[0] for name, _ in of.imports()}
    found = [
        f"{of.path} imports {name}"
        for name in sorted(met & IMPURE_LIBRARIES)
        if (of.path, name) not in IMPURE_ALLOWED
    ]
    for node in ast.walk(of.tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"open", "print", "input"}
        ):
            found.append(f"{of.path}:{node.lineno} calls {node.func.id}")
        if (
            isinstance(node, ast.Attribute)
            and node.attr in {"now", "utcnow", "today"}
            and isinstance(node.ctx, ast.Load)
        ):
            named = ast.unparse(node.value)
            if named in {"datetime", "date", "datetime.datetime"}:
                found.append(f"{of.path}:{node.lineno} reads the clock")
    return found


def strange_libraries(of: Module) -> list[str]:
    """Third-party libraries met where they have no business."""
    tops = {name.partition(".")[0] for name, _ in of.imports()} - {"pdp", ""}
    return [
        f"{of.path} imports {top}"
        for top in sorted(tops - sys.stdlib_module_names)
        if not of.path.startswith(LIBRARIES.get(top, ("nowhere",)))
    ]


def private_names(of: Module) -> list[str]:
    """Names with a leading underscore, taken from another module of ours."""
    return [
        f"{of.path} takes {taken} from {name}"
        for name, taken in of.imports()
        if name.startswith("pdp.") and taken.startswith("_") and not taken.startswith("__")
    ]


def undescribed(of: Module) -> list[str]:
    """No docstring, or no list of public names."""
    found = [] if ast.get_docstring(of.tree) else [f"{of.path} has no docstring"]
    says_all = any(
        isinstance(target, ast.Name) and target.id == "__all__"
        for node in of.tree.body
        for target in (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.AnnAssign)
            else []
        )
    )
    holds_nothing = len(of.tree.body) <= 1
    if not (says_all or holds_nothing or of.path in ALL_LEFT_OUT):
        found.append(f"{of.path} has no __all__")
    return found


RULES: Final = [higher_layers, relative_imports, impurities, strange_libraries, private_names, undescribed]


@pytest.mark.parametrize("rule", RULES)
def test_every_module_keeps_the_rule(rule) -> None:
    assert [fault for each in MODULES for fault in rule(each)] == []


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (higher_layers, "engine/x.py", "from pdp.store.bundle import PolicyBundle"),
        (higher_layers, "engine/x.py", "def f():\n    import pdp.adapters.app"),
        (higher_layers, "lang/x.py", "from pdp import compiler"),
        (higher_layers, "limits.py", "from pdp.lang.ast import File"),
        (higher_layers, "identity/x.py", "from pdp.service.ids import new_decision_id"),
        (higher_layers, "compiler/x.py", "from pdp.identity.caller import Caller"),
        (higher_layers, "adapters/x.py", "from pdp.cli.serve import start"),
        (higher_layers, "adapters/x.py", "from pdp.elsewhere import x"),
        (relative_imports, "engine/x.py", "from . import decide"),
        (impurities, "engine/x.py", "import time"),
        (impurities, "analysis/x.py", "from os import path"),
        (impurities, "lang/parser.py", "import random"),
        (impurities, "vocabulary.py", "print(1)"),
        (impurities, "identity/forwarded/x.py", "import socket"),
        (impurities, "compiler/x.py", "from datetime import datetime\nx = datetime.now()"),
        (strange_libraries, "engine/x.py", "import fastapi"),
        (strange_libraries, "lang/x.py", "from lark import Lark"),
        (strange_libraries, "cli/x.py", "import requests"),
        (private_names, "cli/x.py", "from pdp.engine.decide import _reading"),
        (undescribed, "cli/x.py", "__all__ = []"),
        (undescribed, "cli/x.py", '"""Holds x."""\nx = 1'),
    ],
)
def test_rule_finds_a_planted_fault(rule, path: str, text: str) -> None:
    assert rule(module(path, text))


def test_exceptions_are_needed() -> None:
    """What is allowed and not used is a hole for later."""
    used = {(each.path, name.partition(".")[0]) for each in MODULES for name, _ in each.imports()}
    assert set(IMPURE_ALLOWED) <= used
    assert set(ALL_LEFT_OUT) <= {each.path for each in MODULES}
    for library, places in LIBRARIES.items():
        for place in places:
            assert any(path.startswith(place) and top == library for path, top in used), (library, place)


def test_dependencies_are_those_that_are_imported() -> None:
    """`pyproject.toml` names what is imported, and what is needed without being imported."""
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {item.split(">")[0].split("=")[0].strip() for item in project["dependencies"]}
    by_others = {
        "httptools",  # uvicorn's parser, which `adapters/connection.py` builds on
        "pydantic",  # FastAPI's
        "tzdata",  # zoneinfo's data, of a known version
        "uvloop",  # uvicorn's loop
    }

    assert named == {DISTRIBUTIONS.get(library, library) for library in LIBRARIES} | by_others
