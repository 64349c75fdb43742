"""What of a request's headers goes on to the services that its handler calls."""

from opentelemetry.propagate import set_global_textmap
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from outbox.tracing.otel import environment


def pass_no_baggage() -> None:
    """Let instrumentations read and pass on the trace, and no baggage: others write that.

    Unless OTEL_PROPAGATORS says what is to be passed on.
    """
    if not environment.value(environment.PROPAGATORS):
        set_global_textmap(TraceContextTextMapPropagator())
