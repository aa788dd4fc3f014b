"""Plaintext: what is refused before anything listens, each by the name of its setting."""

import os
from pathlib import Path

import pytest

from pdp.config import local as module
from pdp.config.address import Address, parse_http_address
from pdp.config.load import load_settings
from pdp.config.local import local_problems
from pdp.config.model import Forwarded, LocalSettings, Settings
from pdp.config.problem import Problem
from pdp.config.unix import UnixAddress, parse_unix
from pdp.diagnostics import Source

CALLER = "spiffe://prod.example.org/ns/edge/sa/proxy"
OURS = "spiffe://prod.example.org/ns/pdp/sa/pdp"
START = '[policies]\npath = "p"\n'
TLS = '[http]\ncertificate = "c"\nkey = "k"\n[trust]\n"prod.example.org" = "r"\n'


def settings(text: str) -> Settings:
    loaded = load_settings(Source(path="pdp.toml", text=START + text), {}, {})
    assert loaded.settings is not None, loaded.diagnostics
    return loaded.settings


def plain(listen: str = "127.0.0.1:8181", local: str = f'caller = "{CALLER}"\n', more: str = "") -> str:
    return f'[http]\nplaintext = true\nlisten = "{listen}"\n[local]\n{local}{more}'


def found(text: str) -> list[Problem]:
    return local_problems(settings(text))


@pytest.mark.parametrize(
    "text",
    [
        TLS,
        plain(),
        plain("[::1]:0"),
        plain("127.8.8.8:1"),
        plain("unix:/run/pdp/pdp.sock"),
        plain("unix:/run/pdp/pdp.sock", f'caller = "{CALLER}"\nuids = [0, 1000]\n'),
        plain(local='caller = "dns:proxy.example.org"\nhosts = ["pdp.local:8181", "[::1]:1"]\n'),
        plain(local=f'forwarded = "xfcc"\nidentity = "{OURS}"\n'),
        plain(more='[grpc]\nlisten = "0.0.0.0:1"\n').replace(
            "plaintext", 'certificate = "c"\nkey = "k"\nplaintext'
        )
        + '[trust]\n"prod.example.org" = "r"\n',
    ],
)
def test_what_goes_together_has_nothing_wrong(text: str) -> None:
    assert [each for each in found(text) if each.refused] == []


@pytest.mark.parametrize(
    ("text", "setting", "said"),
    [
        (plain("0.0.0.0:8181"), "http.listen", "0.0.0.0:8181 is neither"),
        (plain("[::]:8181"), "http.listen", "[::]:8181 is neither"),
        (plain("10.0.0.1:8181"), "http.listen", "10.0.0.1:8181 is neither"),
        (plain("localhost:8181"), "http.listen", "localhost:8181 is neither"),
        (plain("pdp.svc:8181"), "http.listen", "pdp.svc:8181 is neither"),
        ('[http]\nlisten = "unix:/run/pdp/pdp.sock"\n', "http.listen", "no TLS on those"),
        ("[http]\nplaintext = true\n", "local.caller", "needs the name of who asks"),
        (plain(local=""), "local.caller", "needs the name of who asks"),
        (plain("unix:/run/pdp/s", "uids = [0]\n"), "local.caller", "needs the name of who asks"),
        (
            plain(local=f'caller = "{CALLER}"\nforwarded = "xfcc"\nidentity = "{OURS}"\n'),
            "local.caller",
            "forwarded with each request",
        ),
        (plain(local='forwarded = "xfcc"\n'), "local.identity", "only if it is for us"),
        (plain(local=f'caller = "{CALLER}"\nidentity = "{OURS}"\n'), "local.identity", "only with"),
        (plain(local=f'caller = "{CALLER}"\nuids = [0]\n'), "local.uids", "Unix sockets alone"),
        (
            plain("unix:/run/pdp/p", f'caller = "{CALLER}"\nhosts = ["a:1"]\n'),
            "local.hosts",
            "no browser reaches",
        ),
        (plain(more=f'[metrics]\nreaders = ["{CALLER}"]\n'), "metrics.readers", "nobody reads metrics"),
        (TLS + f'[local]\ncaller = "{CALLER}"\n', "local", "is not plaintext"),
    ],
)
def test_what_does_not_is_refused_by_name(text: str, setting: str, said: str) -> None:
    (problem,) = (each for each in found(text) if each.refused)

    assert ".".join(problem.setting) == setting
    assert said in problem.message


def test_the_user_that_stands_for_all_without_a_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    text = plain("unix:/run/pdp/pdp.sock", f'caller = "{CALLER}"\nuids = [0, 65534]\n')

    monkeypatch.setattr(module.os, "geteuid", lambda: 1000)
    assert ["no number in this user namespace" in each.message for each in found(text) if each.refused] == [
        True
    ]

    monkeypatch.setattr(module.os, "geteuid", lambda: 65534)
    assert [each for each in found(text) if each.refused] == []


