"""Keeps what a client wrote into an address out of spans: it may be a token, or a name."""

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor
from opentelemetry.trace import SpanKind

WRITTEN_BY_CLIENTS = frozenset({"url.path", "url.query"})
"""Attributes of a request's span. Its `http.route` says the pattern of the path instead."""


class Redaction(SpanProcessor):
    """Redacts requests' spans as they start: once they have ended they cannot be changed."""

    def on_start(
        self,
        span: Span,
        parent_context: Context | None = None,  # noqa: ARG002 - the base class's name
    ) -> None:
        """Redact it, whichever library has started it."""
        if span.kind is SpanKind.SERVER:
            for name in WRITTEN_BY_CLIENTS & (span.attributes or {}).keys():
                span.set_attribute(name, "[redacted]")
