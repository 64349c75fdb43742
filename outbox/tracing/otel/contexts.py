"""Trace contexts as text, as a job's row and a message's headers hold them."""

from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

LONGEST = 199
"""Characters of a context in a job's row. A tracestate that does not fit is left out."""

_NAMES = ("traceparent", "tracestate")
_W3C = TraceContextTextMapPropagator()


def headers_of(span: trace.Span) -> dict[str, str]:
    """The span's context as W3C's headers; none if it has no valid one."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, trace.set_span_in_context(span, Context()))
    return carrier


def text_of(span: trace.Span) -> str | None:
    """The span's context in one line, or None if it is not sampled."""
    if not (span.is_recording() and span.get_span_context().trace_flags.sampled):
        return None
    parent, *state = headers_of(span).values()
    whole = " ".join((parent, *state))
    return whole if len(whole) <= LONGEST else parent


def from_headers(headers: Mapping[str, object]) -> trace.SpanContext | None:
    """The context that these headers name, or None: whatever is in them."""
    carrier = {name: text for name in _NAMES if isinstance(text := headers.get(name), str)}
    if "traceparent" not in carrier:
        return None
    found = trace.get_current_span(_W3C.extract(carrier, Context())).get_span_context()
    return found if found.is_valid else None


def from_text(text: str | None) -> trace.SpanContext | None:
    """The context in this line, or None."""
    if not text:
        return None
    parent, _, state = text.partition(" ")
    return from_headers({"traceparent": parent, "tracestate": state})
