"""The span of an attempt, in a worker that traces."""

from contextlib import AbstractContextManager

from outbox.events import JobEvent, emit
from outbox.job import Claim
from outbox.tracing.tracer import AttemptOf, AttemptSpan, Tracer
from outbox.worker.attempts.about import About


class AttemptTrace:
    """Begins the span with the attempt, and ends it once the outcome is on record.

    An attempt that never starts has no span, nor has one whose worker dies.
    """

    def __init__(self, tracer: Tracer, about: About, dispatch: int, claim: Claim) -> None:
        self._tracer = tracer
        self._about = about
        self._dispatch = dispatch
        self._claim = claim
        self._span: AttemptSpan | None = None
        self._failure: str | None = None

    @property
    def context(self) -> str | None:
        """What its record keeps, for the next attempt to be linked to."""
        return self._span.context if self._span else None

    def block(self) -> AbstractContextManager[object]:
        """A block within which all belongs to the span, which begins now or goes on."""
        if self._span is None:
            self._span = self._begin(self._about)
        return self._span.current()

    def _begin(self, about: About) -> AttemptSpan:
        claim = self._claim
        span = self._tracer.process(about["queue"], claim.trace, claim.attempt_trace)
        if span.context is not None:
            span.tell(self._told(about))
        return span

    def failed(self, outcome: str, error_type: str) -> None:
        """The attempt has failed so. What becomes of its job is told by `end`."""
        self._failure = outcome
        if self._span is not None:
            self._span.failed(error_type)

    def end(self, event: JobEvent) -> None:
        """End the span, and tell the event within it: this thread may be another than its own."""
        if self._span is None:
            emit(event)
            return
        with self._span.current():
            emit(event)
        self._span.end(self._failure or type(event).__name__.lower())

    def _told(self, about: About) -> AttemptOf:
        return AttemptOf(
            job_id=about["job_id"],
            kind=about["kind"],
            queue=about["queue"],
            dispatch=self._dispatch,
            attempt=about["attempt"],
            worker=about["worker"],
        )
