"""The orders that clients place, drawn from the seed, and the effects that each must have."""

from enum import StrEnum
from random import Random

from pydantic import BaseModel

FOR_EVER = 1_000_000
MEMBERS = 20
CALLED_MEMBERS = 5
CANCELLED_BATCHES = 0.4
"""The share of batches that their clients cancel."""


class Sort(StrEnum):
    """What an order's job does."""

    QUICK = "quick"
    """A row in Postgres."""
    SLOW = "slow"
    """The same, after seconds of work; now and then more than a dead worker's silence."""
    FLAKY = "flaky"
    """The same, after it has failed one to three times."""
    DOOMED = "doomed"
    """Nothing but failures: it has to end where a person finds it."""
    CALL = "call"
    """A request to a service elsewhere."""
    CHAIN = "chain"
    """A row in Postgres, and a second job that makes the request."""
    BATCH = "batch"
    """Jobs that are counted together, and a row in Postgres once all of them have succeeded."""
    CANCEL = "cancel"
    """A row in Postgres in two halves, which the client cancels meanwhile."""
    STEPS = "steps"
    """Rows in Postgres, a few in each step, and then the row of the others. Some are cancelled."""
    LIMITED = "limited"
    """A row in Postgres, after seconds of work of which an account bears two at once."""
    ORDERED = "ordered"
    """The same, one after the other in each account, in the order in which they were placed."""
    UNIQUE = "unique"
    """A row in Postgres. One job writes those of all orders that its account has by then."""
    DEBOUNCED = "debounced"
    """The same, and each order of the account puts the job off."""
    ONCE = "once"
    """Nothing while a job of its account has not ended; otherwise a job."""
    EVENT = "event"
    """A message to another service."""
    FOREIGN = "foreign"
    """A message from another service, of which a row in Postgres comes."""


SHARES = {
    Sort.QUICK: 45,
    Sort.SLOW: 10,
    Sort.FLAKY: 15,
    Sort.DOOMED: 3,
    Sort.CALL: 17,
    Sort.CHAIN: 10,
}
MORE = {
    Sort.BATCH: 2,
    Sort.CANCEL: 5,
    Sort.STEPS: 3,
    Sort.LIMITED: 4,
    Sort.ORDERED: 4,
    Sort.UNIQUE: 3,
    Sort.DEBOUNCED: 2,
    Sort.ONCE: 2,
    Sort.EVENT: 3,
    Sort.FOREIGN: 3,
}
"""So many more to a hundred orders, where a system knows all that."""
SECONDS: dict[Sort, list[float]] = {
    Sort.LIMITED: [0.5, 1, 1, 2, 2, 3, 15],
    Sort.ORDERED: [0, 0.2, 0.5],
    Sort.UNIQUE: [0, 0.2, 1],
    Sort.DEBOUNCED: [0, 0.5],
    Sort.ONCE: [0.5, 1, 3],
}
"""How long those that have accounts take; now and then more than a dead worker's silence."""
ACCOUNTS = 3
"""Of each sort that has any. So few have their orders wait for each other."""


class Order(BaseModel):
    """What a client posts; the key is its own, and the same each time it tries again."""

    key: str
    sort: Sort
    seconds: float = 0
    failures: int = 0
    """How many attempts fail. In a batch: how many members are dead until somebody replays them."""
    wait: float = 0
    """For how many seconds the job is held back."""
    cancel_after: float | None = None
    """How many seconds after it was accepted the client cancels it."""
    is_task: bool = False
    """Whether its actor is `async def`."""
    account: str = ""
    """Whose order it is, where that matters."""

    @property
    def is_stored(self) -> bool:
        """Whether a row in Postgres must come of it."""
        return self.sort not in (Sort.CALL, Sort.DOOMED, Sort.ONCE, Sort.EVENT)

    @property
    def stored_members(self) -> list[str]:
        """The keys of a batch's members of which a row comes."""
        return [f"{self.key}.{number}" for number in range(MEMBERS - CALLED_MEMBERS)]

    @property
    def called_members(self) -> list[str]:
        """The keys of those of which a request comes."""
        return [f"{self.key}.{number}" for number in range(MEMBERS - CALLED_MEMBERS, MEMBERS)]

    @property
    def is_called(self) -> bool:
        """Whether a request must come of it."""
        return self.sort in (Sort.CALL, Sort.CHAIN)


def draw(random: Random, count: int) -> list[Order]:
    """So many orders, of all sorts."""
    sorts = random.choices(list(SHARES), list(SHARES.values()), k=count)
    return [_order(random, f"order-{number:06}", sort) for number, sort in enumerate(sorts)]


def draw_with_more(random: Random, count: int) -> list[Order]:
    """The same orders, and among them those of the sorts in MORE."""
    orders = draw(random, count)
    sorts = [sort for sort, share in MORE.items() for _ in range(count * share // 100)]
    orders += [_order(random, f"order-{count + n:06}", sort) for n, sort in enumerate(sorts)]
    random.shuffle(orders)
    return orders


def _order(random: Random, key: str, sort: Sort) -> Order:
    if sort is Sort.SLOW:
        return Order(key=key, sort=sort, seconds=random.choice([0.5, 1, 2, 3, 15]))
    if sort is Sort.FLAKY:
        return Order(key=key, sort=sort, failures=random.randint(1, 3))
    if sort is Sort.BATCH:
        return _batch(random, key)
    if sort is Sort.CANCEL:
        return Order(
            key=key,
            sort=sort,
            seconds=random.choice([0.5, 2, 4]),
            wait=random.choice([0, 0, 0, 5]),
            cancel_after=random.choice([0, 1, 2, 4, 8]),
            is_task=random.choice([False, True]),
        )
    if sort is Sort.STEPS:
        return Order(
            key=key,
            sort=sort,
            seconds=random.choice([1, 2, 4]),
            failures=random.choice([0, 0, 1, 2]),
            cancel_after=random.choice([None, None, None, 2]),
            is_task=random.choice([False, True]),
        )
    if sort in SECONDS:
        return Order(
            key=key,
            sort=sort,
            seconds=random.choice(SECONDS[sort]),
            failures=random.choice([0, 0, 0, 1, 2]),
            is_task=random.choice([False, True]) and sort is Sort.LIMITED,
            account=f"{sort}-{random.randrange(ACCOUNTS)}",
        )
    return Order(key=key, sort=sort, failures=FOR_EVER if sort is Sort.DOOMED else 0)


def _batch(random: Random, key: str) -> Order:
    """Those that are cancelled take longer, so that some of their members are running by then."""
    failures = random.choice([0, 0, 1, 2])
    if random.random() < CANCELLED_BATCHES:
        after, seconds = random.choice([1, 2, 4]), random.choice([1, 2])
        return Order(
            key=key, sort=Sort.BATCH, failures=failures, seconds=seconds, cancel_after=after
        )
    return Order(key=key, sort=Sort.BATCH, failures=failures)
