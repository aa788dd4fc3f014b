"""Settings about the quarantine: one list, that survives a restart, and who may change it."""

import json
from pathlib import Path

import pytest

from tests.config.test_config_command import check
from tests.config.test_config_command import folder as folder  # noqa: PLC0414 - a fixture

LIST = '{"entries": []}'
URL = '[quarantine]\nurl = "https://list.example.org/"\n'
ADMIN = '[admin]\nlisten = "127.0.0.1:0"\n[admin.trust]\n"ops.example.org" = "roots.pem"\n'


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("[quarantine]\n", "by one of `file` and `url`"),
        (URL + 'file = "q.json"\nkept = "k"\n', "by one of `file` and `url`"),
        (URL, "survives a restart"),
        ('[quarantine]\nfile = "q.json"\nkept = "k"\n', "survives a restart"),
        ('[quarantine]\nfile = "q.json"\nca_file = "c"\n', "`ca_file` is for `url` alone"),
        ('[quarantine]\nfile = "none.json"\n', "an empty list is"),
        ('[quarantine]\nfile = "broken.json"\n', "is not JSON"),
        ('[quarantine]\nfile = "open.json"\n', "can be written by everybody"),
        (ADMIN, "`quarantine.file`, which is not set"),
        (URL + 'kept = "k"\n' + ADMIN, "`quarantine.file`, which is not set"),
        (
            '[quarantine]\nfile = "q.json"\n' + ADMIN.replace("roots.pem", "none.pem"),
            "none.pem: cannot be read",
        ),
        ('[quarantine]\nfile = "q.json"\n[admin]\nlisten = "127.0.0.1:0"\n', "`admin.trust` is not set"),
        ('[quarantine]\nfile = "q.json"\npoll_seconds = 0\n', "greater than or equal to 0.1"),
    ],
)
def test_what_keeps_it_from_starting(folder: Path, more: str, said: str) -> None:
    (folder / "q.json").write_text(LIST)
    (folder / "broken.json").write_text("{")
    (folder / "open.json").write_text(LIST)
    (folder / "open.json").chmod(0o666)

    done = check(folder, more=more)

    assert (done.exit_code, said in done.output) == (1, True), done.output


def test_files_are_relative_to_that_of_the_settings(folder: Path) -> None:
    (folder / "q.json").write_text(LIST)

    done = check(folder, more='[quarantine]\nfile = "q.json"\n' + ADMIN)

    assert done.exit_code == 0, done.output
    assert "nobody may change the list" in done.output
    (folder / "pdp.toml").write_text((folder / "pdp.toml").read_text().partition("[quarantine]")[0])
    done = check(folder, "--json", more=URL + 'kept = "k"\nca_file = "c"\n')
    found = json.loads(done.stdout)["settings"]["quarantine"]
    assert (found["kept"], found["ca_file"]) == (str(folder / "k"), str(folder / "c"))


def test_an_admin_listener_takes_our_certificate(folder: Path) -> None:
    (folder / "q.json").write_text(LIST)
    text = (folder / "pdp.toml").read_text()
    without = "\n".join(line for line in text.splitlines() if not line.startswith(("certificate", "key")))
    (folder / "pdp.toml").write_text(without.replace("[http]", "[http]\nplaintext = true") + "\n")

    done = check(folder, more='[quarantine]\nfile = "q.json"\n' + ADMIN)

    assert "`http.certificate` is not set" in done.output
