"""What the apps of all systems share: how an order is kept, and the effects that its job has."""

import os
import time
from collections.abc import Iterator, Sequence

import httpx2
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from outbox.postgres.address import sqlalchemy_url
from tests.chaos import terms
from tests.chaos.orders import Order

engine = create_engine(
    sqlalchemy_url(os.environ["DATABASE_URL"]),
    pool_size=terms.THREADS,
    pool_pre_ping=True,
    connect_args={"connect_timeout": 5},
)
NAP_SECONDS = 0.05

elsewhere = httpx2.Client(base_url=os.environ["RECEIVER_URL"], timeout=10)


class Failed(Exception):
    """The work fails, as it was told to."""


class Mendable(Exception):
    """The work fails, and only a person can mend that."""


def keep(session: Session, order: Order) -> bool:
    """Keep the order; False where it is there already, from an earlier try of the client."""
    kept = session.execute(
        text("INSERT INTO orders (key) VALUES (:key) ON CONFLICT DO NOTHING RETURNING key"),
        {"key": order.key},
    )
    return kept.first() is not None


def work(order: Order, attempt: int) -> None:
    """What comes before the effect: time, and failures. `attempt` counts from 1."""
    time.sleep(order.seconds)
    fail(order, attempt)


def naps(seconds: float) -> Iterator[tuple[int, int]]:
    """Take so long in short naps, as a call into C is not interrupted: which, and of how many."""
    count = round(seconds / NAP_SECONDS)
    for nap in range(count):
        yield nap, count
        time.sleep(NAP_SECONDS)


def fail(order: Order, attempt: int) -> None:
    """Fail as often as the order says."""
    if attempt <= order.failures:
        raise Failed(f"attempt {attempt} of an order that fails {order.failures} times")


def store(session: Session, order: Order) -> None:
    """The effect in Postgres."""
    write(session, order.key)


def write(session: Session, key: str) -> None:
    """A part of the effect in Postgres."""
    session.execute(text("INSERT INTO effects (key) VALUES (:key)"), {"key": key})


def count(session: Session, keys: Sequence[str]) -> int:
    """How many of these keys have an effect in Postgres."""
    found = "SELECT count(DISTINCT key) FROM effects WHERE key = ANY (:keys)"
    return int(session.execute(text(found), {"keys": list(keys)}).scalar_one())


def call(order: Order, idempotency_key: str) -> None:
    """The effect elsewhere."""
    call_for(order.key, idempotency_key)


def call_for(key: str, idempotency_key: str) -> None:
    """The same, for a part of an order."""
    headers = {"Idempotency-Key": idempotency_key}
    elsewhere.post("/", json={"key": key}, headers=headers).raise_for_status()
