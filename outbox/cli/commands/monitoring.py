"""`duly monitoring`: print what belongs to this version of Duly in Prometheus and Grafana."""

from typing import Annotated

import typer

from outbox import monitoring

commands = typer.Typer(
    help="Print the alert rules for Prometheus, and the dashboard for Grafana.",
    no_args_is_help=True,
)

RunbooksOption = Annotated[
    str | None,
    typer.Option(
        "--runbooks",
        metavar="ADDRESS",
        help="Where you keep a copy of docs/alerts.md, for runbook_url.",
    ),
]


@commands.command("alerts")
def print_alerts(*, runbooks: RunbooksOption = None) -> None:
    """Print the alert rules, for a file that Prometheus's rule_files names."""
    typer.echo(monitoring.alerts(runbooks), nl=False)


@commands.command("dashboard")
def print_dashboard() -> None:
    """Print the dashboard as JSON, for Grafana to import or provision."""
    typer.echo(monitoring.dashboard(), nl=False)
