"""What one queue holds, counted once for people, scrapes and autoscalers."""

from dataclasses import asdict, dataclass, field
from typing import Any

from outbox.kinds import Priority
from outbox.operations.flow.queue_pauses import Pause

MOST_COUNTED = 5_000
"""Up to how many jobs of a queue, priority and state are counted, at most."""


@dataclass(slots=True)
class ByPriority:
    """A number of jobs for each priority."""

    high: int = 0
    normal: int = 0
    low: int = 0

    @property
    def total(self) -> int:
        """Of all priorities."""
        return self.high + self.normal + self.low

    def add(self, priority: int, count: int) -> None:
        """Count so many more; a replayed job's level counts as its priority."""
        name = _name(priority)
        setattr(self, name, getattr(self, name) + count)


@dataclass(slots=True)
class QueueStatus:
    """One queue. Each queued or running job is in exactly one of the first five.

    Numbers that may not be exact are named in `estimated`: names of fields and properties, and of
    the priorities of `due`. Up to `MOST_COUNTED` jobs of a priority and state are counted, or
    fewer if there are many queues.
    """

    queue: str
    due: ByPriority = field(default_factory=ByPriority)
    """Due and not yet published, and held back by nothing."""
    held: ByPriority = field(default_factory=ByPriority)
    """Due, and waiting for their keys: for a limit, a rate or their turn."""
    startable: int = 0
    """Of `held`, so many could start: no limit and no rate of their keys holds them back."""
    scheduled: ByPriority = field(default_factory=ByPriority)
    """Not due yet, retries included."""
    published: ByPriority = field(default_factory=ByPriority)
    """Published, and not claimed by a worker: in the broker, or on the way."""
    running: ByPriority = field(default_factory=ByPriority)
    overdue: int = 0
    dead: int = 0
    """Open dead letters."""
    oldest_due_seconds: float | None = None
    """For how long the oldest in `due` has waited to be published."""
    oldest_held_seconds: float | None = None
    """The same of those in `held`: at least so long, if `held` is estimated."""
    oldest_queued_seconds: float | None = None
    """For how long the oldest queued job has been due, published or not."""
    unpublished_seconds: float | None = None
    """For how long the oldest has waited that a relay would have published or admitted."""
    workers: int = 0
    """Live workers that serve it."""
    paused: Pause | None = None
    estimated: set[str] = field(default_factory=set)

    @property
    def oldest_seconds(self) -> float | None:
        """For how long the oldest due job has waited to be published, or for its keys."""
        return _longest(self.oldest_due_seconds, self.oldest_held_seconds)

    @property
    def queued(self) -> int:
        """All queued jobs: those that wait in Postgres, and those published to the broker."""
        return sum(each.total for each in (self.due, self.held, self.scheduled, self.published))

    @property
    def work(self) -> int:
        """What workers could do now: due, published and running. The number to scale by.

        Of those that are held, it has the startable ones; of a paused queue it has nothing that no
        relay publishes. The broker's queue length is no such number: the relay publishes no more
        than the window.
        """
        due = 0 if self.paused else self.due.total + self.startable
        return due + self.published.total + self.running.total

    def record(self) -> dict[str, Any]:
        """Everything, under the names that commands and the API show."""
        return {
            "queue": self.queue,
            "due": self.due.total,
            **asdict(self.due),
            "held": self.held.total,
            "scheduled": self.scheduled.total,
            "published": self.published.total,
            "queued": self.queued,
            "running": self.running.total,
            "work": self.work,
            "overdue": self.overdue,
            "dead": self.dead,
            "oldest_seconds": self.oldest_seconds,
            "oldest_queued_seconds": self.oldest_queued_seconds,
            "unpublished_seconds": self.unpublished_seconds,
            "workers": self.workers,
            "paused": asdict(self.paused) if self.paused else None,
            "estimated": sorted(self.estimated),
        }

    def estimate(self, state: str, priority: int = 0) -> None:
        """Note that the number of this state, and with it each sum of it, is an estimate."""
        self.estimated |= {state, *_SUMS.get(state, ())}
        if state == "due":
            self.estimated.add(_name(priority))

    def waited(self, name: str, seconds: float | None) -> None:
        """Note an age; the field `name` keeps the longest."""
        setattr(self, name, _longest(getattr(self, name), seconds))


_SUMS = {
    "due": ("queued", "work"),
    "held": ("queued",),
    "scheduled": ("queued",),
    "published": ("queued", "work"),
    "running": ("work",),
}
"""What each state is part of."""


def _name(level: int) -> str:
    return Priority(level % len(Priority)).name.lower()


def _longest(*ages: float | None) -> float | None:
    return max((age for age in ages if age is not None), default=None)


class Queues(dict[str, QueueStatus]):
    """Queues by name. One that is asked for is there from then on, with nothing in it."""

    def __missing__(self, queue: str) -> QueueStatus:
        self[queue] = QueueStatus(queue)
        return self[queue]
