"""What happens to jobs, for an app that wants to hear of it: for metrics, traces, messages.

    on(Died, tell_somebody)

A subscriber is called in the process in which it happens, on the thread or event loop that does the
work, after the commit that makes it true. It must not block, and delays what comes next. If it
raises, that is logged and harms nothing. Nobody is told if the process dies after the commit, or if
the answer to the commit is lost: Postgres is the truth, and events are news of it.

Each class says which process emits it. Its fields hold nothing of a payload, and errors are as
redacted as in `duly.attempts`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import structlog

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Anything that happens. Subscribing to it subscribes to all events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent(Event):
    """What happens to one job."""

    job_id: UUID
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Published(JobEvent):
    """Relay: RabbitMQ has confirmed the message of this dispatch."""

    queue: str
    dispatch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Died(JobEvent):
    """The job is dead, and has a dead letter.

    Relay: its worker is gone and has used up the attempts (`crashed`), or no message can be
    published (`unpublishable`; `attempt` is None). A worker does not tell of its own yet.
    """

    queue: str
    reason: str
    error: str
    attempt: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescued(JobEvent):
    """Relay: the job's worker is gone, and the job is queued again."""

    queue: str
    worker: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled(JobEvent):
    """The job is cancelled.

    API, command line: a person cancelled it while it was queued. Relay: it was running when
    somebody asked, and its worker is gone since; `by` and `why` are None then.
    """

    by: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed(JobEvent):
    """API, command line: a person replayed a dead letter, and its job is queued again."""

    dead_letter: int
    by: str
    why: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Discarded(Event):
    """API, command line: a person closed a dead letter. A foreign message has no job."""

    job_id: UUID | None
    kind: str | None
    dead_letter: int
    by: str
    why: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettled(Event):
    """Relay: all members of a sealed batch have ended, in this generation of it."""

    batch_id: UUID
    generation: int
    succeeded: int
    dead: int
    cancelled: int


E = TypeVar("E", bound=Event)
Subscriber = Callable[[Any], object]
_SUBSCRIBERS: list[tuple[type[Event], Subscriber]] = []


def on(event_type: type[E], subscriber: Callable[[E], object]) -> Callable[[], None]:
    """Have `subscriber` called with each event of this type; returns what ends that.

    Subscribing again changes nothing.
    """
    entry = (event_type, subscriber)
    if entry not in _SUBSCRIBERS:
        _SUBSCRIBERS.append(entry)

    def end() -> None:
        if entry in _SUBSCRIBERS:
            _SUBSCRIBERS.remove(entry)

    return end


def is_wanted(event_type: type[Event]) -> bool:
    """Whether anybody listens: where there are thousands a second, do not make them for nobody."""
    return bool(_subscribers(event_type))


def emit(event: Event) -> None:
    """Tell the subscribers, in the order in which they subscribed. Raises no Exception."""
    for subscriber in _subscribers(type(event)):
        try:
            subscriber(event)
        except Exception:
            log.exception("a subscriber failed", event_type=type(event).__name__)


def _subscribers(event_type: type[Event]) -> list[Subscriber]:
    return [each for wanted, each in _SUBSCRIBERS if issubclass(event_type, wanted)]
