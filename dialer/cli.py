"""``dialer``: puts the parts together. Each command is loaded when it is used.

Exit codes: 0 done, 1 failed, 2 asked wrongly (arguments or settings), 3 done in part,
130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from dialer.commands.exits import FAILED, INTERRUPTED, OK, USAGE

GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "Begin": {
        "init": ("init", "Make this installation: database, secrets, first company."),
        "doctor": ("doctor_cmd", "Check this machine and say what is missing."),
        "up": ("up", "Run everything on this machine."),
        "console": ("console", "Look at an installation in the browser."),
        "demo": ("demo", "Call made-up debtors on a simulated network and report."),
        "pci-scan": ("pci_scan", "Have cards keyed in, then look for them everywhere."),
    },
    "Debtors and campaigns": {
        "company": ("company", "Companies (creditors) that calls are made for."),
        "import": ("import_", "Bring debtors in from CSV or Excel files."),
        "dnc": ("dnc", "The do-not-call list."),
        "pool": ("pool", "Pools of caller IDs."),
        "campaign": ("campaign", "Make, start, pause, stop and explain campaigns."),
        "attempts": ("attempts", "What became of each call, one JSON line each."),
        "report": ("report", "A campaign in figures."),
        "agent": ("agent", "The people who take the calls."),
        "callback": ("agent", "Calls that were agreed upon."),
        "user": ("user", "Who may come into the console and the desk."),
        "api-key": ("api_key", "Keys for programs that use the API."),
        "payments": ("payments", "List, look up, refund, void and capture payments; the books."),
    },
    "What debtors hear": {
        "flow": ("flow", "Check, draw and try flows."),
        "prompts": ("prompts", "Render the spoken prompts."),
    },
    "Processes": {
        "engine": ("engine", "Place calls for the campaigns that are running."),
        "asterisk": ("switch", "Run Asterisk with the dialer's configuration."),
        "carrier": ("switch", "Run the simulated telephone network."),
        "redis": ("redis", "Run the embedded Redis."),
        "ivr": ("ivr", "Interpret flows for answered calls (FastAGI)."),
        "worker": ("worker", "Send messages, settle payments in doubt."),
        "web": ("web", "Serve webhooks and payment links."),
        "twilio-double": ("twilio_double", "Run the simulated Twilio."),
        "acquirer-double": ("acquirer_double", "Run the simulated acquirer."),
        "agents-double": ("agents_double", "Run simulated agents."),
    },
}
"""Section -> command -> (module of dialer.commands, help): known without importing anything."""

_COMMANDS = {name: entry for section in GROUPS.values() for name, entry in section.items()}


class LazyGroup(click.Group):
    """Imports the module of a command only when that command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of ``GROUPS``."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name in its module. Raises UsageError if it cannot be loaded."""
        if cmd_name not in _COMMANDS:
            return None
        module_name = f"dialer.commands.{_COMMANDS[cmd_name][0]}"
        try:
            module = importlib.import_module(module_name)
        except ImportError as error:
            missing = error.name or "a module"
            raise click.ClickException(
                f"`dialer {cmd_name}` cannot be loaded: {missing} is missing ({error})."
                " Run `make setup`, or install the package with its dependencies."
            ) from error
        for value in vars(module).values():
            if isinstance(value, click.Command) and value.name == cmd_name:
                return value
        raise click.ClickException(f"{module_name} has no command {cmd_name!r}")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by section, from ``GROUPS``."""
        for section, commands in GROUPS.items():
            with formatter.section(section):
                formatter.write_dl([(name, help_) for name, (_, help_) in commands.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="State folder of this installation (DIALER_HOME; default .dialer).",
)
@click.version_option(package_name="dialer", prog_name="dialer")
def cli(home: Path | None) -> None:
    """Call debtors through Asterisk, and answer those who pick up and hang up.

    \b
    Try it, without a telephone line:
      dialer demo

    \b
    Your own debtors:
      dialer init --company "Banco Uno" --country ES
      dialer import debtors.csv
      dialer campaign create campaign.yaml
      dialer campaign start june
      dialer up

    `dialer COMMAND --help` explains a command. Settings come from the environment (DIALER_*) and
    from config.yaml in the state folder.

    Exit codes: 0 done, 1 failed, 2 asked wrongly, 3 done in part.
    """
    if home is not None:
        # The environment, so that every setting and every child process sees the same one.
        os.environ["DIALER_HOME"] = str(home.expanduser().absolute())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; its exit code. Errors become one clear line on standard error."""
    try:
        returned = cli.main(args=arguments, prog_name="dialer", standalone_mode=False)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.UsageError as error:
        error.show()
        return USAGE
    except click.ClickException as error:
        error.show()
        return FAILED
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`): nothing is wrong, nothing more to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:
        return _explain(error)
    return returned if isinstance(returned, int) else OK


def _explain(error: Exception) -> int:
    """One line for people (several where several things are wrong); no traceback."""
    if os.environ.get("DIALER_LOG_LEVEL") == "debug":
        traceback.print_exception(error)
    kind = type(error)
    if kind.__module__.startswith(("dialer.", "agi_scripts.", "web.")):
        click.echo(f"error: {error}", err=True)  # our own errors are written for people
        return USAGE if kind.__name__ in ("ConfigError", "PlanError") else FAILED
    if kind.__module__.startswith("sqlalchemy."):
        click.echo(f"error: the database: {_database_says(error)}", err=True)
        return FAILED
    hint = "DIALER_LOG_LEVEL=debug shows where"
    click.echo(f"error: {kind.__name__}: {error} ({hint})", err=True)
    return FAILED


def _database_says(error: Exception) -> str:
    """The driver's own words, without the statement and its values (they may be personal)."""
    said = str(getattr(error, "orig", None) or error)
    return said.strip().splitlines()[0] if said.strip() else type(error).__name__


def main() -> None:
    """The entry of the program."""
    sys.exit(run())
