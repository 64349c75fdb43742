"""The orders that clients place, drawn from the seed, and the effects that each must have."""

from enum import StrEnum
from random import Random

from pydantic import BaseModel

FOR_EVER = 1_000_000


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


SHARES = {
    Sort.QUICK: 45,
    Sort.SLOW: 10,
    Sort.FLAKY: 15,
    Sort.DOOMED: 3,
    Sort.CALL: 17,
    Sort.CHAIN: 10,
}


class Order(BaseModel):
    """What a client posts; the key is its own, and the same each time it tries again."""

    key: str
    sort: Sort
    seconds: float = 0
    failures: int = 0

    @property
    def is_stored(self) -> bool:
        """Whether a row in Postgres must come of it."""
        return self.sort in (Sort.QUICK, Sort.SLOW, Sort.FLAKY, Sort.CHAIN)

    @property
    def is_called(self) -> bool:
        """Whether a request must come of it."""
        return self.sort in (Sort.CALL, Sort.CHAIN)


def draw(random: Random, count: int) -> list[Order]:
    """So many orders, of all sorts."""
    sorts = random.choices(list(SHARES), list(SHARES.values()), k=count)
    return [_order(random, f"order-{number:06}", sort) for number, sort in enumerate(sorts)]


def _order(random: Random, key: str, sort: Sort) -> Order:
    if sort is Sort.SLOW:
        return Order(key=key, sort=sort, seconds=random.choice([0.5, 1, 2, 3, 15]))
    if sort is Sort.FLAKY:
        return Order(key=key, sort=sort, failures=random.randint(1, 3))
    return Order(key=key, sort=sort, failures=FOR_EVER if sort is Sort.DOOMED else 0)
