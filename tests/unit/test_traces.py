"""What decides whether and how a process traces, without a collector."""

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Decision, ParentBased, Sampler
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags, TraceState

from outbox.amqp.connection import only_node
from outbox.tracing import start
from outbox.tracing.otel import attributes, contexts, environment
from outbox.tracing.otel.redaction import Redaction
from outbox.tracing.otel.sampler import LinkBased
from outbox.tracing.otel.spans import Tracer
from outbox.tracing.tracer import MOST_LINKS

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = PARENT[:-1] + "0"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the machine are not the test's."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "lz4"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:port"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a-secret-without-a-name"),
        ("OTEL_BSP_SCHEDULE_DELAY", "0"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5000"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "many"),
        ("OTEL_PYTHON_TRACER_PROVIDER", "nobodys"),
        ("OTEL_PROPAGATORS", "tracecontext,nobodys"),
    ],
)
def test_a_variable_that_cannot_be_meant_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=f"^{name}: ") as raised:
        environment.check()
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("ratio", ["7", "-1", "often", "nan"])
def test_a_ratio_is_a_number_from_0_to_1(monkeypatch: pytest.MonkeyPatch, ratio: str) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", ratio)
    environment.check()  # no sampler asks for it
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    with pytest.raises(ValueError, match="OTEL_TRACES_SAMPLER_ARG: not a number"):
        environment.check()


def test_empty_variables_are_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [*environment.COUNTS, *environment.LIMITS, "OTEL_TRACES_SAMPLER", environment.PROVIDER]
    for name in names:
        monkeypatch.setenv(name, "")
    start.check()
    assert not set(names) & set(os.environ)


