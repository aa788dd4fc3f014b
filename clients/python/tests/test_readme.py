"""What the page says works: its first program runs, its names exist, its table is true."""

import re
from pathlib import Path

import pytest

import pdp_client
from pdp_client import CouldNotAnswerError, limits, middleware
from pdp_client.middleware import asgi, peers, wsgi
from pdp_client.middleware.grpc import PdpInterceptor
from tests.e2e.running import Pki, Service

PAGE = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
FIRST, SECOND = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_first_program_runs(shared: Service, pki: Pki, capsys: pytest.CaptureFixture[str]) -> None:
    program = FIRST.replace("https://pdp-a.example:8443", f"https://127.0.0.1:{shared.port}")
    for name, file in (("front.pem", "pep.pem"), ("front-key.pem", "pep-key.pem"), ("roots.pem", "prod.pem")):
        assert f'"{name}"' in program
        program = program.replace(f'"{name}"', repr(str(pki.folder / file)))
    # The times are for a machine that has nothing else to do.
    program = program.replace("tls=", "timeouts=pdp_client.Timeouts(connect=5, read=5, overall=10), tls=")
    names: dict[str, object] = {"pdp_client": pdp_client}
    exec(program, names)  # noqa: S102 - our own page
    names["client"].close()  # type: ignore[attr-defined]
    assert capsys.readouterr().out == "go on, with ()\n"


def test_the_middleware_is_there_as_it_is_shown() -> None:
    compile(SECOND, "README.md", "exec")
    assert middleware.__doc__
    shown = {"asgi": asgi, "wsgi": wsgi, "peers": peers}
    found = re.findall(r"(asgi|wsgi|peers)\.(\w+)", SECOND.partition("\n")[2])
    assert len(found) >= 4
    for module, name in found:
        if name != "wsgi_app":
            assert hasattr(shown[module], name), name
    assert PdpInterceptor.__name__ in SECOND


def test_the_table_has_every_exception_with_its_fault() -> None:
    told = dict(re.findall(r"^\| .+ \| `(\w+Error)`, `(\w+)` \| .+ \|$", PAGE, re.MULTILINE))
    there = {
        name: error.fault
        for name, error in vars(pdp_client).items()
        if isinstance(error, type)
        and issubclass(error, CouldNotAnswerError)
        and error is not CouldNotAnswerError
    }
    assert told == there


def test_bounds_are_those_of_the_code() -> None:
    assert f"`Timeouts.overall` ({limits.OVERALL_SECONDS} seconds)" in PAGE
    assert f"*lease* ({limits.LEASE_SECONDS:g} seconds)" in PAGE
    assert f"`max_age_ms`, at most {limits.MAX_REUSE_SECONDS:g} seconds" in PAGE
    assert f"`max_entries` ({limits.MAX_ENTRIES:,}".replace(",", " ") in PAGE
    assert limits.FILE_LOOK_SECONDS <= 1


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGE):
        assert link.startswith("https://") or (Path(__file__).parents[1] / link).exists(), link
