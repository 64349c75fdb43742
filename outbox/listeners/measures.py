"""What a process measures of its own work, for its metrics: news of no single job.

As with events.py, whoever subscribes is called on the thread or event loop that does the work, and
must not block. A measure is made only where somebody listens: ask `is_wanted` first where that is
not rare. An app subscribes to events.py instead, whose events are documented and stay.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from outbox.listeners.subscribers import Subscribers

Server = Literal["postgres", "broker"]
Sort = Literal["claim", "outcome"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Anything that is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmptyClaim(Measure):
    """Worker: a message's job could not be claimed. It has moved on, or a rate holds it back."""

    queue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCommitted(Measure):
    """Worker: a commit has written so many claims or outcomes at once."""

    statement: Sort
    jobs: int
    seconds: float
    """From the first byte to Postgres's answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchConfirmed(Measure):
    """Relay: a batch of messages is settled. What is in no other count was nacked or is unknown."""

    published: Mapping[str, int]
    """How many of each queue were sent."""
    confirmed: Mapping[str, int]
    returned: Mapping[str, int]
    """Those that RabbitMQ had no queue for."""
    seconds: float
    """From the first byte to the last answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redispatched(Measure):
    """Relay: jobs whose messages were lost are to be published again."""

    queue: str
    jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBack(Measure):
    """Relay: a round of admission has found due jobs, and not admitted them."""

    queue: str
    jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached(Measure):
    """Relay: a connection to this server is open, or has been lost."""

    server: Server
    is_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked(Measure):
    """Relay: whether RabbitMQ blocks publishers, as it does when it is short of memory or disk."""

    is_blocked: bool


M = TypeVar("M", bound=Measure)
_SUBSCRIBERS = Subscribers[Measure]()


def on(measure_type: type[M], subscriber: Callable[[M], object]) -> Callable[[], None]:
    """Have `subscriber` called with each measure of this type; returns what ends that."""
    return _SUBSCRIBERS.on(measure_type, subscriber)


def is_wanted(measure_type: type[Measure]) -> bool:
    """Whether anybody listens."""
    return bool(_SUBSCRIBERS.of(measure_type))


def emit(measure: Measure) -> None:
    """Tell the subscribers. Raises nothing of theirs."""
    _SUBSCRIBERS.tell(measure)
