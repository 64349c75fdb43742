"""Traces that are not kept: as many as the ratio says, and nothing of them is kept."""

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

from outbox.tracing.otel import environment
from outbox.tracing.otel.sampler import LinkBased
from outbox.tracing.otel.spans import Tracer

MANY = 5000


class Sampled:
    """A tracer that keeps a share of new traces, and how many spans were kept.

    The sampler would keep none of them: what is kept was decided before it was asked.
    """

    def __init__(self, ratio: float) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(LinkBased(ParentBased(ALWAYS_OFF)), shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.otel = provider.get_tracer("test")
        self.tracer = Tracer(self.otel, ratio=ratio)

    @property
    def kept(self) -> int:
        return len(self._exporter.get_finished_spans())


def test_the_share_of_attempts_that_the_ratio_says_is_kept() -> None:
    sampled = Sampled(0.1)
    spans = [sampled.tracer.process("q", None, None) for _ in range(MANY)]
    for span in spans:
        span.end("succeeded")
    assert 0.07 * MANY < sampled.kept < 0.13 * MANY
    assert sampled.kept == sum(span.context is not None for span in spans)


def test_the_share_of_creations_that_the_ratio_says_is_kept() -> None:
    sampled = Sampled(0.1)
    creations = [sampled.tracer.create() for _ in range(MANY)]
    for creation in creations:
        creation.of_jobs("k", "q")
    assert 0.07 * MANY < sampled.kept < 0.13 * MANY
    assert sampled.kept == sum(creation.context is not None for creation in creations)


def test_what_follows_from_an_attempt_that_is_not_kept_is_of_its_trace_and_not_kept() -> None:
    sampled = Sampled(0)
    attempt = sampled.tracer.process("q", None, None)
    with attempt.current():
        ids = sampled.tracer.current_ids()
        own = sampled.otel.start_span("of the actor")
        follow_up = sampled.tracer.create()
        follow_up.of_jobs("k", "q")
        message = sampled.tracer.create().headers()
    own.end()
    attempt.end("succeeded")

    assert sampled.kept == 0
    assert follow_up.context is None
    assert trace.format_trace_id(own.get_span_context().trace_id) == ids["trace_id"]
    version, trace_id, span_id, flags = message["traceparent"].split("-")
    assert (version, trace_id, flags) == ("00", ids["trace_id"], "00")
    assert span_id != ids["span_id"]
    assert sampled.tracer.current_ids() == {}


def test_an_attempt_is_kept_if_its_creation_was_whatever_the_ratio() -> None:
    sampled = Sampled(0)
    made_in = f"00-{1:032x}-{2:016x}-01"
    assert sampled.tracer.process("q", made_in, None).context is not None
    assert sampled.tracer.process("q", None, None).context is None


def test_two_attempts_that_are_not_kept_have_ids_of_their_own() -> None:
    tracer = Sampled(0).tracer
    seen = set()
    for _ in range(2):
        with tracer.process("q", None, None).current():
            seen |= set(tracer.current_ids().values())
    assert len(seen) == 4


@pytest.mark.parametrize(
    ("sampler", "argument", "ratio"),
    [
        ("", "", 1),
        ("parentbased_always_on", "0.5", 1),
        ("parentbased_always_off", "", 0),
        ("parentbased_traceidratio", "0.25", 0.25),
        ("Parentbased_TraceIdRatio", "", 1),
        ("traceidratio", "0.25", None),
        ("always_off", "", None),
    ],
)
def test_the_variables_say_what_share_is_kept(
    monkeypatch: pytest.MonkeyPatch, sampler: str, argument: str, ratio: float | None
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", argument)
    assert environment.ratio() == ratio
