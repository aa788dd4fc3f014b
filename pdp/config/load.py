"""Settings from a file, the environment and options, the later over the earlier.

`PDP_HTTP__LISTEN=0.0.0.0:8443` overrides `listen` of `[http]`. A mistake is a diagnostic with the
place at fault: in the file, or by the name of the variable or the option.
"""

import os
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Generic, NamedTuple, TypeVar

from pydantic import ValidationError

from pdp.config.locate import locate
from pdp.config.model import IdentitySettings, Settings
from pdp.config.reading import fields_of, from_text, not_toml, parse_toml
from pdp.config.unix import is_unix
from pdp.diagnostics import Diagnostic, Source, Span, did_you_mean

__all__ = ["OPTIONS", "PREFIX", "Loaded", "load_identity_settings", "load_settings", "read_file"]

_Model = TypeVar("_Model", bound=IdentitySettings)

PREFIX: Final = "PDP_"
#: Options of `pdp serve` that are settings.
OPTIONS: Final = MappingProxyType(
    {
        ("policies", "path"): "POLICIES",
        ("http", "listen"): "--http",
        ("http", "plaintext"): "--plaintext",
        ("http", "certificate"): "--cert",
        ("http", "key"): "--key",
        ("grpc", "listen"): "--grpc",
        ("health", "listen"): "--health",
        ("process", "workers"): "--workers",
        ("trust",): "--trust",
        ("local", "caller"): "--caller",
    }
)
#: What TLS needs: set, unless nothing listens over TLS.
_FOR_TLS: Final = (("http", "certificate"), ("http", "key"), ("trust",))
_NOWHERE: Final = "settings"  # named where there is no file
#: What pydantic says in Python's words, in those of TOML.
_WORDS: Final = MappingProxyType(
    {
        "model_type": "it should be a table",
        "dict_type": "it should be a table",
        "frozen_set_type": "it should be a list, in brackets",
        "string_type": "it should be a text, in quotes",
        "path_type": "it should be a text, in quotes",
    }
)
_PATHS: Final = (
    ("policies", "path"),
    ("policies", "compiled"),
    ("http", "certificate"),
    ("http", "key"),
    ("decision_log", "digest_key"),
    ("dns", "trust"),
    ("dns", "crls"),
    ("quarantine", "file"),
    ("quarantine", "ca_file"),
    ("quarantine", "kept"),
)

#: The same in tables that are named by whom they are about.
_TABLE_PATHS: Final = (
    ("issuers", "jwks_file"),
    ("issuers", "jwks_ca_file"),
    ("jwt_bundles", "bundle_file"),
    ("jwt_bundles", "bundle_ca_file"),
    ("federation", "bootstrap_file"),
    ("federation", "ca_file"),
    ("clusters", "jwks_file"),
    ("clusters", "jwks_ca_file"),
    ("clusters", "jwks_token_file"),
    ("clusters", "review_ca_file"),
    ("clusters", "review_token_file"),
)


class Loaded(NamedTuple, Generic[_Model]):
    """Settings, or what is wrong with them; and the text to show that with.

    Attributes:
        settings: The settings; None where something is wrong.
        diagnostics: What is wrong.
        source: The file.
        origins: The variable or the option that a setting comes from, by its keys; others stand in the file.
    """

    settings: _Model | None
    diagnostics: tuple[Diagnostic, ...]
    source: Source
    origins: Mapping[tuple[str, ...], str] = MappingProxyType({})

    def place(self, path: Sequence[str | int]) -> Span:
        """Where a setting is given: the variable or the option by its name, or the place in the file."""
        keys = tuple(map(str, path))
        origin = next((text for given, text in self.origins.items() if _meet(given, keys)), "")
        return Span(file=origin, start=0, end=0) if origin else locate(self.source, path)


def read_file(path: Path | None) -> Source:
    """The file's text; of no file, no text.

    Raises:
        OSError: It cannot be read.
    """
    if path is None:
        return Source(path=_NOWHERE, text="")
    return Source(path=str(path), text=path.read_text(encoding="utf-8", errors="replace"))


def load_settings(
    source: Source,
    environment: Mapping[str, str],
    options: Mapping[tuple[str, ...], object],
    *,
    folder: Path | None = None,
) -> Loaded[Settings]:
    """Read the settings and check them.

    Args:
        source: The file.
        environment: Variables; those that begin with `PDP_` and hold `__` are settings.
        options: Settings given on the command line, by their keys.
        folder: What relative paths in the file are relative to; None for where the command runs.
    """
    return _load(Settings, source, environment, options, folder)


def load_identity_settings(
    source: Source, environment: Mapping[str, str], *, folder: Path | None = None
) -> Loaded[IdentitySettings]:
    """The same of what says whom we believe; other settings may stand there, and are not read."""
    return _load(IdentitySettings, source, environment, {}, folder)


