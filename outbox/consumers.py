"""A consumer: makes jobs of another service's messages."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from outbox.kinds import Work

M = TypeVar("M", bound=BaseModel)

QUEUE = re.compile(r"(?!amq\.)[^\x00-\x1f\x7f]{1,200}")
"""Names of queues that may be anybody's."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a message says of itself; its headers may hold anything."""

    id: str
    """By it, it is known whether the message was received before."""
    source: str | None
    """CloudEvents' source, type and subject, if it has any."""
    type: str | None
    subject: str | None
    exchange: str
    routing_key: str
    headers: Mapping[str, Any]


Makes = Callable[[M, Message], Work[Any] | None]


@dataclass(frozen=True, slots=True)
class Consumer(Generic[M]):
    """A queue and the function that makes a job of each of its messages.

    Raises ValueError for a name that no queue can have, and a model that is no pydantic model.
    """

    queue: str
    model: type[M]
    function: Makes[M]

    def __post_init__(self) -> None:
        if not QUEUE.fullmatch(self.queue):
            raise ValueError(f"{self.queue!r} is no name of a queue")
        if not (isinstance(self.model, type) and issubclass(self.model, BaseModel)):
            why = f"its messages need a pydantic model, not {self.model!r}"
            raise ValueError(f"{self.queue}: {why}")  # noqa: TRY004 - as for all else that is wrong

    def __call__(self, content: M, message: Message) -> Work[Any] | None:
        return self.function(content, message)


def consumer(queue: str, model: type[M]) -> Callable[[Makes[M]], Consumer[M]]:
    """Make a function of (content, message) the consumer of `queue`, another service's.

    A worker reads each message's body with the model, and submits the work that the function
    returns, or none. Job and the message's id are committed together, and only then the message is
    acknowledged: one that is received twice is done once. The function has no effects of its own:
    it may be called again for the same message. If it raises, the message becomes a dead letter.
    """
    return lambda function: Consumer(queue, model, function)


class Consumers(Mapping[str, Consumer[Any]]):
    """A worker's consumers by queue. Raises ValueError if two have the same queue."""

    def __init__(self, consumers: Iterable[Consumer[Any]] = ()) -> None:
        given = list(consumers)
        self._by_queue = {each.queue: each for each in given}
        if len(self._by_queue) != len(given):
            ((queue, _),) = Counter(each.queue for each in given).most_common(1)
            raise ValueError(f"two consumers have the queue {queue!r}")

    def __getitem__(self, queue: str) -> Consumer[Any]:
        return self._by_queue[queue]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_queue)

    def __len__(self) -> int:
        return len(self._by_queue)
