"""The trace that a message belongs to, as W3C Trace Context has it."""

import re
import sys
from importlib import import_module
from uuid import UUID

from outbox.tracing.tracer import installed

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
FORMAT = re.compile("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
LONGEST_STATE = 512


def checked(traceparent: str | None, tracestate: str | None) -> dict[str, str]:
    """The headers that were given. Raises ValueError if they are not W3C's."""
    if traceparent is None:
        if tracestate is not None:
            raise ValueError("a tracestate needs its traceparent")
        return {}
    if not FORMAT.fullmatch(traceparent):
        raise ValueError("the traceparent is not <version>-<trace id>-<parent id>-<flags>")
    if tracestate is None:
        return {TRACEPARENT: traceparent}
    if not (tracestate.isascii() and tracestate.isprintable() and len(tracestate) <= LONGEST_STATE):
        raise ValueError(f"a tracestate is up to {LONGEST_STATE} printable ASCII characters")
    return {TRACEPARENT: traceparent, TRACESTATE: tracestate}


def current(exchange: str, routing_key: str, message_id: UUID) -> dict[str, str]:
    """The headers of a span that says that the message was made, if this process traces.

    Otherwise those of OpenTelemetry's current span, if the app uses OpenTelemetry and has one.
    """
    if (tracer := installed()) is not None:
        creation = tracer.create()
        creation.of_message(exchange, routing_key, str(message_id))
        return creation.headers()
    if "opentelemetry.trace" not in sys.modules:
        return {}
    context = import_module("opentelemetry.trace.propagation.tracecontext")
    carrier: dict[str, str] = {}
    context.TraceContextTextMapPropagator().inject(carrier)
    return carrier