def test_what_is_not_used_is_doubtful() -> None:
    (doubt,) = found(plain().replace("plaintext", 'key = "k"\nplaintext'))

    assert (doubt.setting, doubt.refused) == (("http", "key"), False)


def test_a_directory_above_that_others_write_to_is_doubtful(tmp_path: Path) -> None:
    open_to_all, ours = tmp_path / "open", tmp_path / "ours"
    for folder in (open_to_all, ours):
        folder.mkdir()
    open_to_all.chmod(0o777)

    def doubts(folder: Path) -> list[str]:
        return [each.message for each in found(plain(f"unix:{folder}/pdp/s"))]

    assert doubts(ours) == []
    assert [str(open_to_all) in each for each in doubts(open_to_all)] == [True]
    open_to_all.chmod(0o1777)
    assert doubts(open_to_all) == []
    if os.geteuid() == 0:
        os.chown(ours, 1000, 1000)
        assert [str(ours) in each for each in doubts(ours)] == [True]


# -- what is needed ------------------------------------------------------------------------


def lacking(text: str) -> list[str]:
    loaded = load_settings(Source(path="pdp.toml", text=START + text), {}, {})
    return sorted(each.message for each in loaded.diagnostics)


NEEDED = ["`http.certificate` is not set", "`http.key` is not set", "`trust` is not set"]


def test_certificates_are_needed_wherever_something_listens_over_tls() -> None:
    assert lacking("") == NEEDED
    assert lacking("[http]\nplaintext = false\n") == NEEDED
    assert lacking(plain()) == []
    assert lacking(plain(more='[grpc]\nlisten = "127.0.0.1:1"\n')) == NEEDED
    assert "`http.plaintext`" in "".join(lacking('[http]\nplaintext = "true"\n'))


@pytest.mark.parametrize(
    ("local", "said"),
    [
        ('caller = "a proxy"', "`local.caller`: a DNS identity"),
        ('caller = "spiffe://prod.example.org"', "`local.caller`"),
        ('identity = "dns:pdp.example.org"', "`local.identity`: a SPIFFE ID"),
        ("uids = []", "`local.uids`"),
        ("uids = [-1]", "`local.uids"),
        ("uids = [4294967295]", "`local.uids"),
        ('uids = ["root"]', "`local.uids"),
        ("hosts = []", "`local.hosts`"),
        ('hosts = ["*"]', "`local.hosts"),
        ('hosts = ["Pdp.local"]', "`local.hosts"),
        ('hosts = ["a b"]', "`local.hosts"),
        ('forwarded = "forwarded"', "`local.forwarded`"),
    ],
)
def test_a_value_that_is_none_is_told(local: str, said: str) -> None:
    (told,) = lacking(plain(local=local + "\n"))

    assert told.startswith(said)


@pytest.mark.parametrize("section", ["grpc", "health"])
def test_only_http_listens_on_a_unix_socket(section: str) -> None:
    (told,) = lacking(TLS + f'[{section}]\nlisten = "unix:/run/pdp/s"\n')

    assert told == f"`{section}.listen`: write HOST:PORT; a Unix socket is for `http.listen` alone"


# -- addresses -----------------------------------------------------------------------------


def test_the_address_of_a_socket_is_an_absolute_path() -> None:
    address = parse_http_address("unix:/run/pdp/pdp.sock")

    assert address == UnixAddress(Path("/run/pdp/pdp.sock"))
    assert str(address) == "unix:/run/pdp/pdp.sock"
    assert parse_http_address("127.0.0.1:1") == Address("127.0.0.1", 1)
    assert parse_unix("unix:/a/" + "b" * 104).path.name == "b" * 104


@pytest.mark.parametrize(
    "text",
    [
        "unix:", "unix:/", "unix:/s", "unix:run/s", "unix://run/s", "unix:///run/s", "unix:/run/../s/t",
        "unix:/run/./s", "unix:/run//s", "unix:/run/s/", "unix:@abstract/s", "unix:/run/\0s", "unix:/run/\ns",
        "/run/pdp/s", "UNIX:/run/s", "unix:/a/" + "b" * 105,
    ],
)  # fmt: skip
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"unix:/PATH|at most 107 bytes"):
        parse_unix(text)


def test_nobody_is_local_unless_the_settings_say_so() -> None:
    assert settings(TLS).local is None
    assert settings(TLS).http.plaintext is False
    assert LocalSettings().forwarded is Forwarded.NONE