def _load(
    model: type[_Model],
    source: Source,
    environment: Mapping[str, str],
    options: Mapping[tuple[str, ...], object],
    folder: Path | None,
) -> Loaded[_Model]:
    try:
        tree = parse_toml(source.text)
    except ValueError as error:
        return Loaded(None, (not_toml(source, str(error)),), source)
    if folder is not None:
        _anchor(tree, folder)
    origins: dict[tuple[str, ...], str] = {}
    for name, value in sorted(environment.items()):
        # Kubernetes sets PDP_PORT, PDP_SERVICE_HOST and more beside a service `pdp`: none has a `__`.
        if name.startswith(PREFIX) and "__" in name:
            keys = tuple(part.lower() for part in name[len(PREFIX) :].split("__"))
            _set(tree, keys, from_text(keys, value))
            origins[keys] = name
    for keys, given in options.items():
        if given is not None:
            _set(tree, keys, given)
            origins[keys] = OPTIONS.get(keys, ".".join(keys))
    lacking = _lacking(tree) if model is Settings else []
    errors: list[dict[str, Any]] = [{"type": "missing", "loc": keys, "msg": ""} for keys in lacking]
    others = Settings.model_fields.keys() - model.model_fields.keys()
    settings = None
    try:
        settings = model.model_validate({key: value for key, value in tree.items() if key not in others})
    except ValidationError as error:
        errors += [part for each in error.errors(include_url=False) for part in _parts(dict(each))]
    loaded = Loaded(settings, (), source, origins)
    if settings is None or errors:
        found = [_diagnostic(loaded, each) for each in errors]
        return loaded._replace(settings=None, diagnostics=tuple(sorted(found, key=lambda d: d.span)))
    return loaded


def _lacking(tree: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """What TLS needs and is not set, where something listens over TLS."""
    http = tree.get("http", {})
    # A Unix socket that is not said to be plaintext is another mistake: pdp.config.local tells of it.
    plain = isinstance(http, dict) and (http.get("plaintext") is True or is_unix(str(http.get("listen"))))
    if plain and tree.keys().isdisjoint({"grpc", "admin"}):
        return []
    delivered = _delivered(tree.get("workload_api"))
    # Somebody has to be trusted: a trust domain, or the authority of DNS identities.
    known = {*delivered, *([_FOR_TLS[-1]] if "dns" in tree else ())}
    return [keys for keys in _FOR_TLS if not _is_set(tree, keys) and keys not in known]


def _delivered(agent: object) -> tuple[tuple[str, ...], ...]:
    """What TLS needs and an agent delivers."""
    if not isinstance(agent, dict):
        return ()
    *credentials, trust = _FOR_TLS
    ours = tuple(credentials) if agent.get("certificate") is True else ()
    return (*ours, trust) if agent.get("trust_domains") else ours


def _is_set(tree: object, keys: tuple[str, ...]) -> bool:
    if not keys or not isinstance(tree, dict):
        return True  # what stands where a table should is a mistake of its own
    return (keys[0] in tree or len(keys) > 1) and _is_set(tree.get(keys[0], {}), keys[1:])


def _set(tree: dict[str, Any], keys: tuple[str, ...], value: object) -> None:
    *tables, last = keys
    for key in tables:
        inner = tree.get(key)
        if not isinstance(inner, dict):
            inner = tree[key] = {}
        tree = inner
    tree[last] = deepcopy(value)


def _anchor(tree: dict[str, Any], folder: Path) -> None:
    """Relative paths in a file are relative to it."""
    tables = [(tree.get(table), key) for table, key in _PATHS]
    admin, log = tree.get("admin"), tree.get("decision_log")
    for trust in (
        tree.get("trust"),
        tree.get("crls"),
        admin.get("trust") if isinstance(admin, dict) else None,
    ):
        tables += [(trust, key) for key in trust] if isinstance(trust, dict) else []
    for section, key in _TABLE_PATHS:
        named = tree.get(section)
        tables += [(each, key) for each in named.values()] if isinstance(named, dict) else []
    if isinstance(log, dict) and log.get("to") not in {"none", "stdout"}:
        tables.append((log, "to"))
    for inner, key in tables:
        if isinstance(inner, dict) and isinstance(inner.get(key), str) and inner[key]:
            inner[key] = os.path.join(folder, inner[key])  # noqa: PTH118 - an absolute path stays as it is


# -- what is wrong -------------------------------------------------------------------------


def _parts(error: dict[str, Any]) -> list[dict[str, Any]]:
    """A table that is missing as the settings that have to stand in it."""
    fields = fields_of(tuple(str(part) for part in error["loc"])) if error["type"] == "missing" else {}
    required = [name for name, field in fields.items() if field.is_required()]
    return [{**error, "loc": (*error["loc"], name)} for name in required] or [error]


def _meet(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether one is the other, or a table around it."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _diagnostic(loaded: Loaded[_Model], error: dict[str, Any]) -> Diagnostic:
    path = [part for part in error["loc"] if part != "[key]"]
    keys = tuple(str(part) for part in path)
    name = ".".join(keys)
    kind = error["type"]
    said = _WORDS.get(kind, str(error["msg"]))
    help_ = ""
    if kind == "extra_forbidden":
        message = f"there is no setting `{name}`"
        help_ = did_you_mean(keys[-1], fields_of(keys[:-1]))
    elif kind == "missing":
        message = f"`{name}` is not set"
        option = OPTIONS.get(keys)
        variable = f"{PREFIX}{'__'.join(keys).upper()}" if len(keys) > 1 else ""
        ways = ", ".join(f"by {way}" for way in (option, variable) if way)
        help_ = (
            f"set it in the file, {ways.replace(', by', ', or by') if option and variable else f'or {ways}'}"
        )
    else:
        message = (
            f"`{name}`: {said.removeprefix('Value error, ')}" if name else said.removeprefix("Value error, ")
        )
    return Diagnostic(code="setting", message=message, span=loaded.place(path), help=help_)
