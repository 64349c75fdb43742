"""Spans of traces that are not kept, at the lowest price: a worker makes one for each attempt."""

from random import getrandbits

from opentelemetry import trace


class Unsampled(trace.NonRecordingSpan):
    """A span that is not kept. It gets its ids once somebody asks for them."""

    def __init__(self, above: trace.Span | None = None) -> None:
        """The first of its trace, or one below another span."""
        self._above = above
        self._ids: tuple[int, int] | None = None

    @property
    def ids(self) -> tuple[int, int]:
        """The id of its trace, and its own."""
        if self._ids is None:
            above = self._above
            trace_id = above.get_span_context().trace_id if above else getrandbits(128)
            self._ids = trace_id or 1, getrandbits(64) or 1
        return self._ids

    def get_span_context(self) -> trace.SpanContext:
        """What its children, and other services, are told of it."""
        return trace.SpanContext(*self.ids, is_remote=False)

    def __repr__(self) -> str:
        return f"Unsampled({self.get_span_context()!r})"
