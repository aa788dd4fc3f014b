"""What operators write: a file of settings in TOML, and variables over it."""

import tempfile
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from pdp.cli.config import diagnose
from pdp.config.load import load_settings
from pdp.diagnostics import Source, escape, has_errors, render
from tests.docs.sets import blocks
from tests.fuzz.corpora import ROOT
from tests.fuzz.engine import Target, wording
from tests.fuzz.mutate import ODD_TEXT, Mutator

__all__ = ["TARGETS"]

_ENVIRONMENT: Final = "\n-- environment --\n"
_NAMES: Final = (
    "policies", "http", "grpc", "health", "metrics", "decision_log", "limits", "drain", "trust", "listen",
    "certificate", "key", "path", "readers", "to", "mode", "one_in", "max_bytes", "keep", "plain_headers",
    "digest_key", "in_flight", "per_caller_per_second", "max_age_ms", "grace_seconds",
    "max_staleness_seconds",
)  # fmt: skip
_VARIABLES: Final = (
    "PDP_HTTP__LISTEN=[::1]:8443", "PDP_LIMITS__IN_FLIGHT=7", "PDP_TRUST=x", "PDP_PORT=tcp://x",
    "PDP_TRUST__PROD.EXAMPLE.ORG=a.pem", 'PDP_METRICS__READERS=["spiffe://prod.example.org/a"]', "PDP_HTTP=1",
    "PDP_DRAIN__GRACE_SECONDS=1e3", "PDP___=", "PDP_HTTP__LISTEN__X=1", "PDP_DECISION_LOG__MODE=block",
)  # fmt: skip
_EXTRA: Final = (
    *_NAMES, *_VARIABLES, '"""', "'''", "[[", "]]", "1979-05-27T07:32:00Z", "inf", "nan", "true", "\\u0000",
    "\\U0001F600",
)  # fmt: skip
_MORE: Final = """\
policies.path = 'set'
http = { listen = "localhost:0", certificate = "c", "key" = "k" }
grpc.listen = "[::]:8444" # why
[trust]
"prod.example.org" = "roots.pem"
'partner.example.net' = "a.pem"
[metrics]
readers = [
    "spiffe://prod.example.org/ns/a/sa/b",
    "dns:web.example.org",
]
[decision_log]
to = \"\"\"
audit.log\"\"\"
mode = "sample"
one_in = 1_000
plain_headers = ["x-a", "x-b"]
digest_key = "key"
[limits]
max_age_ms = 0x10
[drain]
grace_seconds = 1.5e1
"""


def _seeds() -> tuple[str, ...]:
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    files = [block.text for block in blocks(page) if block.info == "toml"]
    assert files
    variables = _ENVIRONMENT + "\n".join(_VARIABLES)
    return (*files, _MORE, files[0] + _MORE, files[0] + variables, _MORE + variables)


def _settings(text: str) -> Hashable:
    """Settings or what is wrong with them, in the file or at a variable; and nothing changed on the way."""
    file, _, variables = text.partition(_ENVIRONMENT)
    lines = [line.partition("=") for line in variables.splitlines()]
    environment = {name: value for name, _, value in lines if name and "\0" not in name + value}
    source = Source(path="pdp.toml", text=file)
    with tempfile.TemporaryDirectory() as folder:
        loaded = load_settings(source, environment, {}, folder=Path(folder))
        assert (loaded.settings is None) == has_errors(loaded.diagnostics)
        found = diagnose(loaded)
    for diagnostic in found:
        span = diagnostic.span
        if span.file == source.path:
            assert 0 <= span.start <= span.end <= len(file) + 1
        else:
            assert span.file.upper() in {name.upper() for name in environment}
        shown = render(diagnostic, {source.path: source}).replace("\n", "")
        assert shown == escape(shown)
    if loaded.settings is None:
        return frozenset(wording(diagnostic.message) for diagnostic in found)
    assert load_settings(source, environment, {}, folder=Path(folder)).settings == loaded.settings
    return frozenset(_set_in(loaded.settings.model_dump())), len(found)


def _set_in(tree: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, value in tree.items():
        if isinstance(value, dict | BaseModel):
            yield from _set_in(dict(value), f"{above}{name}.")
        elif value is not None:
            yield f"{above}{name if name in _NAMES else '*'}"


_SEEDS: Final = _seeds()
_WORDS: Final = r'"[^"\n]*"|\'[^\'\n]*\'|[\w.-]+|[\[\]{}=,]|\n|#.*'

TARGETS: Final = (
    Target(
        name="settings",
        seeds=_SEEDS,
        mutate=Mutator(_SEEDS, _WORDS, ODD_TEXT, extra=_EXTRA, largest=20_000),
        check=_settings,
        examples=1500,
        seconds=3,
    ),
)
