"""What the engine tells a tracer. Without one, which is the default, it asks only `installed`.

A trace context is text: a W3C traceparent and, if that is short, the tracestate after a space.
"""

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

Address = tuple[str, int]
"""The host of a server, as the settings name it, and its port."""

MOST_LINKS = 32
"""How many of the jobs in a batch its span is linked to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptOf:
    """What a span says of an attempt."""

    job_id: UUID
    kind: str
    queue: str
    dispatch: int
    attempt: int
    worker: str


class Creation(Protocol):
    """A span that says where jobs, or a message, were made. It counts only once it has ended."""

    context: str | None
    """Its trace context; None if it is not sampled."""

    def headers(self) -> dict[str, str]:
        """Its trace context as the headers of a message, sampled or not."""

    def of_jobs(self, kind: str, queue: str, job_ids: Collection[str] = ()) -> None:
        """End it: these jobs were made. Without ids, they are not known yet."""

    def of_message(self, exchange: str, routing_key: str, message_id: str) -> None:
        """End it: this message to another service was made."""


class AttemptSpan(Protocol):
    """A span that lasts from the start of an attempt until its outcome is on record."""

    context: str | None
    """Its trace context; None if it is not sampled."""

    def tell(self, attempt: AttemptOf) -> None:
        """Say what it is the span of. If it is not sampled, nobody reads that."""

    def current(self) -> AbstractContextManager[object]:
        """A block within which spans are its children, and log lines have its ids."""

    def failed(self, error_type: str) -> None:
        """The attempt failed by an error of this type. Its text may hold payload: it is not told.

        What becomes of the job follows.
        """

    def end(self, outcome: str) -> None:
        """End it: the attempt's outcome is on record."""


class SendSpan(Protocol):
    """A span that lasts from the sending of a batch until the broker's answer is on record."""

    is_sampled: bool

    def link(self, contexts: Iterable[str | None]) -> None:
        """Link it to up to `MOST_LINKS` of these trace contexts."""

    def end(self, error_type: str | None = None) -> None:
        """End it, with what went wrong for all of the batch, or for a part."""


class Tracer(Protocol):
    """Makes spans. Raises nothing."""

    def create(self) -> Creation:
        """Begin a span where jobs or a message are made, as a child of the current one."""

    def process(
        self, queue: str, created_in: str | None, attempt_before: str | None
    ) -> AttemptSpan:
        """Begin the span of an attempt, the first of its trace, linked to these contexts."""

    def send(self, destinations: Collection[tuple[str, str]], count: int) -> SendSpan:
        """Begin the span of a batch of so many messages, the first of its trace.

        They are for these exchanges and routing keys.
        """

    def within(self, headers: Mapping[str, object]) -> AbstractContextManager[object]:
        """A block within which spans belong to the trace that these headers of others name.

        In a span of this process, and without such headers, it changes nothing.
        """

    def current_ids(self) -> dict[str, str]:
        """`trace_id` and `span_id` of the current span, if there is one."""


class _Holder:
    tracer: Tracer | None = None


def installed() -> Tracer | None:
    """The tracer of this process, or None if it does not trace."""
    return _Holder.tracer


def install(tracer: Tracer | None) -> None:
    """Have this process trace with it from now on, or not at all."""
    _Holder.tracer = tracer
