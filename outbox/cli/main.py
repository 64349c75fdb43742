"""All commands of `duly`. Their options and exit codes: docs/reference.md."""

import sys
from importlib import import_module

import typer

EXIT_CODES = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage or setting, 3 nothing matched, 4 partly done, "
    "69 Postgres cannot be reached, 130 interrupted."
)
SINGLE = {
    "processes": {
        "api": "Serve the HTTP API, until SIGTERM or Ctrl-C.",
        "relay": "Publish what waits, collect dead letters, rescue jobs of dead workers, "
        "delete old ones.",
        "worker": "Do jobs, until SIGTERM or Ctrl-C; what runs then is finished or handed back.",
    },
    "migrate": {
        "migrate": "Bring the database up to date. Any number may start at once: they take turns."
    },
    "status": {
        "status": "Show queues, workers and what is overdue. Exits with 1 where a process is "
        "missing."
    },
}
"""Modules, and their commands with what `duly --help` says of each."""
GROUPS = {
    "jobs": "Submit, list, show, cancel and watch jobs.",
    "dlq": "List, show, replay and discard dead letters.",
    "keys": "Create, list and revoke API keys.",
    "acts": "List and show what people did, and why.",
}
"""Modules of the same name as their commands."""


def commands(wanted: str | None = None) -> typer.Typer:
    """The command line with the command `wanted`, or with all; of the others only the names.

    Importing them all takes longer than most of them run.
    """
    app = typer.Typer(
        name="duly",
        help="Jobs that must not get lost. Data goes to stdout, talk to stderr.",
        epilog=EXIT_CODES,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for module, names in SINGLE.items():
        _add(app, module, names, whole=wanted is None or wanted in names)
    for group, promise in GROUPS.items():
        _add(app, group, {group: promise}, whole=wanted in (None, group), name=group)
    return app


def _add(
    app: typer.Typer, module: str, names: dict[str, str], *, whole: bool, name: str | None = None
) -> None:
    if whole:
        app.add_typer(import_module(f"outbox.cli.commands.{module}").commands, name=name)
        return
    for command, promise in names.items():
        app.command(command, help=promise)(_not_loaded)


def _not_loaded() -> None:
    raise RuntimeError("a command is loaded by the name that the process was started with")


def run() -> None:
    """Run the command that the process was started with, and exit with one of `errors.Code`."""
    wanted = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    try:
        commands(wanted)()
    except Exception as error:
        from outbox.cli.errors import EXPECTED, explain
        from outbox.cli.terminal.output import talk

        if not isinstance(error, EXPECTED):
            raise
        stop = explain(error)
        talk(str(stop))
        sys.exit(stop.code)
