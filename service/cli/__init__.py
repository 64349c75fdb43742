"""The management command `duly`. Its commands, options and exit codes: docs/reference.md."""

import sys

import typer

from service.cli import acts, dlq, jobs, keys, migrate, processes, status
from service.cli.errors import EXPECTED, explain
from service.cli.output import talk

EXIT_CODES = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage or setting, 3 nothing matched, 4 partly done, "
    "69 Postgres cannot be reached, 130 interrupted."
)

app = typer.Typer(
    name="duly",
    help="Jobs that must not get lost. Data goes to stdout, talk to stderr.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(processes.app)
app.add_typer(migrate.app)
app.add_typer(status.app)
app.add_typer(jobs.app, name="jobs")
app.add_typer(dlq.app, name="dlq")
app.add_typer(keys.app, name="keys")
app.add_typer(acts.app, name="acts")


def main() -> None:
    """Run the command that the process was started with, and exit with one of `errors.Code`."""
    try:
        app()
    except EXPECTED as error:
        stop = explain(error)
        talk(str(stop))
        sys.exit(stop.code)
