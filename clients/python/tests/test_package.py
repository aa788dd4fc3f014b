"""The package is of its own: its messages are those of the service, and it imports nothing of it."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pdp.adapters.grpc.v1 import decision_pb2 as theirs
from pdp_client.refusals import _OF_CALLER, _OF_SERVICE
from pdp_client.v1 import decision_pb2 as ours
from tests.e2e.running import clean_environment

ROOT = Path(__file__).parents[3]
PACKAGE = Path(__file__).parents[1]
SOURCES = sorted((PACKAGE / "src" / "pdp_client").rglob("*.py"))
assert len(SOURCES) > 25, "the modules were not found: this would pass by testing nothing"
#: What may be imported, and by which modules alone.
LIBRARIES = {
    "httpcore": {"transports/http.py", "transports/network.py"},
    "msgspec": None,
    "grpc": {"transports/grpc.py", "middleware/grpc.py"},
    "google": {"transports/grpc.py", "transports/messages.py", "v1/decision_pb2.py"},
}


def test_the_messages_are_those_of_the_service() -> None:
    assert ours.DESCRIPTOR.serialized_pb == theirs.DESCRIPTOR.serialized_pb
    for name in ("decision_pb2.py", "decision_pb2.pyi"):
        service = ROOT / "pdp" / "adapters" / "grpc" / "v1" / name
        assert (PACKAGE / "src" / "pdp_client" / "v1" / name).read_bytes() == service.read_bytes(), (
            "make proto"
        )


def test_the_messages_are_those_of_the_definition(tmp_path: Path) -> None:
    proto = ROOT / "pdp" / "adapters" / "grpc" / "proto"
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", str(proto), f"--python_out={tmp_path}"]
    subprocess.run([*command, "pdp/v1/decision.proto"], check=True)
    made = (tmp_path / "pdp" / "v1" / "decision_pb2.py").read_bytes()
    assert made == (PACKAGE / "src" / "pdp_client" / "v1" / "decision_pb2.py").read_bytes(), "make proto"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_module_imports_what_it_may(source: Path) -> None:
    name = source.relative_to(PACKAGE / "src" / "pdp_client").as_posix()
    tree = ast.parse(source.read_text(encoding="utf-8"))
    tops = {
        module.partition(".")[0]
        for node in ast.walk(tree)
        for module in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert ast.get_docstring(tree) or name.endswith("_pb2.py")
    for top in tops - sys.stdlib_module_names - {"pdp_client"}:
        assert top in LIBRARIES, f"{name} imports {top}"
        allowed = LIBRARIES[top]
        assert allowed is None or name in allowed, f"{name} imports {top}"


def test_without_the_extra_grpc_is_not_imported() -> None:
    program = (
        "import sys, pdp_client, pdp_client.middleware.asgi, pdp_client.middleware.wsgi, "
        "pdp_client.middleware.peers; "
        "found = {name.partition('.')[0] for name in sys.modules}; "
        "print(sorted({'grpc', 'google', 'pdp', 'httpx', 'starlette'} & found))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=clean_environment()
    )
    assert found.stdout.strip() == "[]"


def test_dependencies_are_those_that_are_imported() -> None:
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {re.split(r"[\[>=]", text)[0] for text in project["dependencies"]}
    extra = {re.split(r"[\[>=]", text)[0] for text in project["optional-dependencies"]["grpc"]}
    assert named == {"httpcore", "msgspec"}
    assert extra == {"grpcio", "protobuf"}


def test_every_code_of_the_service_is_somebodys_fault() -> None:
    """Those with status 403 are the caller's, those with 408, 500 and 503 the service's."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}|-) \| (`[A-Z_]+`|-) \| .+ \|$", page, re.MULTILINE)
    over_grpc = {(code, status) for code, status, grpc in rows if grpc != "-"}
    assert {code for code, status in over_grpc if status == "403"} == _OF_CALLER
    assert {code for code, status in over_grpc if status in {"408", "500", "503"}} | {
        "too_many_calls"
    } == _OF_SERVICE
