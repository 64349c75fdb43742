"""A real OTLP/HTTP receiver, as an OpenTelemetry collector is: it keeps the spans it gets."""

import gzip
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.support.network.threaded import serving


@dataclass(frozen=True, slots=True)
class SpanLink:
    """What a span is linked to."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """A span as it arrived."""

    service: str
    schema: str
    name: str
    kind: str
    """Such as `PRODUCER`."""
    trace_id: str
    span_id: str
    parent_id: str
    """Empty for the first of a trace."""
    seconds: float
    is_error: bool
    message: str
    attributes: Mapping[str, Any]
    links: tuple[SpanLink, ...]
    events: int

    @property
    def context(self) -> tuple[str, str]:
        """By what others refer to it."""
        return self.trace_id, self.span_id

    @property
    def parent(self) -> tuple[str, str]:
        """The context of its parent."""
        return self.trace_id, self.parent_id

    def linked(self, what: str) -> list[tuple[str, str]]:
        """The contexts that it is linked to as such."""
        return [
            (link.trace_id, link.span_id)
            for link in self.links
            if link.attributes.get("duly.link") == what
        ]


@dataclass(slots=True)
class Spans:
    """What has arrived so far."""

    bodies: list[bytes] = field(default_factory=list)
    """Uncompressed."""

    def __iter__(self) -> Iterator[Span]:
        for body in self.bodies:
            yield from _decoded(body)

    def of(self, name: str, **attributes: Any) -> list[Span]:
        """Those of this name with these attributes, whose dots are written as underscores."""
        return [
            span
            for span in self
            if span.name == name
            and all(_named(span.attributes).get(key) == value for key, value in attributes.items())
        ]


class Collector(ThreadingHTTPServer):
    """Answers each POST to /v1/traces, and keeps what is in it."""

    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans = Spans()

    @property
    def url(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT has to be."""
        return f"http://127.0.0.1:{self.server_port}"


def collector() -> AbstractContextManager[Collector]:
    """Runs a collector."""
    return serving(Collector(), Event())


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        is_ours = self.path == "/v1/traces"
        if is_ours:
            self.server.spans.bodies.append(body)
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200 if is_ours else 404)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


def _decoded(body: bytes) -> Iterator[Span]:
    for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = _attributes(of_resource.resource.attributes)["service.name"]
        for scope in of_resource.scope_spans:
            for span in scope.spans:
                yield _span(service, scope.schema_url, span)


def _span(service: str, schema: str, span: trace_pb2.Span) -> Span:
    links = (
        SpanLink(link.trace_id.hex(), link.span_id.hex(), _attributes(link.attributes))
        for link in span.links
    )
    return Span(
        service=service,
        schema=schema,
        name=span.name,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        is_error=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        message=span.status.message,
        attributes=_attributes(span.attributes),
        links=tuple(links),
        events=len(span.events),
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair) for pair in pairs}


def _value(pair: KeyValue) -> Any:
    which = pair.value.WhichOneof("value")
    return getattr(pair.value, which) if which else None


def _named(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace(".", "_"): value for name, value in attributes.items()}
