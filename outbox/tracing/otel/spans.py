"""Makes spans of what the engine tells. Nothing of a payload is in any."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import Token
from itertools import islice
from random import random
from uuid import UUID

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind, StatusCode

from outbox.tracing.otel import attributes as names
from outbox.tracing.otel import contexts
from outbox.tracing.otel.sampler import kept
from outbox.tracing.otel.unsampled import Unsampled
from outbox.tracing.tracer import MOST_LINKS, Address, AttemptOf

_NOTHING = nullcontext()


_ROOT = Context()
"""Has no span: what begins in it is the first of its trace."""


class _Within:
    """A block within which this context, with its span, is the current one.

    Each attempt pays for it, sampled or not, and `trace.use_span` takes longer.
    """

    def __init__(self, whole: Context) -> None:
        self._context = whole
        self._token: Token[Context] | None = None

    def __enter__(self) -> None:
        self._token = context.attach(self._context)

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            context.detach(self._token)


class Creation:
    """See `tracer.Creation`."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self.context = contexts.text_of(span)

    def headers(self) -> dict[str, str]:
        """Its trace context as the headers of a message."""
        return contexts.headers_of(self._span)

    def of_jobs(self, kind: str, queue: str, job_ids: Collection[str] = ()) -> None:
        """End it: these jobs were made."""
        if self._span.is_recording():
            self._span.set_attribute(names.KIND, kind)
            if len(job_ids) == 1:
                self._span.set_attribute(
                    names.CONVERSATION_ID, *(str(UUID(id_)) for id_ in job_ids)
                )
            elif job_ids:
                self._span.set_attribute(names.BATCH_COUNT, len(job_ids))
        self._end("", queue)

    def of_message(self, exchange: str, routing_key: str, message_id: str) -> None:
        """End it: this message was made."""
        self._span.set_attribute(names.MESSAGE_ID, message_id)
        self._end(exchange, routing_key)

    def _end(self, exchange: str, routing_key: str) -> None:
        if self._span.is_recording():
            where = names.destination(exchange, routing_key)
            self._span.update_name(f"create {where['messaging.destination.name']}")
            self._span.set_attributes({**names.operation("create"), **where})
        self._span.end()


class AttemptSpan:
    """See `tracer.AttemptSpan`."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._within = trace.set_span_in_context(span, _ROOT)
        self.context = contexts.text_of(span)

    def tell(self, attempt: AttemptOf) -> None:
        """Say what it is the span of."""
        self._span.set_attributes(_told(attempt))

    def current(self) -> AbstractContextManager[object]:
        """A block within which spans are its children, sampled only if it is."""
        return _Within(self._within)

    def failed(self, error_type: str) -> None:
        """The attempt failed by an error of this type."""
        self._span.set_attribute(names.ERROR_TYPE, error_type)
        self._span.set_status(StatusCode.ERROR)

    def end(self, outcome: str) -> None:
        """End it: the attempt's outcome is on record."""
        self._span.set_attribute(names.OUTCOME, outcome)
        self._span.end()


class SendSpan:
    """See `tracer.SendSpan`."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self.is_sampled = span.is_recording()

    def link(self, contexts_: Iterable[str | None]) -> None:
        """Link it to some of these."""
        found = filter(None, map(contexts.from_text, contexts_))
        for each in islice(found, MOST_LINKS):
            self._span.add_link(each, {names.LINK: "creation"})

    def end(self, error_type: str | None = None) -> None:
        """End it, with what went wrong."""
        if error_type:
            self._span.set_attribute(names.ERROR_TYPE, error_type)
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


class Tracer:
    """See `tracer.Tracer`."""

    def __init__(
        self, tracer: trace.Tracer, broker: Address | None = None, ratio: float | None = None
    ) -> None:
        """`ratio` is the share of new traces that are kept, if nothing else decides about them.

        Whoever begins a span decides by it then: that costs less than to begin one for nothing.
        """
        self._tracer = tracer
        self._server = names.server(broker)
        self._ratio = ratio
        self._kept = kept()

    def create(self) -> Creation:
        """Begin a span where jobs or a message are made."""
        above = trace.get_current_span()
        if above is trace.INVALID_SPAN:
            return Creation(self._first("create", SpanKind.PRODUCER))
        if isinstance(above, Unsampled):
            return Creation(Unsampled(above))
        return Creation(self._tracer.start_span("create", kind=SpanKind.PRODUCER))

    def process(
        self, queue: str, created_in: str | None, attempt_before: str | None
    ) -> AttemptSpan:
        """Begin the span of an attempt."""
        links = _links(creation=created_in, attempt_before=attempt_before)
        span = self._first(f"process {queue}", SpanKind.CONSUMER, links)
        if span.is_recording():
            span.set_attributes(self._server)
        return AttemptSpan(span)

    def send(self, destinations: Collection[tuple[str, str]], count: int) -> SendSpan:
        """Begin the span of a batch. It has a destination if all of it has the same."""
        where = names.destination(*next(iter(destinations))) if len(destinations) == 1 else {}
        name = " ".join(("send", *islice(where.values(), 1)))
        span = self._first(name, SpanKind.CLIENT)
        if span.is_recording():
            span.set_attributes({**names.operation("send"), **where, **self._server})
            span.set_attribute(names.BATCH_COUNT, count)
        return SendSpan(span)

    def within(self, headers: Mapping[str, object]) -> AbstractContextManager[object]:
        """A block within which spans belong to the trace that these headers name."""
        if trace.get_current_span().get_span_context().is_valid:
            return _NOTHING
        found = contexts.from_headers(headers)
        if found is None:
            return _NOTHING
        return _Within(trace.set_span_in_context(trace.NonRecordingSpan(found), _ROOT))

    def current_ids(self) -> dict[str, str]:
        """`trace_id` and `span_id` of the current span, if there is one."""
        span = trace.get_current_span()
        if isinstance(span, Unsampled):
            trace_id, span_id = span.ids
        else:
            found = span.get_span_context()
            trace_id, span_id = found.trace_id, found.span_id
        if not (trace_id and span_id):
            return {}
        return {"trace_id": f"{trace_id:032x}", "span_id": f"{span_id:016x}"}

    def _first(self, name: str, kind: SpanKind, links: Sequence[Link] = ()) -> trace.Span:
        """Begin the first span of a trace. One with links is kept if what it is linked to is."""
        if links or self._ratio is None:
            return self._tracer.start_span(name, _ROOT, kind, links=links)
        if random() < self._ratio:  # noqa: S311 - no secret
            return self._tracer.start_span(name, self._kept, kind)
        return Unsampled()


def _links(**texts: str | None) -> Sequence[Link]:
    """Links to these contexts, each with what it is."""
    if not any(texts.values()):
        return ()
    found = {name: contexts.from_text(text) for name, text in texts.items() if text}
    return [Link(each, {names.LINK: name}) for name, each in found.items() if each]


def _told(attempt: AttemptOf) -> dict[str, str | int]:
    return {
        **names.operation("process"),
        **names.destination("", attempt.queue),
        names.MESSAGE_ID: f"{attempt.job_id}.{attempt.dispatch}",
        names.CONVERSATION_ID: str(attempt.job_id),
        names.CLIENT_ID: attempt.worker,
        names.KIND: attempt.kind,
        names.ATTEMPT: attempt.attempt,
    }
