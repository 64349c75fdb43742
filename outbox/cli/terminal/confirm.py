"""Asks before something is done to many things at once."""

import sys
from typing import Annotated

import typer

from outbox.cli.errors import Code, Stop

DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Only print how many match, and the first ten.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


def confirm(act: str, count: int, things: str) -> None:
    """Return if the person says yes. Raises Stop if not, and where nobody can be asked."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Stop(f"{count} {things} match: add --yes to {act} them", Code.USAGE)
    if not _says_yes(f"{act.capitalize()} {count} {things}?"):
        raise Stop("nothing was done")


def _says_yes(question: str) -> bool:
    """Whether the person says yes. Ctrl-C and Ctrl-D say no."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        typer.echo(err=True)
        return False
