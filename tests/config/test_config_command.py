"""`pdp config check`: the settings, and the files that they name."""

import json
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pdp.cli.main import cli
from pdp.config.load import OPTIONS
from pdp.config.model import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policies").mkdir()
    for name in ("tls.crt", "tls.key", "roots.pem"):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(0o600)
    text = '[policies]\npath = "policies"\n[http]\ncertificate = "tls.crt"\nkey = "tls.key"\n'
    (tmp_path / "pdp.toml").write_text(text + '[trust]\n"prod.example.org" = "roots.pem"\n')
    return tmp_path


def check(folder: Path, *args: str, more: str = "", **environment: str) -> Result:
    file = folder / "pdp.toml"
    file.write_text(file.read_text() + more)
    return CliRunner().invoke(cli, ["config", "check", str(file), *args], env=environment)


def test_good_settings_are_summed_up(folder: Path) -> None:
    done = check(folder, PDP_HEALTH__LISTEN="127.0.0.1:8080")

    assert done.exit_code == 0, done.output
    assert "https on 127.0.0.1:8443, health on 127.0.0.1:8080" in done.output
    assert "from the environment: PDP_HEALTH__LISTEN" in done.output


def test_for_programs_the_settings_are_json(folder: Path) -> None:
    done = check(folder, "--json")

    report = json.loads(done.stdout)
    assert report["settings"]["limits"]["in_flight"] == 2048
    assert report["settings"]["policies"]["path"] == str(folder / "policies")
    assert report["diagnostics"] == []


def test_a_mistake_is_shown_with_its_line(folder: Path) -> None:
    done = check(folder, more="[limits]\nin_flight = 0\n")

    assert done.exit_code == 1
    assert "pdp.toml:9:1: error[setting]: `limits.in_flight`" in done.output


def test_for_programs_a_mistake_has_its_place(folder: Path) -> None:
    done = check(folder, "--json", more="[limits]\nin_flight = 0\n", PDP_HTTP__LISTEN="nowhere")

    found = {each["file"]: each for each in json.loads(done.stdout)["diagnostics"]}
    place = {
        key: found[str(folder / "pdp.toml")][key] for key in ("line", "column", "end_line", "end_column")
    }
    assert done.exit_code == 1
    assert place == {"line": 9, "column": 1, "end_line": 9, "end_column": 10}
    assert "line" not in found["PDP_HTTP__LISTEN"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PDP_POLICIES__PATH", "nowhere"),
        ("PDP_HTTP__KEY", "nowhere"),
        ("PDP_TRUST__prod.example.org", "nowhere"),
        ("PDP_DECISION_LOG__TO", "nowhere/log"),
        ("PDP_FRESHNESS__MAX_STALENESS_SECONDS", "1"),
    ],
)
def test_what_a_variable_gives_is_shown_with_its_name_and_not_with_a_line(
    folder: Path, variable: str, value: str
) -> None:
    done = check(folder, **{variable: value})

    assert re.search(rf"^{re.escape(variable)}: (error|warning)\[setting\]: `", done.output, re.MULTILINE)
    assert "pdp.toml:" not in done.output


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("limits = 3\n", "`limits`: it should be a table"),
        ("trust = 3\n", "`trust`: it should be a table"),
        ('[metrics]\nreaders = "a"\n', "`metrics.readers`: it should be a list, in brackets"),
        ("[grpc]\nlisten = 8443\n", "`grpc.listen`: it should be a text, in quotes"),
        ("[decision_log]\ndigest_key = 1\n", "`decision_log.digest_key`: it should be a text, in quotes"),
    ],
)
def test_what_kind_of_thing_is_wanted_is_said_in_words_of_toml(folder: Path, more: str, said: str) -> None:
    file = folder / "pdp.toml"
    text = file.read_text().partition("[trust]")[0] if more.startswith("trust") else file.read_text()
    file.write_text(more + text if "[" not in more else text + more)

    done = CliRunner().invoke(cli, ["config", "check", str(file)])

    assert done.exit_code == 1
    assert said in done.output
    assert not re.search("Settings|frozenset|dictionary|instance", done.output)


