"""Handlers for the keys of jobs: list them with their limits, set and clear these."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from outbox.flow.keys import LARGEST_LIMIT, LONGEST_KEY
from outbox.flow.rates import LONGEST_PER, MOST_PERMITS, Rate
from outbox.http.auth.record import Why, WhyInQuery
from outbox.http.auth.scopes import Operator, Reader
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.platform import OnPlatform
from outbox.http.problems import types
from outbox.http.problems.problem import ANY_REQUEST, POST_REQUEST, Problem
from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.http.routes import cursors
from outbox.http.routes.cursors import Cursor, Limit
from outbox.http.routes.schedules.given import refused_fields
from outbox.operations.flow import key_limits, limits
from outbox.operations.flow.key_limits import KeyLimit, NotSet
from outbox.operations.flow.limits import KeyInUse
from outbox.store.records import fields

Key = Annotated[str, Path(pattern=r"^[^\x00]+$", max_length=LONGEST_KEY)]
ACT = problem_docs(*POST_REQUEST)

router = APIRouter(
    prefix="/v1/limits",
    tags=["Service"],
    route_class=TransactionalRoute,
    responses=problem_docs(*ANY_REQUEST),
)


class RateGiven(BaseModel):
    """How many jobs of a key may start in a time."""

    model_config = ConfigDict(extra="forbid")

    permits: int = Field(ge=1, le=MOST_PERMITS, description="So many in `per_seconds`.")
    per_seconds: float = Field(gt=0, le=LONGEST_PER.total_seconds())
    burst: int | None = Field(
        None,
        ge=1,
        le=MOST_PERMITS,
        description="How many of these may start at once; what comes in half a second if left out.",
    )

    def rate(self) -> Rate:
        """Raises ValueError for one that is too fast."""
        return Rate(self.permits, timedelta(seconds=self.per_seconds), self.burst)


class RateShown(BaseModel):
    """How many jobs of a key may start in a time."""

    permits: int
    per_seconds: float
    burst: int

    @classmethod
    def of(cls, rate: Rate | None) -> "RateShown | None":
        """The rate as clients see it."""
        if rate is None:
            return None
        per_seconds = rate.per.total_seconds()
        return cls(permits=rate.permits, per_seconds=per_seconds, burst=rate.burst)


class LimitGiven(Why):
    """A limit, a rate or both, for a key."""

    at_most: int | None = Field(
        None,
        le=LARGEST_LIMIT,
        description="Jobs that may run at a time, at least 1: to run none, pause the queue.",
    )
    rate: RateGiven | None = None


class LimitShown(BaseModel):
    """What somebody has set for a key; null is what the kinds of its jobs declare."""

    key: str
    at_most: int | None
    rate: RateShown | None
    since: datetime
    who: str
    why: str | None

    @classmethod
    def of(cls, limit: KeyLimit) -> "LimitShown":
        """The limit as clients see it."""
        return cls.model_validate(fields(limit) | {"rate": RateShown.of(limit.rate)})


class KeyShown(BaseModel):
    """A key that jobs hold now, that somebody has limited, or that a receiver has paused."""

    key: str
    at_most: int | None = Field(
        description="How many jobs of the key may run at a time; null without a limit."
    )
    rate: RateShown | None = Field(description="How many may start; null without a rate.")
    running: int
    admitted: int = Field(description="Jobs that may start, on their way to a worker.")
    dead: int = Field(description="Dead jobs that hold it until their letter is closed.")
    waiting: int = Field(description="Jobs that wait until they may start, counted up to 1,000.")
    paused_until: datetime | None = Field(
        description="Until when a receiver has asked to be left alone; else null."
    )
    set: LimitShown | None = Field(
        description="What somebody has set in place of what the kinds of its jobs declare."
    )

    @classmethod
    def of(cls, key: KeyInUse) -> "KeyShown":
        """The key as clients see it."""
        was_set = LimitShown.of(key.set) if key.set else None
        return cls.model_validate(fields(key) | {"rate": RateShown.of(key.rate), "set": was_set})


class KeyPage(BaseModel):
    """A page of keys, in order."""

    limits: list[KeyShown]
    next_cursor: str | None


@router.get(
    "",
    summary="List the keys in use",
    responses=success_doc(200, "KeyPage") | problem_docs(types.BAD_CURSOR),
)
async def list_limits(
    tx: Tx, _: Reader, platform: OnPlatform, limit: Limit = 50, cursor: Cursor = None
) -> KeyPage:
    """The keys that jobs hold now or that are limited, with how many run and how many wait."""
    after = cursors.read(cursor, "limits", str)
    found = await tx.run_sync(limits.find, platform.kinds, limit=limit + 1, after=after)
    last = found[limit - 1].key if len(found) > limit else None
    shown = [KeyShown.of(each) for each in found[:limit]]
    return KeyPage(limits=shown, next_cursor=cursors.after(last, "limits"))


# A key may hold a slash.
@router.put("/{key:path}", summary="Limit a key", responses=success_doc(200, "LimitShown") | ACT)
async def set_limit(key: Key, wanted: LimitGiven, tx: Tx, by: Operator) -> LimitShown:
    """Have a limit, a rate or both hold for a key, in place of what its kinds declare.

    It replaces all that was set for the key before. What runs is not stopped.
    """
    with refused_fields():
        rate = wanted.rate.rate() if wanted.rate else None
        limit = await tx.run_sync(
            key_limits.set_limit,
            key,
            at_most=wanted.at_most,
            rate=rate,
            by=str(by),
            why=wanted.why,
        )
    return LimitShown.of(limit)


@router.delete(
    "/{key:path}",
    status_code=204,
    summary="Lift the limit of a key",
    responses=problem_docs(types.NOT_FOUND),
)
async def clear_limit(key: Key, tx: Tx, by: Operator, why: WhyInQuery = None) -> None:
    """Have what its kinds declare hold for the key again."""
    try:
        await tx.run_sync(key_limits.clear_limit, key, by=str(by), why=why)
    except NotSet as error:
        raise Problem(types.NOT_FOUND, str(error)) from None
