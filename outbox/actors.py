"""An actor: the function that runs the jobs of one kind."""

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from outbox.job import Job
from outbox.kinds import Kind, declare

M = TypeVar("M", bound=BaseModel)
R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Actor(Generic[M, R_co]):
    """A kind and the function that runs its jobs. Calling it calls the function.

    Await the call if the function is `async def`.
    """

    kind: Kind[..., M]
    function: Callable[[M, Job], R_co]

    def __call__(self, payload: M, job: Job) -> R_co:
        return self.function(payload, job)

    @property
    def is_async(self) -> bool:
        """Whether it runs on the worker's event loop, and not on one of its threads."""
        call = getattr(self.function, "__call__", None)  # noqa: B004 - its type is asked for
        return inspect.iscoroutinefunction(self.function) or inspect.iscoroutinefunction(call)


def actor(kind: Kind[..., M]) -> Callable[[Callable[[M, Job], R_co]], Actor[M, R_co]]:
    """Make a function of (payload, job) the actor of `kind`.

    A `def` function runs on a thread of the worker; an `async def` one on its event loop, which it
    must not block. It may return any JSON value: it is the job's result. An effect in Postgres
    belongs in `job.transaction()`. An effect elsewhere carries `job.id` as its idempotency key.
    """
    return lambda function: Actor(kind, function)


class Actors(Mapping[str, Actor[Any, Any]]):
    """A worker's actors by kind. Raises ValueError if two have the same kind."""

    def __init__(self, actors: Iterable[Actor[Any, Any]]) -> None:
        given = list(actors)
        self._by_kind = {actor.kind.name: actor for actor in given}
        if len(self._by_kind) != len(given):
            ((kind, _),) = Counter(actor.kind.name for actor in given).most_common(1)
            raise ValueError(f"two actors have the kind {kind!r}")
        declare(actor.kind for actor in given)

    def __getitem__(self, kind: str) -> Actor[Any, Any]:
        return self._by_kind[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_kind)

    def __len__(self) -> int:
        return len(self._by_kind)
