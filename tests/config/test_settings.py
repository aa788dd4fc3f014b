"""Settings: what is taken from where, and what is said of a mistake."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from pdp.audit.log_mode import LogMode
from pdp.config.address import Address, parse_address
from pdp.config.load import Loaded, _anchor, _set, load_settings
from pdp.config.model import LogTarget, Settings
from pdp.config.unsafe import problems
from pdp.diagnostics import Source, render

FILE = """\
# the service
[policies]
path = "policies"

[http]
listen = "127.0.0.1:9443"
certificate = "tls.crt"
key = "tls.key"

[trust]
"prod.example.org" = "roots.pem"
"""


def load(text: str = FILE, environment=None, options=None, folder: Path | None = None) -> Loaded:
    return load_settings(Source(path="pdp.toml", text=text), environment or {}, options or {}, folder=folder)


def settings(*args, **more) -> Settings:
    loaded = load(*args, **more)
    assert loaded.settings is not None, loaded.diagnostics
    return loaded.settings


def said(text: str = FILE, **more) -> str:
    loaded = load(text, **more)
    assert loaded.settings is None
    return "".join(render(each, {"pdp.toml": loaded.source}) for each in loaded.diagnostics)


def test_what_is_not_set_has_its_default() -> None:
    found = settings()

    assert found.http.listen == "127.0.0.1:9443"
    assert found.trust == {"prod.example.org": Path("roots.pem")}
    assert (found.grpc, found.health) == (None, None)
    assert found.decision_log.target is LogTarget.NONE
    assert found.decision_log.mode is LogMode.DROP
    assert found.limits.max_age_ms == 5000


def test_the_environment_goes_before_the_file_and_options_before_both() -> None:
    environment = {"PDP_HTTP__LISTEN": "127.0.0.1:1", "PDP_LIMITS__IN_FLIGHT": "7", "OTHER": "x"}
    environment |= {"PDP_PORT": "tcp://10.0.0.1:8443", "PDP_SERVICE_HOST": "10.0.0.1", "PDP_DEBUG": "1"}

    assert settings(environment=environment).http.listen == "127.0.0.1:1"
    assert settings(environment=environment).limits.in_flight == 7
    options = {("http", "listen"): "127.0.0.1:2", ("http", "key"): None}
    assert settings(environment=environment, options=options).http.listen == "127.0.0.1:2"
    assert settings(environment=environment, options=options).http.key == Path("tls.key")


def test_values_of_the_environment_are_texts_numbers_or_lists() -> None:
    found = settings(
        environment={
            "PDP_DECISION_LOG__TO": "/var/log/true",
            "PDP_DECISION_LOG__PLAIN_HEADERS": '["x-a", "x-b"]',
            "PDP_DRAIN__GRACE_SECONDS": "0.5",
            "PDP_HTTP__KEY": "1234",
        }
        | {"PDP_HTTP__CERTIFICATE": "a b"}
    )

    assert found.decision_log.target == Path("/var/log/true")
    assert found.decision_log.plain_headers == {"x-a", "x-b"}
    assert found.drain.grace_seconds == 0.5
    assert found.http.key == Path("1234")
    assert found.http.certificate == Path("a b")


def test_without_a_file_the_environment_is_enough() -> None:
    environment = {
        "PDP_POLICIES__PATH": "p",
        "PDP_HTTP__CERTIFICATE": "c",
        "PDP_HTTP__KEY": "k",
    }

    found = settings("", environment=environment, options={("trust",): {"prod.example.org": "r"}})

    assert found.trust == {"prod.example.org": Path("r")}


def test_paths_in_the_file_are_relative_to_it() -> None:
    text = FILE + '[decision_log]\nto = "log"\ndigest_key = "/key"\n'

    found = settings(text, folder=Path("/etc/pdp"), environment={"PDP_HTTP__KEY": "here"})

    assert found.policies.path == Path("/etc/pdp/policies")
    assert found.trust["prod.example.org"] == Path("/etc/pdp/roots.pem")
    assert found.decision_log.target == Path("/etc/pdp/log")
    assert found.decision_log.digest_key == Path("/key")
    assert found.http.key == Path("here")
    for word in ("stdout", "none"):
        log = settings(text.replace('"log"', f'"{word}"'), folder=Path("/etc/pdp")).decision_log
        assert log.target is LogTarget(word)


def _parts(annotation: object) -> Iterator[object]:
    """What a type is made of, itself included."""
    yield annotation
    for each in get_args(annotation):
        yield from _parts(each)


def file_settings(model: type[BaseModel] = Settings) -> Iterator[tuple[str, ...]]:
    """The keys of each setting that names a file; NAME for a name that the operator gives."""
    for key, field in model.model_fields.items():
        names = ("NAME",) if get_origin(field.annotation) is dict else ()
        parts = list(_parts(field.annotation))
        if Path in parts:
            yield (key, *names)
        for each in parts:
            if isinstance(each, type) and issubclass(each, BaseModel):
                yield from ((key, *names, *keys) for keys in file_settings(each))


@pytest.mark.parametrize("keys", sorted(file_settings()), ids=".".join)
def test_each_setting_that_names_a_file_is_relative_to_that_of_the_settings(keys: tuple[str, ...]) -> None:
    tree: dict[str, Any] = {}
    anchored: dict[str, Any] = {}
    _set(tree, keys, "x.pem")
    _set(anchored, keys, "/etc/pdp/x.pem")

    _anchor(tree, Path("/etc/pdp"))

    assert tree == anchored


def test_the_settings_that_name_files_are_found_in_tables_of_every_kind() -> None:
    found = set(file_settings())

    assert {("policies", "path"), ("trust", "NAME"), ("clusters", "NAME", "jwks_file")} <= found
    assert ("admin", "trust", "NAME") in found


MISTAKES = {
    "an unknown key": (
        FILE.replace("listen", "listne"),
        "pdp.toml:6:1: error[setting]: there is no setting `http.listne`",
        "did you mean `listen`?",
    ),
    "an unknown table": (FILE + "[htpt]\n", "pdp.toml:12:1:", "did you mean `http`?"),
    "a wrong type": (FILE + "[limits]\nin_flight = true\n", "pdp.toml:13:1:", "`limits.in_flight`"),
    "out of bounds": (FILE + "[limits]\nin_flight = 0\n", "pdp.toml:13:1:", "greater than or equal to 1"),
    "no address": (FILE.replace("127.0.0.1:9443", "9443"), "pdp.toml:6:1:", "write HOST:PORT"),
    "a mode that is none": (
        FILE + '[decision_log]\nmode = "lose"\n', "pdp.toml:13:1:", "'block', 'drop' or 'sample'",
    ),
    "a header that is none": (
        FILE + '[decision_log]\nplain_headers = ["X-A"]\n', "pdp.toml:13:1:", "`decision_log.plain_headers",
    ),
    "nothing set": (FILE.replace('key = "tls.key"\n', ""), "pdp.toml:5:1:", "PDP_HTTP__KEY"),
    "no roots": (FILE.replace('"prod.example.org" = "roots.pem"\n', ""), "pdp.toml:10:1:", "`trust`"),
    "no table at all": ("", "pdp.toml:1:1:", "`policies.path` is not set"),
    "no TOML": (FILE + "[http\n", "pdp.toml:12:6: error[toml]:", "this is not TOML"),
    "a table twice": (FILE + "[http]\n", "pdp.toml:12:6: error[toml]:", "this is not TOML"),
    "nothing but brackets": (FILE + f"x = {'[' * 10_000}\n", "error[toml]:", "it nests too deep"),
    "a number without end": (FILE + f"x = {'9' * 10_000}\n", "error[toml]:", "a number has too many digits"),
    "line ends of Unicode": (
        FILE.replace("service", "\u2028\x85").replace("9443", "x"), "pdp.toml:6:1:", "write HOST:PORT",
    ),
    "line ends of Unicode before what is no TOML": (
        FILE.replace("service", "\u2028\x85") + "[http\n", "pdp.toml:12:6: error[toml]:", "this is not TOML",
    ),
    "a file name with a NUL": (
        FILE.replace("tls.key", "tls\\u0000"), "pdp.toml:8:1:", "`http.key`: no file's name holds a NUL",
    ),
    "a secret's name with a NUL": (
        FILE + '[decision_log]\ndigest_key = "\\u0000"\n', "pdp.toml:13:1:", "no file's name holds a NUL",
    ),
    "a log's name with a NUL": (
        FILE + '[decision_log]\nto = "\\u0000"\n', "pdp.toml:13:1:", "no file's name holds a NUL",
    ),
    "one header twice": (
        FILE + '[evidence]\nnginx_verify_header = "ssl-client-cert"\n', "pdp.toml:12:1:", "are one header",
    ),
    "a header's name in capitals": (
        FILE + '[evidence]\nnginx_verify_header = "X-Verify"\n', "pdp.toml:13:1:", "nginx_verify_header",
    ),
    "one address twice": (
        FILE + '[health]\nlisten = "127.0.0.1:9443"\n',
        "pdp.toml:1:1:",
        "`health.listen` and `http.listen` are one address",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "place", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_with_its_place(text: str, place: str, message: str) -> None:
    found = said(text)

    assert place in found
    assert message in found


@pytest.mark.parametrize("value", ["[" * 10_000, "9" * 10_000, "7\nmax_age_ms = 1"])
def test_a_variable_that_is_no_value_is_a_mistake_and_no_defect(value: str) -> None:
    found = said(environment={"PDP_LIMITS__IN_FLIGHT": value})

    assert found.startswith("PDP_LIMITS__IN_FLIGHT: error[setting]: `limits.in_flight`")


def test_a_long_word_in_a_long_text_takes_no_time_to_pass() -> None:
    """It was taken apart in every way there is, once some other setting was wrong."""
    began = time.process_time()

    said(f'{FILE}[limits]\nx = """\n{"a" * 10_000}\n{"a.b " * 10_000}\n{"[" * 10_000}\n"""\n')

    assert time.process_time() - began < 5


def test_a_name_that_is_too_long_is_told_like_any_other_that_cannot_be_read() -> None:
    name = "a" * 5000
    log = f'[decision_log]\nto = "{name}/x"\ndigest_key = "{name}"\n'

    found = problems(settings(FILE.replace("tls.crt", name) + log))

    assert [problem.setting for problem in found if problem.refused] == [
        ("http", "certificate"), ("http", "key"), ("trust", "prod.example.org"),
        ("decision_log", "digest_key"), ("decision_log", "to"),
    ]  # fmt: skip


def test_what_is_missing_is_told_with_the_ways_to_set_it() -> None:
    found = load("").diagnostics

    assert {each.message: each.help for each in found} == {
        "`policies.path` is not set": "set it in the file, by POLICIES, or by PDP_POLICIES__PATH",
        "`http.certificate` is not set": "set it in the file, by --cert, or by PDP_HTTP__CERTIFICATE",
        "`http.key` is not set": "set it in the file, by --key, or by PDP_HTTP__KEY",
        "`trust` is not set": "set it in the file, or by --trust",
    }


def test_every_mistake_is_told_at_once() -> None:
    found = said(FILE.replace("listen", "listne") + "[limits]\nin_flight = 0\nmax_age_ms = -1\n")

    assert found.count("error[setting]") == 3


def test_a_mistake_of_the_environment_names_the_variable() -> None:
    assert said(environment={"PDP_HTTP__LISTEN": "x"}).startswith(
        "PDP_HTTP__LISTEN: error[setting]: `http.listen`"
    )
    assert "PDP_HTTPS__LISTEN: error[setting]: there is no setting `https`" in said(
        environment={"PDP_HTTPS__LISTEN": "127.0.0.1:1"}
    )
    assert said(options={("health", "listen"): "x"}).startswith("--health: error[setting]: `health.listen`")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:0", Address("127.0.0.1", 0)),
        ("[::1]:8443", Address("::1", 8443)),
        ("pdp.svc:65535", Address("pdp.svc", 65535)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["", ":", "8443", ":8443", "::1:8443", "a:65536", "a:-1", "a:٣", "a:1x", "[::1]"]
)
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        parse_address(text)


def test_loopback_is_an_address_and_never_a_name() -> None:
    assert parse_address("127.0.0.1:1").is_loopback
    assert parse_address("[::1]:1").is_loopback
    assert not parse_address("localhost:1").is_loopback
    assert not parse_address("0.0.0.0:1").is_loopback
