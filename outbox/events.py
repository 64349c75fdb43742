"""What happens to jobs, for an app that wants to hear of it: for metrics, traces, messages.

    on(Died, tell_somebody)

A subscriber is called in the process in which it happens, on the thread or event loop that does the
work, after the commit that makes it true. It must not block, and delays what comes next. If it
raises, SystemExit included, that is logged and harms nothing. Nobody is told if the process dies
after the commit, or if the answer to the commit is lost: Postgres is the truth, and events are news
of it.

Each class says which process emits it. Its fields hold nothing of a payload, and errors are as
redacted as in `duly.attempts`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from outbox.listeners.subscribers import Subscribers


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Anything that happens. Subscribing to it subscribes to all events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent(Event):
    """What happens to one job."""

    job_id: UUID
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEvent(JobEvent):
    """What happens to one attempt in its worker."""

    queue: str
    worker: str
    attempt: int
    key: str | None = None
    """The first of the job's keys, if it has any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted(JobEvent):
    """Whoever submits: the job exists since its session has committed. `run_at` may hold it back.

    A session that is part of a transaction around it tells nothing: its commit commits nothing.
    """

    queue: str
    run_at: datetime | None
    parent_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Published(JobEvent):
    """Relay: RabbitMQ has confirmed the message of this dispatch."""

    queue: str
    dispatch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed(AttemptEvent):
    """Worker: the job is running, by this worker, and its attempt is about to start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(AttemptEvent):
    """Worker: the payload is about to be validated, and the actor to be called.

    `late_seconds` is how long ago the job was due: since its `run_at`, or else its submission.
    """

    late_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Succeeded(AttemptEvent):
    """Worker: the job has succeeded.

    `seconds` is how long the actor ran, until it returned or its transaction was committed.
    `fix_seconds` is None unless the job was replayed: how long ago it first died.
    """

    seconds: float
    fix_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(AttemptEvent):
    """Worker: an attempt has failed, and is in `duly.attempts`. What follows is told next.

    That is Retried, Died or Cancelled. `outcome` is `failed`, `timed_out` or `uncertain`. The text
    of an error may be empty, its type (the name of its class) is not.
    """

    outcome: str
    error_type: str
    error: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried(AttemptEvent):
    """Worker: the attempt has failed, and the job is queued again."""

    error_type: str
    error: str
    delay_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Snoozed(AttemptEvent):
    """Worker: the job is queued again, and the attempt does not count.

    `is_asked` says whether the actor raised Snooze; otherwise its worker stops, or Postgres was
    down or rolled its transaction back for another.
    """

    why: str
    delay_seconds: float
    is_asked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Postponed(JobEvent):
    """Worker: it does not know the kind or understand the payload, and leaves the job to others.

    `attempt` is None if it does not know the kind.
    """

    queue: str
    worker: str
    why: str
    attempt: int | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded(AttemptEvent):
    """Worker: the job is no longer its own, and what the attempt did is fenced off.

    Also where Postgres has recorded the end, but the answer to that was lost.
    """

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Died(JobEvent):
    """The job is dead, and has a dead letter.

    Worker: its attempt was the last, or no worker has known the kind for too long. Relay: its
    worker is gone and has used up the attempts (`crashed`), or no message can be published
    (`unpublishable`). Without an attempt, `worker` and `attempt` are None. `error_type` is None for
    `unpublishable`.
    """

    queue: str
    reason: str
    error_type: str | None
    error: str
    worker: str | None = None
    attempt: int | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescued(JobEvent):
    """Relay: the job's worker is gone, and the job is queued again."""

    queue: str
    worker: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled(JobEvent):
    """The job is cancelled.

    API, command line: a person cancelled it while it was queued. Worker: it was running when
    somebody asked, and its actor was interrupted, or it was to run again or to die. Relay: its
    worker is gone since, or the job had not begun by its `expires_at`, as `why` says. `by` is
    None where no person acts at that moment. `attempt` is the worker's attempt that ended so, None
    if there was none, or if it had failed.
    """

    by: str | None = None
    why: str | None = None
    attempt: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescheduled(JobEvent):
    """API, command line: a person gave a queued job another time, priority or queue."""

    queue: str
    run_at: datetime
    by: str
    why: str | None


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
class TickMade(JobEvent):
    """Relay: a tick of a schedule was due, and its job is queued."""

    queue: str
    schedule: str
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TickSkipped(Event):
    """Relay: a tick of a schedule made no job: it was missed, paused, or overlaps another."""

    schedule: str
    due_at: datetime
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettled(Event):
    """Relay: all members of a sealed batch have ended, in this generation of it."""

    batch_id: UUID
    generation: int
    succeeded: int
    dead: int
    cancelled: int


E = TypeVar("E", bound=Event)
_SUBSCRIBERS = Subscribers[Event]()


def on(event_type: type[E], subscriber: Callable[[E], object]) -> Callable[[], None]:
    """Have `subscriber` called with each event of this type; returns what ends that.

    Subscribing again changes nothing. Raises TypeError for an `async def` function, which nobody
    would await.
    """
    return _SUBSCRIBERS.on(event_type, subscriber)


def is_wanted(event_type: type[Event]) -> bool:
    """Whether anybody listens: where there are thousands a second, do not make them for nobody."""
    return bool(_SUBSCRIBERS.of(event_type))


def emit(event: Event) -> None:
    """Tell the subscribers, in the order in which they subscribed.

    Raises nothing of theirs, only what ends the work around them: Ctrl-C, a time limit, a cancel.
    """
    _SUBSCRIBERS.tell(event)
