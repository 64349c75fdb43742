"""Has a process trace with OpenTelemetry, where its settings say so."""

from collections.abc import Callable

from outbox.tracing.tracer import Address, install, installed

MISSING = "DULY_TRACES: OpenTelemetry is not installed here: pip install 'duly[traces]'"


def check() -> None:
    """Raise ValueError, in one line, if a process could not trace."""
    from outbox.tracing.otel import environment

    environment.drop_empty()
    environment.check()
    try:
        from outbox.tracing.otel import provider  # noqa: F401 - is it installed?
    except ModuleNotFoundError as error:
        if error.name and not error.name.startswith("opentelemetry"):
            raise
        raise ValueError(MISSING) from None


def start(service: str, broker: Address | None = None) -> Callable[[], None]:
    """Trace from now on, as this service if OTEL_SERVICE_NAME does not say another.

    `broker` is RabbitMQ's address, which spans of sending and of attempts then name.

    Returns what ends that: it sends what has ended, and takes a second at most. Spans that have not
    ended are lost then, and all of them if the process dies. Raises ValueError as `check`. If the
    process traces already, nothing changes.
    """
    check()
    from outbox.tracing.otel import environment, provider

    if installed() is not None or environment.is_disabled():
        return _nothing
    tracer, flush = provider.start(service, broker)
    install(tracer)

    def stop() -> None:
        install(None)
        flush()

    return stop


def _nothing() -> None:
    """Nothing was started here."""
