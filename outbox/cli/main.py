"""The command line: all commands of `duly`. docs/reference.md has their options and exit codes."""

import sys
from importlib import import_module

import typer

EXIT_CODES = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage or setting, 3 nothing matched, 4 partly done, "
    "69 Postgres cannot be reached, 130 interrupted."
)
SINGLE = {
    "processes": {
        "api": "Serve the HTTP API until SIGTERM or Ctrl-C.",
        "relay": "Publish due jobs, collect dead letters, rescue jobs of dead workers, "
        "delete old jobs.",
        "worker": "Run jobs until SIGTERM or Ctrl-C; then finish running jobs or hand them back.",
    },
    "migrate": {
        "migrate": "Bring the database up to date. Any number may start at once: they take turns."
    },
    "status": {
        "status": "Show queues, workers and overdue jobs. Exits with 1 if something is down."
    },
}
"""Modules, and their commands with the help that `duly --help` shows."""
GROUPS = {
    "jobs": "Submit, list, show, cancel and watch jobs.",
    "dlq": "List, show, replay and discard dead letters.",
    "keys": "Create, list and revoke API keys.",
    "acts": "List and show what people did, and why.",
}
"""Groups of commands, each in the module of its name."""


def commands(wanted: str | None = None) -> typer.Typer:
    """The command line. It imports the command `wanted`, or all of them for None.

    Of the others it has only names and help: importing them all takes longer than most of them run.
    """
    app = typer.Typer(
        name="duly",
        help="Jobs that must not get lost. Data goes to stdout, messages to stderr.",
        epilog=EXIT_CODES,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
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


def run() -> None:
    """Run the command named in `sys.argv`, and exit with one of `errors.Code`."""
    wanted = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    try:
        commands(wanted)()
    except Exception as error:
        from outbox.cli.errors import EXPECTED, explain
        from outbox.cli.terminal.output import print_message

        if not isinstance(error, EXPECTED):
            raise
        stop = explain(error)
        print_message(str(stop))
        sys.exit(stop.code)
