"""The command `pdp`: which commands there are, and how each of them can end.

Commands are loaded when they are used, so that `pdp --help` is quick and a part that cannot be
loaded fails alone. `main` is the console's entry: it makes sure that nothing but an answer
ever ends with 0 or 1, and that no traceback reaches anybody who did not ask for it.
"""

import os
import sys
import traceback
from importlib import import_module
from types import MappingProxyType
from typing import Final, NamedTuple, NoReturn, final

import click

from pdp import __version__

__all__ = ["cli", "main"]

_CANNOT: Final = 3  # pdp.cli.output.ExitCode, which would load the compiler with it
_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells count
_COMPLETION: Final = "_PDP_COMPLETE"  # set by the shell functions that click makes
_PIPE_CLOSED: Final = 141  # 128 + SIGPIPE

_EXAMPLE: Final = """\b
Example:
  pdp check policies/
  pdp test policies/
  pdp decide policies/ --principal spiffe://prod.example.org/ns/shop/sa/web \\
      --service payments --method POST --path /v1/charges

Exit codes: 0 yes, 1 no, 2 called wrongly, 3 could not answer.
"""


class _Command(NamedTuple):
    module: str
    attribute: str
    help: str


_COMMANDS: Final = MappingProxyType(
    {
        "bench": _Command("pdp.cli.bench", "bench", "Measure decisions of a policy set on this machine."),
        "check": _Command("pdp.cli.check", "check", "Say everything wrong or doubtful in a policy set."),
        "config": _Command("pdp.cli.config", "config", "Check the settings of the service."),
        "decide": _Command(
            "pdp.cli.decide", "decide_command", "Decide one request, or a file of them, offline."
        ),
        "fmt": _Command("pdp.cli.fmt", "fmt", "Bring policy files into the one layout."),
        "identity": _Command("pdp.cli.identity", "identity", "Say what an ID or a certificate comes to."),
        "pki": _Command("pdp.cli.pki", "pki", "Make and renew certificates for development."),
        "quarantine": _Command(
            "pdp.cli.quarantine", "quarantine", "Say which identities are believed no more."
        ),
        "serve": _Command("pdp.cli.serve", "serve", "Answer decisions over HTTP."),
        "test": _Command("pdp.cli.test", "test_command", "Run the tests that stand beside the policies."),
    }
)


@final
class _LazyGroup(click.Group):
    """A group whose commands are imported by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, without loading one."""
        del ctx
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, loaded now."""
        del ctx
        known = _COMMANDS.get(cmd_name)
        if known is None:
            return None
        try:
            command = getattr(import_module(known.module), known.attribute)
        except ModuleNotFoundError as error:
            raise _NotInstalledError(cmd_name, error.name or "") from error
        if not isinstance(command, click.Command):
            raise TypeError(f"{known.module}.{known.attribute} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line each, from the table."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, known.help) for name, known in sorted(_COMMANDS.items())])


@final
class _NotInstalledError(click.ClickException):
    """A command of which a part is not installed."""

    exit_code = _CANNOT

    def __init__(self, command: str, module: str) -> None:
        super().__init__(f"`pdp {command}` cannot be run: its part `{module}` is not installed")


@click.group(cls=_LazyGroup, epilog=_EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pdp", message="%(prog)s %(version)s")
def cli() -> None:
    """A policy decision point for service-to-service calls."""


def main() -> NoReturn:
    """The console's entry. Exits with the code of `pdp.cli.output.ExitCode`, 130 or 141."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # What the terminal cannot show is escaped rather than ending the command.
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read us has enough. Nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = _PIPE_CLOSED
    sys.exit(code)


def _run() -> int:
    if _COMPLETION in os.environ:
        cli.main(prog_name="pdp")  # ends here; nobody reads its exit code
    try:
        # Not `cli.main`: it makes 1 of a closed pipe, which would be an answer.
        with cli.make_context("pdp", sys.argv[1:]) as context:
            cli.invoke(context)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else _CANNOT
    except (KeyboardInterrupt, click.Abort):
        return _INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code if error.exit_code != 1 else _CANNOT
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 -- ours, whatever it is: it must not look like an answer
        _show_defect(error)
        return _CANNOT
    return 0


def _show_defect(error: Exception) -> None:
    if os.environ.get("PDP_DEBUG") == "1":
        traceback.print_exception(error)
    said = " ".join(str(error).split())
    name = type(error).__name__
    what = f"{name}: {said}" if said else name
    # ascii(): an exception may hold anything, policy text included.
    click.echo(f"error: this is a defect of pdp, please report it: {ascii(what)[1:-1]}", err=True)


if __name__ == "__main__":
    main()
