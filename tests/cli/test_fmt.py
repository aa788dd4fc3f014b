"""`pdp fmt`: what it prints, how it ends, and what it never does to a file."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pdp.cli import fmt as fmt_module
from pdp.cli import rewrite as rewrite_module
from pdp.cli.fmt import fmt
from pdp.limits import MAX_FILE_BYTES

ROOT = Path(__file__).parents[2]
UNTIDY = 'language 1\nservice s{\n  host "s"   # why\n}\n'
TIDY = 'language 1\nservice s {\n    host "s"  # why\n}\n'
BROKEN = "language 1\nallow a too GET /x on s\n"


def _run(*args: object, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(fmt, [str(arg) for arg in args], input=stdin)


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """One file in the layout, one not, one where nobody looks."""
    root = tmp_path / "policies"
    (root / "team").mkdir(parents=True)
    (root / ".hidden").mkdir()
    (root / "tidy.policy").write_text(TIDY)
    (root / "team" / "untidy.policy").write_text(UNTIDY)
    (root / ".hidden" / "a.policy").write_text(UNTIDY)
    (root / "notes.md").write_text(UNTIDY)
    return root


def _contents(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_files_are_brought_into_the_layout_and_counted(policies: Path) -> None:
    before = _contents(policies)

    result = _run(policies)

    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr == "1 file changed, 1 file left as it was\n"
    assert _contents(policies) == {**before, "team/untidy.policy": TIDY}


def test_a_second_time_changes_nothing(policies: Path) -> None:
    _run(policies)
    status = (policies / "team" / "untidy.policy").stat()

    result = _run(policies)

    assert result.exit_code == 0
    assert result.stderr == "2 files left as they were\n"
    assert (policies / "team" / "untidy.policy").stat().st_mtime_ns == status.st_mtime_ns


def test_check_shows_what_would_change_and_changes_nothing(policies: Path) -> None:
    before = _contents(policies)
    path = policies / "team" / "untidy.policy"

    result = _run("--check", policies)

    assert result.exit_code == 1
    assert result.stdout == (
        f"--- {path}\n+++ {path}\n@@ -1,4 +1,4 @@\n language 1\n"
        '-service s{\n-  host "s"   # why\n+service s {\n+    host "s"  # why\n }\n'
    )
    assert result.stderr == "1 file would change, 1 file left as it was\n"
    assert _contents(policies) == before


def test_check_of_what_is_in_the_layout_says_yes(policies: Path) -> None:
    result = _run("--check", policies / "tidy.policy")

    assert (result.exit_code, result.stdout) == (0, "")


def test_the_diff_of_a_file_without_a_last_line_end_can_be_applied(policies: Path) -> None:
    path = policies / "tidy.policy"
    path.write_text(TIDY.removesuffix("\n"))

    result = _run("--check", path)

    assert result.exit_code == 1
    assert result.stdout.endswith("-}\n\\ No newline at end of file\n+}\n")


def test_a_file_with_mistakes_is_left_alone_and_the_others_are_not(policies: Path) -> None:
    broken = policies / "broken.policy"
    broken.write_text(BROKEN)

    result = _run(policies)

    assert result.exit_code == 3
    assert f"{broken}:2:9: error[PDP101]: unexpected `too`" in result.stderr
    assert result.stderr.endswith("1 file changed, 1 file left as it was, 1 file could not be formatted\n")
    assert broken.read_text() == BROKEN
    assert (policies / "team" / "untidy.policy").read_text() == TIDY


def test_a_file_that_cannot_be_formatted_counts_more_than_one_that_would_change(policies: Path) -> None:
    (policies / "broken.policy").write_text(BROKEN)

    assert _run("--check", policies).exit_code == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"language 1\n# \xff\n", "this is not UTF-8 text: see byte 13"),
        (b"", "unexpected end of file"),
        (b"language 1\n\x00", "PDP1"),
        (b"language 1\n#" + b"x" * MAX_FILE_BYTES, f"more than {MAX_FILE_BYTES} bytes"),
    ],
)
def test_what_is_no_policy_text_is_refused_in_plain_words(policies: Path, content: bytes, said: str) -> None:
    path = policies / "odd.policy"
    path.write_bytes(content)

    result = _run(path)

    assert result.exit_code == 3
    assert said in result.stderr
    assert path.read_bytes() == content


# -- how it is called ------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["nowhere", "notes.md", "--wrong", "-"])
def test_a_mistake_in_the_call_is_found_before_any_file_is_touched(
    policies: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    before = _contents(policies)
    monkeypatch.chdir(policies)

    assert _run(policies, wrong).exit_code == 2

    assert _contents(policies) == before


def test_a_directory_without_policies_is_a_mistake_and_no_success(tmp_path: Path) -> None:
    """Else a wrong path in a pipeline would pass for ever."""
    result = _run("--check", tmp_path)

    assert result.exit_code == 2
    assert "there is no `.policy` file in" in result.stderr


def test_without_paths_it_says_how_to_call_it() -> None:
    assert _run().exit_code == 2


def test_help_has_an_example() -> None:
    result = _run("--help")

    assert result.exit_code == 0
    assert "pdp fmt --check policies/" in result.stdout


def test_a_file_that_is_named_twice_is_formatted_once(policies: Path) -> None:
    result = _run(policies, policies / "team", policies / "team" / "untidy.policy")

    assert result.stderr == "1 file changed, 1 file left as it was\n"


# -- standard input --------------------------------------------------------------------


def test_standard_input_goes_to_standard_output() -> None:
    result = _run("-", stdin=UNTIDY)

    assert (result.exit_code, result.stdout, result.stderr) == (0, TIDY, "")


def test_a_mistake_in_standard_input_writes_nothing_to_standard_output() -> None:
    result = _run("-", stdin=BROKEN)

    assert (result.exit_code, result.stdout) == (3, "")
    assert "<standard input>:2:9: error[PDP101]" in result.stderr


def test_standard_input_is_checked_like_a_file() -> None:
    result = _run("--check", "-", stdin=UNTIDY)

    assert result.exit_code == 1
    assert '-  host "s"   # why\n' in result.stdout
    assert _run("--check", "-", stdin=TIDY).exit_code == 0


def test_standard_input_is_read_up_to_the_bound() -> None:
    result = _run("-", stdin=b" " * (MAX_FILE_BYTES + 1))

    assert (result.exit_code, result.stdout) == (3, "")
    assert f"more than {MAX_FILE_BYTES} bytes" in result.stderr


# -- JSON ------------------------------------------------------------------------------


def test_json_says_everything_in_one_object(policies: Path) -> None:
    broken = policies / "broken.policy"
    broken.write_text(BROKEN)

    result = _run("--check", "--json", policies)

    said = json.loads(result.stdout)
    files = {Path(file["path"]).name: file for file in said["files"]}
    assert result.exit_code == 3
    assert (said["changed"], said["would_change"], said["unchanged"], said["failed"]) == (0, 1, 1, 1)
    assert {name: file["outcome"] for name, file in files.items()} == {
        "broken.policy": "failed", "tidy.policy": "unchanged", "untidy.policy": "would_change",
    }  # fmt: skip
    assert '+    host "s"  # why\n' in files["untidy.policy"]["diff"]
    assert files["broken.policy"]["diagnostics"][0] == {
        "code": "PDP101",
        "severity": "error",
        "message": "unexpected `too`",
        "label": "",
        "help": "did you mean `to`?",
        "file": str(broken),
        "line": 2,
        "column": 9,
        "end_line": 2,
        "end_column": 12,
        "related": [],
    }


def test_json_of_standard_input_holds_the_text() -> None:
    said = json.loads(_run("--json", "-", stdin=UNTIDY).stdout)

    assert said["files"][0]["text"] == TIDY
    assert said["files"][0]["outcome"] == "changed"


# -- files -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_permissions_stay_and_nothing_is_left_behind(policies: Path, mode: int) -> None:
    path = policies / "team" / "untidy.policy"
    path.chmod(mode)

    _run(path)

    assert path.read_text() == TIDY
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert [entry.name for entry in path.parent.iterdir()] == ["untidy.policy"]


def test_a_link_that_is_named_is_followed_and_stays_a_link(policies: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.policy"
    link.symlink_to(policies / "team" / "untidy.policy")

    assert _run(link).exit_code == 0

    assert link.is_symlink()
    assert (policies / "team" / "untidy.policy").read_text() == TIDY


def test_a_link_that_leaves_what_was_named_is_not_followed(policies: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.policy"
    outside.write_text(UNTIDY)
    (policies / "link.policy").symlink_to(outside)
    (policies / "folder").symlink_to(tmp_path)

    result = _run(policies)

    assert result.exit_code == 3
    assert "this symbolic link leaves the policy directory" in result.stderr
    assert outside.read_text() == UNTIDY
    assert (policies / "team" / "untidy.policy").read_text() == TIDY


def test_a_file_that_somebody_else_writes_meanwhile_is_theirs(
    policies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = policies / "team" / "untidy.policy"
    format_source = fmt_module.format_source

    def slow(source: fmt_module.Source) -> object:
        path.write_text("theirs")
        return format_source(source)

    monkeypatch.setattr(fmt_module, "format_source", slow)

    result = _run(path)

    assert result.exit_code == 3
    assert "somebody else changed the file meanwhile" in result.stderr
    assert path.read_text() == "theirs"
    assert [entry.name for entry in path.parent.iterdir()] == ["untidy.policy"]


def test_a_full_disk_leaves_the_old_text_and_no_rubbish(
    policies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = policies / "team" / "untidy.policy"

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rewrite_module.os, "fsync", full)

    result = _run(path)

    assert result.exit_code == 3
    assert "this file cannot be rewritten: no space left on device" in result.stderr
    assert path.read_text() == UNTIDY
    assert [entry.name for entry in path.parent.iterdir()] == ["untidy.policy"]


def test_what_is_no_regular_file_is_refused(policies: Path) -> None:
    os.mkfifo(policies / "pipe.policy")

    result = _run(policies)

    assert result.exit_code == 3
    assert "a pipe, socket or device" in result.stderr


def test_our_own_bug_costs_one_file_and_ends_in_3(policies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    format_source = fmt_module.format_source

    def buggy(source: fmt_module.Source) -> object:
        if source.path.endswith("tidy.policy") and "untidy" not in source.path:
            raise RecursionError("too deep")
        return format_source(source)

    monkeypatch.setattr(fmt_module, "format_source", buggy)

    result = _run(policies)

    assert result.exit_code == 3
    assert "this is a bug of pdp, please report it; the file is untouched: RecursionError" in result.stderr
    assert "Traceback" not in result.output
    assert (policies / "team" / "untidy.policy").read_text() == TIDY


def test_nothing_in_a_policy_reaches_the_terminal_unescaped(policies: Path) -> None:
    path = policies / "team" / "untidy.policy"
    path.write_text(UNTIDY.replace("why", "\x1b[31m\u202e"))

    result = _run("--check", path)

    assert result.exit_code == 3
    assert "\x1b" not in result.output
    assert "\u202e" not in result.output
    assert "\\u{1b}[31m\\u{202e}" in result.stderr


def test_the_real_process_exits_as_promised(policies: Path) -> None:
    codes = [
        subprocess.run(
            [sys.executable, "-m", "pdp.cli.main", "fmt", *args],
            cwd=policies,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=False,
        ).returncode
        for args in (["--check", "."], ["."], ["--check", "."], ["--wrong"], ["/nowhere"])
    ]

    assert codes == [1, 0, 0, 2, 2]