def test_without_the_extra_one_line_says_what_to_install() -> None:
    program = (
        "import sys\n"
        "sys.modules['opentelemetry.sdk'] = None\n"
        "from outbox.tracing import start\n"
        "start.check()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == f"ValueError: {start.MISSING}"


def test_without_traces_nothing_of_opentelemetry_is_imported() -> None:
    program = (
        "import sys, outbox.worker.process, outbox.relay.process, outbox.logs\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"


APP_WITH_A_PROVIDER = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from outbox.tracing import start, tracer

own, exporter = TracerProvider(), InMemorySpanExporter()
own.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(own)
stop = start.start("duly-worker")
tracer.installed().create().of_jobs("kind", "queue")
stop()
own.get_tracer("app").start_span("the app's").end()
print([span.name for span in exporter.get_finished_spans()], trace.get_tracer_provider() is own)
"""


def test_a_provider_that_the_app_has_set_is_used_and_not_ended() -> None:
    said = subprocess.check_output([sys.executable, "-c", APP_WITH_A_PROVIDER], text=True)
    assert said.strip() == """['create queue', "the app's"] True"""


@pytest.mark.parametrize(
    ("variables", "service"),
    [
        ({}, "duly-worker"),
        ({"OTEL_SERVICE_NAME": "billing"}, "billing"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=billing"}, "billing"),
    ],
)
def test_without_a_provider_ours_becomes_that_of_the_process(
    variables: dict[str, str], service: str
) -> None:
    program = (
        "from opentelemetry import trace\n"
        "from outbox.tracing import start\n"
        "stop = start.start('duly-worker')\n"
        "print(trace.get_tracer_provider().resource.attributes['service.name'])\n"
    )
    environment = os.environ | {"OTEL_TRACES_EXPORTER": "none"} | variables
    said = subprocess.check_output([sys.executable, "-c", program], text=True, env=environment)
    assert said.strip() == service


@pytest.mark.parametrize(
    ("propagators", "passed_on"),
    [
        ({}, ["traceparent"]),
        ({"OTEL_PROPAGATORS": ""}, ["traceparent"]),
        ({"OTEL_PROPAGATORS": "baggage"}, ["baggage"]),
    ],
)
def test_baggage_goes_on_only_where_a_variable_says_so(
    propagators: dict[str, str], passed_on: list[str]
) -> None:
    program = (
        "from opentelemetry import context, propagate\n"
        "from outbox.tracing import start\n"
        "start.start('duly-api')\n"
        f"given = {{'traceparent': {PARENT!r}, 'baggage': 'user=7'}}\n"
        "sent = {}\n"
        "propagate.inject(sent, propagate.extract(given))\n"
        "print(list(sent))\n"
    )
    environment = os.environ | {"OTEL_TRACES_EXPORTER": "none"} | propagators
    said = subprocess.check_output([sys.executable, "-c", program], text=True, env=environment)
    assert said.strip() == str(passed_on)


@pytest.mark.parametrize(
    ("amqp_url", "told"),
    [
        ("amqp://duly:secret@broker/vhost", {"server.address": "broker", "server.port": 5672}),
        ("amqps://duly:secret@broker/vhost", {"server.address": "broker", "server.port": 5671}),
        ("amqp://one:7;amqp://two:7", {}),
    ],
)
def test_a_span_says_where_the_broker_is_and_nothing_more_of_its_address(
    amqp_url: str, told: dict[str, Any]
) -> None:
    assert attributes.server(only_node(amqp_url)) == told


def test_a_context_is_kept_as_text_and_read_again() -> None:
    spans = Spans()
    with spans.tracer.within({"traceparent": PARENT, "tracestate": "vendor=1"}):
        created = spans.tracer.create()
    assert created.context
    assert created.context.endswith(" vendor=1")
    found = contexts.from_text(created.context)
    assert found
    assert trace.format_trace_id(found.trace_id) == PARENT[3:35]
    assert found.trace_state == TraceState([("vendor", "1")])


def test_a_context_is_short_and_one_that_is_not_sampled_is_not_kept() -> None:
    spans = Spans()
    with spans.tracer.within({"traceparent": PARENT, "tracestate": f"vendor={'x' * 200}"}):
        context = spans.tracer.create().context
    assert context
    assert len(context) == len(PARENT)
    with spans.tracer.within({"traceparent": UNSAMPLED}):
        assert spans.tracer.create().context is None


@pytest.mark.parametrize(
    "headers", [{}, {"traceparent": 7}, {"traceparent": "x"}, {"traceparent": "00-0-0-0"}]
)
def test_headers_that_name_no_trace_change_nothing(headers: dict[str, Any]) -> None:
    spans = Spans()
    with spans.tracer.within(headers):
        assert spans.tracer.current_ids() == {}


def test_a_batch_is_linked_to_few_of_many() -> None:
    spans = Spans()
    sent = spans.tracer.send({("", "mail"), ("", "documents")}, 1000)
    sent.link([PARENT] * 1000)
    sent.end("refused")
    (span,) = spans.finished
    assert (span.name, len(span.links)) == ("send", MOST_LINKS)
    assert span.attributes
    assert span.attributes["messaging.batch.message_count"] == 1000


@pytest.mark.parametrize("choice", ["", "messaging", "messaging/dup", "http"])
def test_the_names_are_the_same_whatever_is_opted_into(
    monkeypatch: pytest.MonkeyPatch, choice: str
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", choice)
    spans = Spans()
    spans.tracer.create().of_message("billing", "invoice.paid", "1")
    (span,) = spans.finished
    assert (span.name, span.kind) == ("create billing:invoice.paid", SpanKind.PRODUCER)
    assert dict(span.attributes or {}) == {
        "messaging.system": "rabbitmq",
        "messaging.operation.name": "create",
        "messaging.operation.type": "create",
        "messaging.destination.name": "billing:invoice.paid",
        "messaging.rabbitmq.destination.routing_key": "invoice.paid",
        "messaging.message.id": "1",
    }


def test_what_a_client_wrote_into_an_address_is_in_no_span() -> None:
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(Redaction())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    address = {"url.path": "/v1/downloads/token", "url.query": "token=1", "url.scheme": "https"}
    for kind, written in (
        (SpanKind.SERVER, address),
        (SpanKind.SERVER, {}),
        (SpanKind.CLIENT, address),
    ):
        provider.get_tracer("test").start_span("GET", kind=kind, attributes=written).end()
    of_request, without, of_call = [
        dict(span.attributes or {}) for span in exporter.get_finished_spans()
    ]
    hidden = {"url.path": "[redacted]", "url.query": "[redacted]"}
    assert of_request == address | hidden
    assert without == {}
    assert of_call == address


@pytest.mark.parametrize(
    ("root", "links", "is_sampled"),
    [
        (ALWAYS_OFF, [PARENT], True),
        (ALWAYS_ON, [UNSAMPLED], False),
        (ALWAYS_OFF, [], False),
        (ALWAYS_ON, [], True),
        (ALWAYS_OFF, [UNSAMPLED, PARENT], False),
    ],
)
def test_the_first_link_decides_as_a_parent_does(
    root: Sampler, links: Sequence[str], is_sampled: bool
) -> None:
    sampler = LinkBased(ParentBased(root))
    given = [Link(found) for each in links if (found := contexts.from_text(each))]
    assert len(given) == len(links)
    assert sampled(sampler, Context(), given) == is_sampled


def test_a_parent_counts_more_than_links() -> None:
    flags = TraceFlags(TraceFlags.DEFAULT)
    parent = trace.NonRecordingSpan(SpanContext(1, 2, is_remote=False, trace_flags=flags))
    context = trace.set_span_in_context(parent, Context())
    found = contexts.from_text(PARENT)
    assert found
    assert not sampled(LinkBased(ParentBased(ALWAYS_ON)), context, [Link(found)])


class Spans:
    """A tracer, and the spans that it has ended."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = Tracer(provider.get_tracer("test"))

    @property
    def finished(self) -> Any:
        return self._exporter.get_finished_spans()


def sampled(sampler: Sampler, parent: Context, links: Sequence[Link]) -> bool:
    decision = sampler.should_sample(parent, 1, "process", links=links).decision
    return decision is Decision.RECORD_AND_SAMPLE
