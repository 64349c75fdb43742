"""The options of the processes that serve metrics on a port of their own."""

from typing import TYPE_CHECKING, Annotated

import typer

from outbox.cli.errors import Code, Stop

if TYPE_CHECKING:
    from outbox.metrics.registry import Metrics
    from outbox.metrics.server import MetricsServer

PortOption = Annotated[
    int | None,
    typer.Option(
        "--metrics-port", min=1, max=65535, metavar="N", help="Serve metrics for Prometheus there."
    ),
]
HostOption = Annotated[
    str, typer.Option("--metrics-host", help="The address that --metrics-port is of.")
]
LOCAL = "127.0.0.1"


def metrics_of(process: str) -> "Metrics":
    """The metrics of a sort of process. Raises Stop without the package that they need."""
    try:
        from outbox.metrics.processes import PROCESSES
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        hint = "--metrics-port needs prometheus-client: pip install 'duly[metrics]'"
        raise Stop(hint, Code.USAGE) from None
    return PROCESSES[process]()


def serve(metrics: "Metrics", host: str, port: int) -> "MetricsServer":
    """Serve them from now on. Raises Stop if nothing can listen there."""
    from outbox.metrics.server import MetricsServer

    try:
        return MetricsServer(metrics, host, port)
    except OSError as error:
        why = error.strerror or str(error)
        raise Stop(f"no metrics can be served on {host}:{port}: {why}") from None
