"""OpenTelemetry's provider of this process: the app's own, or one after the variables."""

import threading
from collections.abc import Callable
from functools import partial

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
)

from outbox.release import release
from outbox.tracing.otel import environment
from outbox.tracing.otel.attributes import SCHEMA
from outbox.tracing.otel.propagation import pass_no_baggage
from outbox.tracing.otel.redaction import Redaction
from outbox.tracing.otel.sampler import LinkBased
from outbox.tracing.otel.spans import Tracer
from outbox.tracing.tracer import Address

FLUSH_SECONDS = 1.0
"""How long a process that ends waits for the collector."""


def start(service: str, broker: Address | None) -> tuple[Tracer, Callable[[], None]]:
    """The tracer, and what flushes it at the process's end. Raises ValueError.

    A provider that the app has set stays, with its sampler and exporter, and is flushed by the app.
    Otherwise one becomes the process's, so that actors' own spans are exported, too. `broker` is
    said of spans that have to do with the broker.
    """
    provider = trace.get_tracer_provider()
    if not isinstance(provider, trace.ProxyTracerProvider):
        return Tracer(_tracer(provider), broker), _nothing
    own = _provider(service)
    trace.set_tracer_provider(own)
    pass_no_baggage()
    return Tracer(_tracer(own), broker, environment.ratio()), partial(_shut_down, own)


def _tracer(provider: trace.TracerProvider) -> trace.Tracer:
    return provider.get_tracer("duly", release(), schema_url=SCHEMA)


def _nothing() -> None:
    """The app ends its own provider."""


def _provider(service: str) -> TracerProvider:
    provider = TracerProvider(resource=_resource(service), shutdown_on_exit=False)
    if environment.ratio() is not None:
        provider.sampler = LinkBased(provider.sampler)
    provider.add_span_processor(Redaction())
    if processor := _processor():
        provider.add_span_processor(processor)
    return provider


def _processor() -> SpanProcessor | None:
    match environment.exporter():
        case "none":
            return None
        case "console":
            return SimpleSpanProcessor(ConsoleSpanExporter())
    return BatchSpanProcessor(OTLPSpanExporter())


def _resource(service: str) -> Resource:
    """What OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say; without a name, that of ours."""
    given = Resource.create()
    if str(given.attributes[SERVICE_NAME]).startswith("unknown_service"):
        return given.merge(Resource({SERVICE_NAME: service}))
    return given


def _shut_down(provider: TracerProvider) -> None:
    """Send what has ended, within FLUSH_SECONDS: a collector that is away takes as long."""
    flushing = threading.Thread(target=provider.shutdown, name="flush of spans", daemon=True)
    flushing.start()
    flushing.join(FLUSH_SECONDS)
