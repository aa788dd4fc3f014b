"""The Dockerfile says what it should, and copies what is there. `test_image.py` runs its steps."""

import re
import shlex

import pytest

from tests.deploy.dockerfile import DOCKERFILE, ROOT, command, is_sent, read

ARGUMENTS, STAGES = read(DOCKERFILE.read_text(encoding="utf-8"))
MAKING, LAST = STAGES


def test_what_is_copied_is_there_and_is_sent_to_the_builder() -> None:
    sources = [name for text in MAKING.all("COPY") for name in text.split()[:-1]]

    assert {"pdp", "grammar", "requirements/runtime.txt"} <= set(sources)
    for name in sources:
        assert (ROOT / name).exists()
        files = list((ROOT / name).rglob("*.py")) or [ROOT / name]
        assert all(is_sent(file.relative_to(ROOT).as_posix()) for file in files), name


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".pdp/pki/root-key.pem",
        ".venv/bin/python",
        "pdp/cli/__pycache__/main.pyc",
        "requirements/dev.txt",
        "policies/callers.policy",
        "server-key.pem",
        "deploy/kubernetes/base/settings.yaml",
    ],
)
def test_keys_history_and_caches_are_not_sent_to_the_builder(path: str) -> None:
    assert not is_sent(path)


def test_both_stages_have_one_base_that_an_argument_can_fix_by_digest() -> None:
    assert {stage.base for stage in STAGES} == {"${PYTHON}"}
    assert re.fullmatch(r"python:3\.11-slim(@sha256:[0-9a-f]{64})?", ARGUMENTS["PYTHON"])


def test_whatever_is_installed_is_fixed_by_its_hash_or_made_here() -> None:
    installs = [text for text in MAKING.all("RUN") if re.search(r"\b(install|wheel)\b", text)]

    assert len(installs) >= 4
    for text in installs:
        assert "--require-hashes" in text or {"--no-index", "--no-deps"} <= set(text.split()), text
    assert MAKING.all("ADD") == []
    assert not any(re.search(r"\b(apt|apt-get|curl|wget)\b", text) for text in MAKING.all("RUN"))


def test_the_last_stage_runs_nothing_and_takes_only_what_was_made_to_where_it_was_made() -> None:
    assert LAST.all("RUN") == []
    assert LAST.one("COPY").split() == ["--from=build", "/opt/pdp", "/opt/pdp"]
    assert MAKING.name == "build"


def test_it_runs_as_a_user_with_a_number_who_is_not_root() -> None:
    user, _, group = LAST.one("USER").partition(":")

    assert user.isdecimal()
    assert group.isdecimal()
    assert 0 not in {int(user), int(group)}


def test_it_runs_the_command_without_a_shell_and_is_ended_by_sigterm() -> None:
    assert command(LAST) == ["pdp", "serve", "--config", "/etc/pdp/settings/pdp.toml"]
    assert LAST.one("STOPSIGNAL") == "SIGTERM"
    assert LAST.environment()["PATH"].split(":")[0] == "/opt/pdp/bin"


def test_it_says_what_it_is() -> None:
    labels = dict(part.split("=", 1) for part in shlex.split(LAST.one("LABEL")))

    assert labels["org.opencontainers.image.title"] == "pdp"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.base.name"].endswith(ARGUMENTS["PYTHON"].partition("@")[0])
