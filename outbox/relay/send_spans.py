"""The spans of batches, where the relay traces: each lasts until the broker's answer is on record.

A batch that could not be sent at all, because the broker is gone, has none.
"""

from collections.abc import Sequence
from itertools import islice

from outbox.amqp import outgoing
from outbox.amqp.messages import Dispatch
from outbox.amqp.outgoing import Outgoing
from outbox.tracing.tracer import MOST_LINKS, SendSpan, installed


def of_jobs(dispatches: Sequence[Dispatch]) -> SendSpan | None:
    """Begin the span of a batch of jobs, which are then linked by where they were submitted."""
    if (tracer := installed()) is None:
        return None
    return tracer.send({("", each.queue) for each in dispatches}, len(dispatches))


def of_messages(messages: Sequence[Outgoing]) -> SendSpan | None:
    """Begin the span of a batch of messages, linked to where some of them were published."""
    if (tracer := installed()) is None:
        return None
    span = tracer.send({(each.exchange, each.routing_key) for each in messages}, len(messages))
    if span.is_sampled:
        span.link(map(_context, islice(messages, MOST_LINKS)))
    return span


def end(span: SendSpan | None, sent: int, *, confirmed: int, refused: int, put_off: int) -> None:
    """End it, given how many messages were sent, and what the broker said of how many."""
    if span is None:
        return
    if refused:
        span.end("refused")
    elif put_off:
        span.end("nacked")
    else:
        span.end("unconfirmed" if confirmed < sent else None)


def _context(message: Outgoing) -> str | None:
    headers = outgoing.decode(message.properties).get("headers") or {}
    parts = (headers.get("traceparent"), headers.get("tracestate"))
    return " ".join(filter(None, parts)) or None
