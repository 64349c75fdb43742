"""The options of the processes that serve metrics on a port of their own."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outbox.cli.errors import Code, Stop
from outbox.kinds import Kind

if TYPE_CHECKING:
    from outbox.metrics.registry import Metrics

AnyKind = Kind[..., Any]
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
NEEDED = "--metrics-port needs prometheus-client: pip install 'duly[metrics]'"


def serve_of_relay(host: str, port: int | None, kinds: Iterable[AnyKind]) -> None:
    """Serve a relay's metrics, if there is a port. Raises Stop."""
    if port is not None:
        _require_package()
        from outbox.metrics.processes import RelayMetrics

        metrics = RelayMetrics()
        metrics.begin_at_zero(kinds)
        serve(metrics, host, port)


def serve_of_worker(
    host: str, port: int | None, kinds: Iterable[AnyKind]
) -> Callable[[Any], object]:
    """Serve a worker's metrics, if there is a port; returns what is to be told of the worker.

    Raises Stop.
    """
    if port is None:
        return lambda _: None
    _require_package()
    from outbox.metrics.processes import WorkerMetrics

    metrics = WorkerMetrics()
    metrics.begin_at_zero(kinds)
    serve(metrics, host, port)
    return metrics.state.watch


def serve(metrics: "Metrics", host: str, port: int) -> None:
    """Serve them until the process ends. Raises Stop if nothing can listen there."""
    from outbox.metrics.server import MetricsServer

    try:
        MetricsServer(metrics, host, port)
    except OSError as error:
        why = error.strerror or str(error)
        raise Stop(f"no metrics can be served on {host}:{port}: {why}") from None


def _require_package() -> None:
    try:
        import prometheus_client  # noqa: F401 - only whether it is there
    except ModuleNotFoundError:
        raise Stop(NEEDED, Code.USAGE) from None
