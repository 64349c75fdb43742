"""Traces of the processes that the command line starts."""

from collections.abc import Callable

from outbox.cli.app import settings
from outbox.cli.errors import Code, Stop
from outbox.tracing import start as tracing


def check_traces() -> None:
    """Check that this process can trace, if it is to. Raises Stop."""
    if settings().traces:
        try:
            tracing.check()
        except ValueError as error:
            raise Stop(str(error), Code.USAGE) from None


def start_traces(service: str, amqp_url: str) -> Callable[[], None]:
    """Trace from now on, if the settings say so; returns what ends that. Raises Stop."""
    from outbox.amqp.connection import only_node

    if not settings().traces:
        return _nothing
    try:
        return tracing.start(service, only_node(amqp_url))
    except ValueError as error:
        raise Stop(str(error), Code.USAGE) from None


def _nothing() -> None:
    """Nothing was started."""
