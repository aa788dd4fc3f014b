"""Files of roots and revocation lists in the settings: which count, and what is found in them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pdp.config.load import load_settings
from pdp.config.model import Settings
from pdp.config.problem import Problem
from pdp.config.roots import root_problems, trust_files
from pdp.diagnostics import Source
from pdp.identity.trust import DNS
from tests.identity.mint import authority
from tests.identity.revoking import crl_pem

PROD = "prod.example.org"
NOW = datetime.now(UTC)
SPAN: dict[str, Any] = {"start": NOW - timedelta(days=1), "end": NOW + timedelta(days=30)}
ROOT, MACHINES = authority("root", uris=[f"spiffe://{PROD}"], **SPAN), authority("machines", **SPAN)
BASE = '[policies]\npath = "policies"\n[http]\ncertificate = "tls.crt"\nkey = "tls.key"\n'
TRUST = f'[trust]\n"{PROD}" = "roots.pem"\n'


def settings(text: str, folder: Path | None = None) -> Settings:
    loaded = load_settings(Source(path="pdp.toml", text=BASE + text), {}, {}, folder=folder)
    assert loaded.settings is not None, loaded.diagnostics
    return loaded.settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "roots.pem").write_bytes(ROOT.pem)
    (tmp_path / "machines.pem").write_bytes(MACHINES.pem)
    (tmp_path / "prod.crl.pem").write_bytes(crl_pem(ROOT, start=SPAN["start"], end=SPAN["end"]))
    (tmp_path / "machines.crl.pem").write_bytes(crl_pem(MACHINES, start=SPAN["start"], end=SPAN["end"]))
    return tmp_path


ALL = f'{TRUST}[dns]\ntrust = "machines.pem"\ncrls = "machines.crl.pem"\n[crls]\n"{PROD}" = "prod.crl.pem"\n'


def found(folder: Path, text: str = ALL) -> list[Problem]:
    return list(root_problems(settings(text, folder)))


def test_the_files_of_all_sections_are_put_together_relative_to_the_settings(folder: Path) -> None:
    files = trust_files(settings(ALL, folder))

    assert files.domains == {PROD: folder / "roots.pem"}
    assert files.dns == folder / "machines.pem"
    assert files.crls == {PROD: folder / "prod.crl.pem", DNS: folder / "machines.crl.pem"}
    assert len(files.paths) == len(set(files.paths)) == 4


def test_nobody_is_known_by_a_dns_name_unless_that_is_set() -> None:
    files = trust_files(settings(TRUST))

    assert (files.dns, dict(files.crls)) == (None, {})


def test_machines_alone_may_be_trusted_and_somebody_has_to_be() -> None:
    assert trust_files(settings('[dns]\ntrust = "m"\n')).domains == {}
    loaded = load_settings(Source(path="pdp.toml", text=BASE), {}, {})
    assert [each.message for each in loaded.diagnostics] == ["`trust` is not set"]


@pytest.mark.parametrize(
    "text",
    [
        '[dns]\ncrls = "c"\n',
        '[dns]\ntrust = "m"\nroots = "c"\n',
        '[crls]\n"a/b" = "c"\n',
        '[crls]\n"" = "c"\n',
    ],
)
def test_a_slip_in_these_sections_is_refused(text: str) -> None:
    assert load_settings(Source(path="pdp.toml", text=BASE + TRUST + text), {}, {}).settings is None


def test_good_files_are_no_problem(folder: Path) -> None:
    assert found(folder) == []


@pytest.mark.parametrize(
    ("file", "content", "setting", "why"),
    [
        ("machines.pem", ROOT.pem, ("dns", "trust"), "it has a URI"),
        ("machines.pem", None, ("dns", "trust"), "cannot be read"),
        ("machines.crl.pem", b"", ("dns", "crls"), "there is no revocation list in it"),
        ("prod.crl.pem", ROOT.pem, ("crls", PROD), "there is no revocation list in it"),
        ("prod.crl.pem", None, ("crls", PROD), "cannot be read"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(
    folder: Path, file: str, content: bytes | None, setting: tuple[str, ...], why: str
) -> None:
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)

    (problem,) = found(folder)

    assert problem.setting == setting
    assert why in problem.message
    assert problem.refused


def test_a_list_that_has_ended_is_doubtful_and_no_reason_not_to_start(folder: Path) -> None:
    ended = crl_pem(ROOT, start=SPAN["start"], end=NOW - timedelta(seconds=1))
    (folder / "prod.crl.pem").write_bytes(ended)

    (problem,) = found(folder)

    assert (problem.setting, problem.refused) == (("crls", PROD), False)
    assert "held until" in problem.message


def test_lists_of_a_trust_domain_that_nobody_is_trusted_for_are_refused(folder: Path) -> None:
    (problem,) = found(folder, f'{TRUST}[crls]\n"other.example.org" = "prod.crl.pem"\n')

    assert problem.setting == ("crls", "other.example.org")
    assert "nobody is trusted for `other.example.org`" in problem.message
    assert problem.refused
    text = f'{TRUST}[crls]\n"other.example.org" = "prod.crl.pem"\n'
    assert (
        list(root_problems(settings(text, folder), others={"other.example.org"})) == []
    )  # of those who administer
