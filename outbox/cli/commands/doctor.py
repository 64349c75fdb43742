"""`duly doctor`: checks the set-up, and names what to change."""

from collections.abc import Sequence
from dataclasses import asdict

import typer

from outbox.cli.app import app
from outbox.cli.errors import Code, Stop
from outbox.cli.terminal.output import Output, OutputOption, show_rows
from outbox.doctor import Finding, Level, examine

commands = typer.Typer()

COLUMNS = ("check", "level", "found", "change")


@commands.command("doctor")
def find_what_is_wrong(*, output: OutputOption = Output.TABLE) -> None:
    """Check the set-up, and name what to change. Exits with 1 on errors, with 4 on warnings."""
    findings = examine(app().setup(with_actors=True))
    show_rows([asdict(each) for each in findings], COLUMNS, output)
    _stop(findings)


def _stop(findings: Sequence[Finding]) -> None:
    errors, warnings = (
        sum(each.level is level for each in findings) for level in (Level.ERROR, Level.WARNING)
    )
    if errors or warnings:
        code = Code.FAILED if errors else Code.PARTLY
        raise Stop(f"{errors} errors, {warnings} warnings: see docs/doctor.md", code)
