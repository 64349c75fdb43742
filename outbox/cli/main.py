"""The command line: all commands of `duly`. docs/reference.md has their options and exit codes."""

import os
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

NAME = "duly"
COMPLETING = "_DULY_COMPLETE"
"""The variable by which a shell asks for completions."""

EXIT_CODES = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage or setting, 3 nothing matched, 4 partly done, "
    "69 Postgres cannot be reached, 124 time is over, 130 interrupted."
)
SINGLE = {
    "processes": {
        "api": "Serve the HTTP API until SIGTERM or Ctrl-C.",
        "relay": "Publish due jobs, collect dead letters, rescue and delete jobs.",
        "worker": "Run jobs until SIGTERM or Ctrl-C. Running jobs then finish, or are handed back.",
    },
    "migrate": {
        "migrate": "Bring the database up to date. Any number may start at once: they take turns."
    },
    "doctor": {
        "doctor": "Check the set-up, and name what to change. Exits with 1 on errors, with 4 on "
        "warnings."
    },
    "status": {
        "status": "Show queues, workers and overdue jobs. Exits with 1 if something is down."
    },
}
"""Modules, and their commands with the help that `duly --help` shows."""
GROUPS = {
    "jobs": "Submit, list, show, cancel, reschedule, watch and wait for jobs.",
    "batches": "Make batches and add to them; list, show, seal and cancel them.",
    "dlq": "List, show, replay and discard dead letters.",
    "events": "List messages to other services, and send them again.",
    "schedules": "List, show, create, edit, pause, run and delete schedules.",
    "queues": "List, pause and resume queues.",
    "keys": "Create, list and revoke API keys.",
    "limits": "List, set and clear limits of keys.",
    "acts": "List and show what people did, and why.",
    "monitoring": "Print the alert rules for Prometheus, and the dashboard for Grafana.",
}
"""Groups of commands, each in the module of its name."""


def commands(wanted: str | None = None) -> typer.Typer:
    """The command line. It imports the command `wanted`, or all of them for None.

    Of the others it has only names and help: importing them all takes longer than most of them run.
    """
    app = typer.Typer(
        name=NAME,
        help="Jobs that must not get lost. Data goes to stdout, messages to stderr.",
        epilog=EXIT_CODES,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        callback=_options,
    )
    for module, names in SINGLE.items():
        _add(app, module, names, whole=wanted is None or wanted in names)
    for group, summary in GROUPS.items():
        _add(app, group, {group: summary}, whole=wanted in (None, group), name=group)
    return app


def _add(
    app: typer.Typer, module: str, names: dict[str, str], *, whole: bool, name: str | None = None
) -> None:
    if whole:
        app.add_typer(import_module(f"outbox.cli.commands.{module}").commands, name=name)
        return
    for command, summary in names.items():
        app.command(command, help=summary)(_not_imported)


def _not_imported() -> None:
    raise RuntimeError("this command was not imported, as sys.argv does not name it")


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer passes it by position
    if wanted:
        typer.echo(f"{NAME} {_version()}")
        raise typer.Exit


def _options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version."),
    ] = False,
) -> None:
    """Take the options of `duly` itself."""


def _version() -> str:
    try:
        return version(NAME)
    except PackageNotFoundError:
        return "(not installed, so without a version)"


def run() -> None:
    """Run the command named in `sys.argv`, and exit with one of `errors.Code`."""
    try:
        sys.exit(commands(_wanted())(prog_name=NAME, standalone_mode=False))
    except Exception as error:
        from outbox.cli.errors import EXPECTED, explain, is_help
        from outbox.cli.terminal.output import print_message

        if not isinstance(error, EXPECTED):
            raise
        if is_help(error):
            typer.echo(error.format_message(), err=True)
            sys.exit(error.exit_code)
        stop = explain(error)
        print_message(str(stop))
        sys.exit(stop.code)


def _wanted() -> str:
    """The command in `sys.argv`, or in the line that a shell wants completed; empty if none."""
    words = sys.argv
    if COMPLETING in os.environ:
        line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS", "")
        words = line.split()
    return next((word for word in words[1:] if not word.startswith("-")), "")
