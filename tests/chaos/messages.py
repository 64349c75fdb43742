"""What became of messages: those to another service, and those from it."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import psycopg

from tests.chaos.orders import Order, Sort

EXCHANGE = "partner"
EVENTS = "partner.events"
"""The other service's queue, bound to the exchange."""
FOREIGN = "partner.orders"
"""Where the other service puts its own messages."""
PUBLISHED = "SELECT key, message_id FROM published"

Ids = Mapping[str, Collection[str]]
"""Message ids by the orders that they are about."""


def wrong(
    orders: Iterable[Order], published: Mapping[str, str], received: Ids, jobs: Mapping[str, int]
) -> list[str]:
    """What is wrong with those of the orders that are messages, one way or the other.

    `jobs` counts the jobs that were made of foreign ones.
    """
    return [
        f"{order.key}: {fault}"
        for order in orders
        for fault in _faults(order, published, received, jobs)
    ]


def read(database: "psycopg.Connection[Any]") -> dict[str, str]:
    """The id of each message that was published, by its order."""
    return dict(database.execute(PUBLISHED).fetchall())


def _faults(
    order: Order, published: Mapping[str, str], received: Ids, jobs: Mapping[str, int]
) -> Iterator[str]:
    if order.sort is Sort.EVENT:
        if order.key not in published:
            yield "its message was not published"
        elif published[order.key] not in received.get(order.key, ()):
            ids = ", ".join(received.get(order.key, ())) or "none"
            yield f"its message {published[order.key]} did not arrive, but {ids}"
    if order.sort is Sort.FOREIGN and (count := jobs.get(order.key, 0)) != 1:
        yield f"its message became {count} jobs"
