"""Kinds of job: each is declared once, submitted by handlers and run by actors."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum
from functools import cache
from typing import Any, Generic, ParamSpec, TypeVar, cast

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json

from outbox.flow.keys import Key, keys_from
from outbox.flow.unique import Unique
from outbox.retry import Retry

LONGEST_NAME = 200
"""Characters in the name of a kind."""
QUEUE = re.compile(r"(?!amq\.)[A-Za-z_][A-Za-z0-9._-]{0,199}(?<!\.[DX]Q)")
"""Names that Dramatiq accepts, except RabbitMQ's own (`amq.`) and those of Dramatiq's delay (`.DQ`)
and dead-letter queues (`.XQ`). RabbitMQ's limit is 255 bytes."""
NOT_FINITE = "a payload may not hold NaN or infinity"

P = ParamSpec("P")
M = TypeVar("M", bound=BaseModel)


class Priority(IntEnum):
    """The order in which a queue's backlog is published: lower numbers first."""

    HIGH = 0
    NORMAL = 1
    LOW = 2


@dataclass(frozen=True, slots=True)
class Kind(Generic[P, M]):
    """A kind of job, such as `invoice.render`. Calling it makes the work to submit.

    The call takes the payload model's own arguments, so that a wrong or missing one is a type
    error where the job is submitted. `sensitive` names payload fields that no log, listing or
    command line shows. `queue` has letters, digits, `.`, `_` and `-`. `key` is a function that
    makes each job's key from its payload, a `Key`, or several of them: see `Key`. Of a queue, each
    first key gets its share. `unique` says which jobs of the kind are one. `owner` is who mends it,
    and `idempotency` says in a few words why a second attempt does no harm: people are shown both.
    Raises ValueError for a name or queue that no message could carry, a payload that is no pydantic
    model, a field in `sensitive` or `unique` that it lacks, and keys as `Key` does.
    """

    name: str
    payload: Callable[P, M]
    queue: str = "default"
    priority: Priority = Priority.NORMAL
    time_limit: timedelta = timedelta(minutes=10)
    retry: Retry = field(default_factory=Retry)
    sensitive: tuple[str, ...] = ()
    key: Callable[[M], str] | Key | tuple[Key | Callable[[M], str], ...] | None = None
    keys: tuple[Key, ...] = field(init=False, repr=False)
    unique: Unique | None = None
    owner: str | None = None
    idempotency: str | None = None

    def __post_init__(self) -> None:
        if not (self.name.isprintable() and 0 < len(self.name) <= LONGEST_NAME):
            raise ValueError(
                f"{self.name!r} is no name of a kind: one line of 1 to {LONGEST_NAME} characters"
            )
        if not (isinstance(self.payload, type) and issubclass(self.payload, BaseModel)):
            why = f"its payload has to be a pydantic model, not {self.payload!r}"
            raise ValueError(f"{self.name}: {why}")  # noqa: TRY004 - as for all else that is wrong
        if not QUEUE.fullmatch(self.queue):
            raise ValueError(f"{self.name}: {self.queue!r} is no name of a queue")
        Priority(self.priority)
        named = {*self.sensitive, *(self.unique.fields if self.unique else ())}
        if unknown := named - set(self.model.model_fields):
            raise ValueError(f"{self.name}: its payload has no field {', '.join(sorted(unknown))}")
        try:
            object.__setattr__(self, "keys", keys_from(self.key))
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> "Work[M]":
        return Work(self, self.payload(*args, **kwargs))

    @property
    def model(self) -> type[M]:
        """The payload's class."""
        return cast("type[M]", self.payload)

    @property
    def is_limited(self) -> bool:
        """Whether one of its keys has a limit."""
        return any(key.at_most for key in self.keys)

    @property
    def is_rated(self) -> bool:
        """Whether one of its keys has a rate."""
        return any(key.rate for key in self.keys)

    @property
    def is_ordered(self) -> bool:
        """Whether its jobs run in the order in which they were submitted."""
        return any(key.ordered for key in self.keys)

    def parse(self, payload: object) -> "Work[M]":
        """The work for a payload that arrived as data. Raises pydantic.ValidationError."""
        return Work(self, _read(self.model, payload))


