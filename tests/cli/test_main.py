"""`pdp` itself: the list of commands, and that nothing but an answer ends with 0 or 1."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.example import ROOT, policies, process, run

COMMANDS = ("bench", "check", "config", "decide", "fmt", "identity", "pki", "quarantine", "serve", "test")


def test_help_lists_every_command_on_one_line() -> None:
    done = run("--help")

    listed = done.stdout.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert done.exit_code == 0
    assert [line.split()[0] for line in listed] == list(COMMANDS)


def test_help_loads_no_command_and_not_the_compiler() -> None:
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print([m for m in sys.modules if m.startswith(('pdp.', 'rich', 'lark'))]))\n"
        "from pdp.cli.main import main; main()"
    )

    loaded = process("--help", code=code).stdout.decode().splitlines()[-1]

    assert sorted(json.loads(loaded.replace("'", '"'))) == ["pdp.cli", "pdp.cli.main"]


@pytest.mark.parametrize("command", ["check", "decide", "fmt", "identity", "pki", "quarantine", "test"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    done = run(command, "--help")

    assert done.exit_code == 0
    assert f"pdp {command}" in done.stdout.partition("Example:\n")[2]


def test_the_line_of_the_list_says_what_the_commands_own_help_says() -> None:
    for command in ("check", "decide", "fmt", "test"):
        listed = next(line for line in run("--help").stdout.splitlines() if line.strip().startswith(command))
        assert listed.split(maxsplit=1)[1] in run(command, "--help").stdout


def test_shells_can_complete_commands() -> None:
    done = process(_PDP_COMPLETE="bash_complete", COMP_WORDS="pdp de", COMP_CWORD="1")

    assert done.stdout.splitlines() == [b"plain,decide"]


def test_version() -> None:
    assert process("--version").stdout == b"pdp 0.1.0\n"


@pytest.mark.parametrize(
    "arguments",
    [(), ("nonsense",), ("--nonsense",), ("check",), ("check", "/nonexistent"), ("check", ".", "x")],
)
def test_a_mistake_in_the_call_ends_with_2(arguments: tuple[str, ...]) -> None:
    done = process(*arguments)

    assert done.returncode == 2
    assert done.stdout == b""
    assert b"Usage: pdp" in done.stderr


DEFECT = "from pdp.cli import main, check; check.load = lambda *_: {call}; main.main()"


def test_a_defect_is_one_line_and_ends_with_3(tmp_path: Path) -> None:
    code = DEFECT.format(call="exec('raise ValueError(chr(27) + chr(10) + chr(0x202e))')")

    done = process("check", tmp_path, code=code)

    assert done.returncode == 3
    assert done.stdout == b""
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("error: this is a defect of pdp, please report it: ValueError: ")
    assert line.isprintable()
    assert line.isascii()


@pytest.mark.parametrize("call", ["(lambda f: f(f))(lambda f: f(f))", "[][0]", "exec('raise MemoryError')"])
def test_whatever_fails_in_us_ends_with_3(tmp_path: Path, call: str) -> None:
    done = process("check", tmp_path, code=DEFECT.format(call=call))

    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1


def test_the_traceback_is_shown_to_those_who_ask_for_it(tmp_path: Path) -> None:
    done = process("check", tmp_path, code=DEFECT.format(call="[][0]"), PDP_DEBUG="1")

    assert done.returncode == 3
    assert b"Traceback (most recent call last)" in done.stderr
    assert done.stderr.splitlines()[-1].startswith(b"error: this is a defect of pdp")


def test_a_command_without_its_module_fails_alone() -> None:
    code = "import sys; sys.modules['pdp.cli.check'] = None; from pdp.cli.main import main; main()"

    missing, other = process("check", ".", code=code), process("--help", code=code)

    assert missing.returncode == 3
    assert missing.stderr == b"Error: `pdp check` cannot be run: its part `pdp.cli.check` is not installed\n"
    assert other.returncode == 0


def test_an_error_of_click_that_is_no_mistake_in_the_call_ends_with_3(tmp_path: Path) -> None:
    call = 'exec(\'import click; raise click.FileError("x", hint="gone")\')'

    done = process("check", tmp_path, code=DEFECT.format(call=call))

    assert done.returncode == 3
    assert b"Traceback" not in done.stderr


def _heed_interrupts() -> None:
    """What is started in the background of a shell inherits that interrupts are ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_control_c_ends_with_130(tmp_path: Path) -> None:
    folder = policies(tmp_path / "set")
    command = [
        sys.executable,
        "-c",
        "from pdp.cli.main import main; main()",
        "decide",
        folder,
        "--batch",
        "-",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command,
        stdin=-1,
        stdout=-1,
        stderr=-1,
        env=environment,
        preexec_fn=_heed_interrupts,  # noqa: PLW1509 - tests have no threads
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(b"{}\n" * 20_000)  # until an answer comes out, it is not yet reading
        running.stdin.flush()
        assert running.stdout.readline().startswith(b'{"error"')
        time.sleep(0.2)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=30)

    assert running.returncode == 130
    assert b"Traceback" not in said


