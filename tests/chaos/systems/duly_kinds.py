"""The kinds and schedules of Duly's app."""

from datetime import timedelta

from pydantic import BaseModel

from outbox import Key, Kind, Kinds, Priority, Retry, Schedule, Unique, Until
from outbox.kinds import Work
from outbox.schedules.schedule import Missed, Overlap
from tests.chaos import limits, shop, terms
from tests.chaos.contenders import KEYED_QUEUE, QUEUE
from tests.chaos.orders import Order, Sort

RETRY = Retry(
    attempts=terms.ATTEMPTS,
    first=timedelta(seconds=terms.FIRST_BACKOFF_SECONDS),
    longest=timedelta(seconds=terms.LONGEST_PAUSE_SECONDS),
    never=(shop.Mendable,),
)


class Member(BaseModel):
    """A member of the batch of the order `key`."""

    key: str
    name: str
    is_called: bool = False
    dies: bool = False
    seconds: float = 0
    """How long it takes."""


class Beat(BaseModel):
    """What a tick's job does: it takes so long."""

    seconds: float


FULFIL = Kind("order.fulfil", Order, queue=QUEUE, retry=RETRY)
FULFIL_AS_TASK = Kind("order.fulfil_as_task", Order, queue=QUEUE, retry=RETRY)
CALL = Kind("order.call", Order, queue=QUEUE, retry=RETRY)
HALVES = Kind("order.halves", Order, queue=QUEUE, retry=RETRY)
HALVES_AS_TASK = Kind("order.halves_as_task", Order, queue=QUEUE, retry=RETRY)
STEPS = Kind("order.steps", Order, queue=QUEUE, retry=RETRY)
STEPS_AS_TASK = Kind("order.steps_as_task", Order, queue=QUEUE, retry=RETRY)
MEMBER = Kind("batch.member", Member, queue=QUEUE, retry=RETRY)
SUCCEEDED = Kind("batch.succeeded", Order, queue=QUEUE, retry=RETRY)
SETTLED = Kind("batch.settled", Order, queue=QUEUE, retry=RETRY)
DIED = Kind("batch.died", Order, queue=QUEUE, retry=RETRY)
BEAT = Kind("beat", Beat, queue=QUEUE, retry=RETRY)
IMPORT = Kind("order.import", Order, queue=QUEUE, retry=RETRY)


def account_of(order: Order) -> str:
    """The key of orders that have one."""
    return order.account


TWO_OF_AN_ACCOUNT = Key(account_of, at_most=limits.LIMITS[Sort.LIMITED])
LIMITED = Kind("account.limited", Order, queue=KEYED_QUEUE, retry=RETRY, key=TWO_OF_AN_ACCOUNT)
LIMITED_AS_TASK = Kind(
    "account.limited_as_task", Order, queue=KEYED_QUEUE, retry=RETRY, key=TWO_OF_AN_ACCOUNT
)
ORDERED = Kind(
    "account.ordered", Order, queue=KEYED_QUEUE, retry=RETRY, key=Key(account_of, ordered=True)
)
UNIQUE = Kind(
    "account.unique",
    Order,
    queue=KEYED_QUEUE,
    retry=RETRY,
    key=Key(account_of, at_most=limits.LIMITS[Sort.UNIQUE]),
    unique=Unique("account"),
)
DEBOUNCED = Kind(
    "account.debounced",
    Order,
    queue=KEYED_QUEUE,
    retry=RETRY,
    key=account_of,
    unique=Unique("account", debounce=timedelta(seconds=1), cap=timedelta(seconds=4)),
)
ONCE = Kind(
    "account.once", Order, queue=QUEUE, retry=RETRY, unique=Unique("account", until=Until.ENDED)
)
KINDS = Kinds(
    *(FULFIL, FULFIL_AS_TASK, CALL, HALVES, HALVES_AS_TASK, STEPS, STEPS_AS_TASK),
    *(MEMBER, SUCCEEDED, SETTLED, DIED, BEAT, IMPORT),
    *(LIMITED, LIMITED_AS_TASK, ORDERED, UNIQUE, DEBOUNCED, ONCE),
)
OF_ACCOUNTS = {
    Sort.ORDERED: ORDERED,
    Sort.UNIQUE: UNIQUE,
    Sort.DEBOUNCED: DEBOUNCED,
    Sort.ONCE: ONCE,
}


def priority_of(order: Order) -> Priority | None:
    """What will be cancelled goes first: otherwise little of it has begun by then."""
    return None if order.cancel_after is None else Priority.HIGH


def work_of(order: Order) -> Work[Order]:
    """Its job."""
    told = order.model_dump()
    match order.sort:
        case Sort.CALL:
            return CALL(**told)
        case Sort.SLOW | Sort.FLAKY:
            return FULFIL_AS_TASK(**told)
        case Sort.CANCEL:
            return HALVES_AS_TASK(**told) if order.is_task else HALVES(**told)
        case Sort.STEPS:
            return STEPS_AS_TASK(**told) if order.is_task else STEPS(**told)
        case Sort.LIMITED:
            return LIMITED_AS_TASK(**told) if order.is_task else LIMITED(**told)
        case Sort.ORDERED | Sort.UNIQUE | Sort.DEBOUNCED | Sort.ONCE:
            return OF_ACCOUNTS[order.sort](**told)
        case _:
            return FULFIL(**told)


def _every(seconds: int) -> str:
    return f"*/{seconds} * * * * *"


SCHEDULES = (
    Schedule(
        "beat.every",
        _every(terms.BEATS["beat.every"]),
        BEAT(seconds=0),
        overlap=Overlap.ALLOW,
        missed=Missed.RUN_ALL,
    ),
    Schedule(
        "beat.alone",
        _every(terms.BEATS["beat.alone"]),
        BEAT(seconds=4),
        overlap=Overlap.SKIP,
        missed=Missed.SKIP,
    ),
)