@dataclass(frozen=True, slots=True)
class Work(Generic[M]):
    """A kind with a valid payload: what `submit` takes."""

    kind: Kind[..., M]
    payload: M

    def keys(self) -> list[str]:
        """The job's keys, in the order of the kind's.

        Raises ValueError as `Key.of` does, and if two are equal.
        """
        keys = [self._key(place) for place in range(len(self.kind.keys))]
        if len(set(keys)) < len(keys):
            raise ValueError(f"{self.kind.name}: two of its keys are equal")
        return keys

    def _key(self, place: int) -> str:
        keys = self.kind.keys
        try:
            return keys[place].of(self.payload)
        except ValueError as error:
            which = f"key {place + 1} of {len(keys)}: " if len(keys) > 1 else ""
            raise ValueError(f"{self.kind.name}: {which}{error}") from error.__cause__

    def to_json(self) -> str:
        """The payload as JSON, in ASCII, as the worker will read it.

        Raises ValueError if it holds NaN or infinity, which JSON has not, or if the kind cannot
        read it again: of a model with aliases, or with fields that it leaves out.
        """
        text: str = self.payload.model_dump_json(ensure_ascii=True)
        try:
            read = from_json(text, allow_inf_nan=False)
        except ValueError:
            raise ValueError(f"{self.kind.name}: {NOT_FINITE}") from None
        if "null" in text and not _is_kept(self.payload.model_dump(), read):
            raise ValueError(f"{self.kind.name}: {NOT_FINITE}")
        try:
            _read(self.kind.model, read)
        except ValidationError as error:
            raise ValueError(f"{self.kind.name}: {_unreadable(error)}") from None
        return text


class Kinds(Mapping[str, Kind[..., Any]]):
    """All kinds of a service, by name. Raises ValueError if two have the same name."""

    def __init__(self, *kinds: Kind[..., Any]) -> None:
        self._by_name = {kind.name: kind for kind in kinds}
        if len(self._by_name) != len(kinds):
            raise ValueError(f"two kinds have the name {_twice(kind.name for kind in kinds)!r}")

    def __getitem__(self, name: str) -> Kind[..., Any]:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def queues(self) -> list[str]:
        """Every queue that a kind uses, sorted."""
        return sorted({kind.queue for kind in self._by_name.values()})

    @property
    def holding(self) -> list[str]:
        """The kinds whose dead jobs hold their first key."""
        return [kind.name for kind in self.values() if any(key.hold for key in kind.keys)]


def _read(model: type[M], payload: object) -> M:
    """The payload of data. Raises pydantic.ValidationError.

    The validator itself is asked: `model_validate` takes twice its time, for each job that is
    submitted or run.
    """
    return cast("M", _adapter(model).validator.validate_python(payload))


@cache
def _adapter(model: type[M]) -> TypeAdapter[M]:
    return TypeAdapter(model)


_declared: dict[str, list[Kind[..., Any]]] = {}


def declare(kinds: Iterable[Kind[..., Any]]) -> None:
    """Note kinds that an app or an actor of this process has."""
    for kind in kinds:
        known = _declared.setdefault(kind.name, [])
        if kind not in known:
            known.append(kind)


def is_declared(kind: Kind[..., Any]) -> bool:
    """Whether an app or an actor of this process has this kind, or there is neither to ask."""
    return not _declared or kind in _declared.get(kind.name, ())


def _twice(names: Iterable[str]) -> str:
    """The name that most have."""
    return Counter(names).most_common(1)[0][0]


def _is_kept(value: object, read: object) -> bool:
    """Whether no NaN and no infinity in the value has become a null, as pydantic has it."""
    if isinstance(value, float):
        return math.isfinite(value) or read is not None
    if isinstance(value, Mapping) and isinstance(read, dict):
        return all(map(_is_kept, value.values(), read.values()))
    if isinstance(value, Iterable) and isinstance(read, list):
        return all(map(_is_kept, value, read))
    return True


def _unreadable(error: ValidationError) -> str:
    """Why, without the values."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    fields = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found)
    return f"a worker could not read this payload: {'; '.join(fields)}"