@pytest.mark.parametrize(
    "command", [("check", "--json"), ("test", "--json"), ("decide", "--batch", "/dev/stdin")]
)
def test_a_reader_that_has_enough_gets_no_message_and_no_answer(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    """The code is neither 0 nor 1: whoever reads it must not take it for yes or no."""
    rules = "".join(f"    deny anyone to GET /x{n} until 2030-01-01 as r{n}\n" for n in range(2000))
    cases = "".join(f"    deny anonymous GET big /x{n}\n" for n in range(2000))
    text = f'language 1\nservice big {{\n{rules}}}\ntest "t" {{\n{cases}}}\n'
    folder = policies(tmp_path / "set", big=text)
    name, *rest = command
    running = subprocess.Popen(
        [sys.executable, "-c", "from pdp.cli.main import main; main()", name, folder, *rest],
        stdin=-1, stdout=-1, stderr=-1, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    with running:
        assert running.stdout is not None
        assert running.stdin is not None
        running.stdout.close()
        try:
            running.stdin.write(b"{}\n" * 20_000)
            running.stdin.close()
        except BrokenPipeError:
            pass  # it ended before it had read everything
        assert running.stderr is not None
        said = running.stderr.read()
        running.wait(timeout=60)

    assert (running.returncode, said) == (141, b"")


def test_what_the_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    folder = policies(tmp_path / "set", bad="language 1\nservice → { }\n")

    done = process("check", folder, PYTHONIOENCODING="latin-1")

    assert done.returncode == 1
    assert b"unexpected `\\u2192`" in done.stdout


def test_arguments_that_are_no_text_are_a_question_of_their_own(tmp_path: Path) -> None:
    folder = policies(tmp_path / "set")
    code = "import sys, os; sys.argv += [os.fsdecode(b'\\xff')]; from pdp.cli.main import main; main()"

    done = process(
        "decide",
        folder,
        "--principal",
        "anonymous",
        "--service",
        "payments",
        "--method",
        "GET",
        "--path",
        code=code,
    )

    assert done.returncode == 1
    assert b"the path is ambiguous" in done.stdout


def test_colour_is_for_terminals(tmp_path: Path) -> None:
    folder = policies(tmp_path / "set", bad="language 1\nnonsense\n")
    plain = process("check", folder).stdout
    coloured = process("check", folder, FORCE_COLOR="1", TERM="xterm").stdout
    without = process("check", folder, FORCE_COLOR="1", TERM="xterm", NO_COLOR="1").stdout

    assert b"\x1b[" not in plain
    assert b"\x1b[1;31m error[PDP101]:\x1b[0m" in coloured
    assert b"\x1b[1;31m  | ^^^^^^^^" in coloured
    assert b"31m" not in without


def test_policy_text_cannot_colour_or_move_anything(tmp_path: Path) -> None:
    folder = policies(
        tmp_path / "set", bad='language 1\nservice a { allow "\x1b[2J\u202e[red]" to GET /x }\n'
    )

    for environment in ({}, {"FORCE_COLOR": "1", "TERM": "xterm", "NO_COLOR": "1"}):
        shown = process("check", folder, **environment).stdout.decode()
        assert "\x1b[2J" not in shown
        assert "\u202e" not in shown
        assert "[red]" in shown


def test_the_example_of_the_help_is_what_the_readme_promises() -> None:
    assert "Exit codes: 0 yes, 1 no, 2 called wrongly, 3 could not answer." in run("--help").stdout
