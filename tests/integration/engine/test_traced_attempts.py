"""What is linked to what, whatever becomes of an attempt, and what is written where."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.trace import SpanContext
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import Job, Key, Overlap, Retry, Snooze, Unique, actor, submit, submit_all
from outbox.tracing.otel.contexts import from_text
from outbox.tracing.otel.sampler import LinkBased
from outbox.tracing.otel.spans import Tracer
from outbox.tracing.tracer import install
from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import Line, Note, note_kind
from tests.support.engine.schedules import Timetable
from tests.support.wait import wait_for

SECRET = "what-only-the-payload-has"


class Spans:
    """The spans that this process has ended."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def of(self, name: str) -> list[ReadableSpan]:
        """In the order in which they began."""
        found = [span for span in self._exporter.get_finished_spans() if span.name == name]
        return sorted(found, key=lambda span: span.start_time or 0)


def tracing(root: Any) -> Iterator[Spans]:
    """Traces of this process, kept in memory."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=LinkBased(ParentBased(root)), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    install(Tracer(provider.get_tracer("test")))
    yield Spans(exporter)
    install(None)


@pytest.fixture
def spans() -> Iterator[Spans]:
    """All traces are sampled."""
    yield from tracing(ALWAYS_ON)


@pytest.fixture
def timetable(engine: Engine, sql_now: psycopg.Connection[Any], database_url: str) -> Timetable:
    """A schedule."""
    return Timetable(engine, sql_now, database_url)


@pytest.fixture
def unsampled() -> Iterator[Spans]:
    """No trace is sampled."""
    yield from tracing(ALWAYS_OFF)


def linked(span: ReadableSpan, what: str) -> list[tuple[int, int]]:
    links = [link for link in span.links if (link.attributes or {}).get("duly.link") == what]
    return [ids(link.context) for link in links]


def ids(context: SpanContext | None) -> tuple[int, int]:
    assert context
    return context.trace_id, context.span_id


def attribute(span: ReadableSpan, name: str) -> Any:
    return (span.attributes or {}).get(name)


def traces(by_hand: ByHand, job: UUID) -> tuple[Any, Any]:
    """The contexts in the job's row."""
    row = by_hand.job(job)
    return row["trace"], row["attempt_trace"]


def test_each_attempt_is_linked_to_the_one_before_through_snooze_death_and_replay(
    line: Line, queue: str, by_hand: ByHand, spans: Spans
) -> None:
    ends: list[BaseException | None] = [
        Snooze(timedelta()),
        LookupError(SECRET),
        ValueError(SECRET),
        None,
    ]

    def act(_note: Note, _job: Job) -> None:
        if error := ends.pop(0):
            raise error

    kind = note_kind(queue, retry=Retry(attempts=2, first=timedelta()))
    line.start_relay(queue)
    worker = line.start_worker(actor(kind)(act))
    job = line.submit(kind(text=SECRET))
    wait_for("it is dead", lambda: line.letters())
    line.replay(line.letters()[0].id)
    wait_for("it has succeeded", lambda: line.job(job).state == "succeeded")
    line.stop_worker(worker)

    (created,) = spans.of(f"create {queue}")
    attempts = spans.of(f"process {queue}")
    assert [attribute(each, "duly.job.outcome") for each in attempts] == [
        "snoozed",
        "failed",
        "failed",
        "succeeded",
    ]
    assert [attribute(each, "error.type") for each in attempts] == [
        *(None, "LookupError", "ValueError", None)
    ]
    assert [linked(each, "creation") for each in attempts] == [[ids(created.context)]] * 4
    before = [[], *([ids(each.context)] for each in attempts[:-1])]
    assert [linked(each, "attempt_before") for each in attempts] == before
    kept = from_text(traces(by_hand, job)[1])
    assert ids(kept) == ids(attempts[2].context)  # a success has no attempt after it
    assert SECRET not in "".join(each.to_json() for each in [created, *attempts])


def test_what_is_not_sampled_is_not_written(
    line: Line, queue: str, by_hand: ByHand, unsampled: Spans
) -> None:
    ends: list[BaseException | None] = [LookupError(), None]

    def act(_note: Note, _job: Job) -> None:
        if error := ends.pop(0):
            raise error

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(actor(kind)(act))
    job = line.submit(kind())
    wait_for("it has succeeded", lambda: line.job(job).state == "succeeded")
    assert traces(by_hand, job) == (None, None)
    assert unsampled.of(f"process {queue}") == []


@pytest.mark.parametrize("sort", ["plain", "several", "keyed", "unique"])
def test_every_way_to_submit_keeps_the_context(
    engine: Engine, queue: str, by_hand: ByHand, spans: Spans, sort: str
) -> None:
    options: dict[str, Any] = {
        "keyed": {"key": Key(lambda note: note.text)},
        "unique": {"unique": Unique("text")},
    }
    kind = note_kind(queue, f"test.{sort}", **options.get(sort, {}))
    with Session(engine) as session, session.begin():
        if sort == "several":
            jobs = submit_all(session, [kind(text="a"), kind(text="b")])
        else:
            jobs = [submit(session, kind(text="a"))]
    (created,) = spans.of(f"create {queue}")
    for job in jobs:
        assert ids(from_text(traces(by_hand, job.id)[0])) == ids(created.context)
    count = attribute(created, "messaging.batch.message_count")
    assert count == (2 if sort == "several" else None)


def test_the_job_of_a_tick_begins_a_trace_and_a_skipped_tick_has_none(
    timetable: Timetable, queue: str, by_hand: ByHand, spans: Spans
) -> None:
    timetable.create(note_kind(queue)(), overlap=Overlap.SKIP)
    timetable.go_back(1)
    timetable.poll()
    timetable.go_back(2)
    timetable.poll()  # the job of the tick before has not ended
    (job,) = [tick.job_id for tick in timetable.ticks() if tick.job_id]
    (created,) = spans.of(f"create {queue}")
    assert created.parent is None
    assert ids(from_text(traces(by_hand, job)[0])) == ids(created.context)
