"""An actor: the function that runs the jobs of one kind."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from outbox.job import Job
from outbox.kinds import Kind

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Actor:
    """A kind and the function that runs its jobs."""

    kind: Kind[..., Any]
    function: Callable[[Any, Job], Any]


def actor(kind: Kind[..., M]) -> Callable[[Callable[[M, Job], Any]], Actor]:
    """Make a function of (payload, job) the actor of `kind`.

    The function may return any JSON value: it is the job's result. An effect in Postgres belongs in
    `job.transaction()`. An effect elsewhere carries `job.id` as its idempotency key.
    """
    return lambda function: Actor(kind, function)


class Actors(Mapping[str, Actor]):
    """A worker's actors by kind. Raises ValueError if two have the same kind."""

    def __init__(self, actors: Iterable[Actor]) -> None:
        given = list(actors)
        self._by_kind = {actor.kind.name: actor for actor in given}
        if len(self._by_kind) != len(given):
            raise ValueError("two actors have the same kind")

    def __getitem__(self, kind: str) -> Actor:
        return self._by_kind[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_kind)

    def __len__(self) -> int:
        return len(self._by_kind)