def test_a_file_that_is_not_there_is_no_answer(folder: Path) -> None:
    done = CliRunner().invoke(cli, ["config", "check", str(folder / "none.toml")])

    assert done.exit_code == 3
    assert "cannot be read" in done.output


@pytest.mark.parametrize("name", ["tls.crt", "tls.key", "roots.pem", "policies"])
def test_files_that_are_named_have_to_be_there(folder: Path, name: str) -> None:
    (folder / name).rename(folder / "elsewhere")

    done = check(folder)

    assert done.exit_code == 1
    assert str(folder / name) in done.output


def test_a_key_that_others_may_write_is_refused(folder: Path) -> None:
    (folder / "tls.key").chmod(0o660)

    done = check(folder)

    assert done.exit_code == 1
    assert "error[setting]: `http.key`" in done.output
    assert "can be written by others" in done.output


def test_a_key_that_everybody_may_read_is_doubtful(folder: Path) -> None:
    (folder / "tls.key").chmod(0o644)

    done = check(folder)

    assert done.exit_code == 0
    assert "warning[setting]: `http.key`" in done.output


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("policies/log", "lies in the policy set"),
        ("policies/deeper/log", "is no directory"),
        ("nowhere/log", "is no directory"),
    ],
)
def test_a_log_goes_where_it_can_and_not_among_the_policies(folder: Path, to: str, message: str) -> None:
    done = check(folder, more=f'[decision_log]\nto = "{to}"\n')

    assert done.exit_code == 1
    assert message in done.output
    assert "pdp.toml:9:1" in done.output


def test_a_short_key_for_digests_is_refused(folder: Path) -> None:
    (folder / "digest.key").write_bytes(b"x" * 15)
    (folder / "digest.key").chmod(0o600)

    done = check(folder, more='[decision_log]\ndigest_key = "digest.key"\n')
    assert (done.exit_code, "fewer than 16 bytes" in done.output) == (1, True)

    (folder / "digest.key").write_bytes(os.urandom(16))
    assert check(folder).exit_code == 0


# -- the page ------------------------------------------------------------------------------

PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def names(model: type = Settings, before: str = "") -> list[str]:
    found = []
    for name, field in model.model_fields.items():
        options = [field.annotation, *getattr(field.annotation, "__args__", ())]
        inner = next((each for each in options if hasattr(each, "model_fields")), None)
        found += [f"{before}{name}"] if inner is None else names(inner, f"{before}{name}.")
    return found


def test_the_page_has_a_heading_for_each_setting_and_no_other() -> None:
    assert sorted(re.findall(r"^### (.*)$", PAGE, re.MULTILINE)) == sorted(names())


def test_the_page_names_the_options() -> None:
    for option in OPTIONS.values():
        assert option == "POLICIES" or f"`{option}" in PAGE


def test_the_defaults_on_the_page_hold() -> None:
    for heading, text in re.findall(r"^### (.*)\n\n((?:.+\n)+)", PAGE, re.MULTILINE):
        found = re.search(r"\bDefault\s(\d+|`[^`]+`)", text)
        if found is None:
            continue
        model, *keys = (Settings, *heading.split("."))
        for key in keys:
            field = model.model_fields[key]
            options = [field.annotation, *getattr(field.annotation, "__args__", ())]
            model = next((each for each in options if hasattr(each, "model_fields")), None)
        stated = found[1].strip("`")
        assert str(field.default) in {stated, f"{stated}.0"}, heading


@pytest.mark.parametrize("number", range(3))
def test_the_examples_without_tls_would_start(folder: Path, number: int) -> None:
    examples = re.findall(r"^```toml local\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (folder / "pdp.toml").write_text(examples[number])

    assert len(examples) == 3
    assert check(folder).exit_code == 0


def test_the_example_with_an_agent_would_start(folder: Path) -> None:
    (example,) = re.findall(r"^```toml agent\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (folder / "pdp.toml").write_text(example)

    found = check(folder)

    assert found.exit_code == 0
    assert "/run/spire/agent.sock: No such file or directory: the agent is not there yet" in found.output


def test_the_example_of_the_page_would_start(folder: Path) -> None:
    (example,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (folder / "pdp.toml").write_text(example)

    assert check(folder).exit_code == 0
