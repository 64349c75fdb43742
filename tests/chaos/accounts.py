"""What the shop writes down of orders that have accounts: runs of jobs, and what is asked of them.

Each row gets the next number of a sequence: Postgres's clock is stepped meanwhile. A run signs at
its begin, now and then, and at its end, each time in a transaction that commits only while its job
is its worker's. So between its first and its last row it ran, its worker lived and had Postgres;
of what came after the last one nothing is said.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import text
from sqlalchemy.orm import Session

from tests.chaos.orders import Order

SIGN = text(
    "INSERT INTO runs (run, job, key, account, is_end) VALUES (:run, :job, :key, :account, :is_end)"
)
WISH = text("INSERT INTO wishes (key, account, job) VALUES (:key, :account, :job)")
FULFIL = text("""
WITH done AS (
    UPDATE wishes SET done = nextval('moments') WHERE account = :account AND done IS NULL
    RETURNING key
)
INSERT INTO effects (key) SELECT key FROM done
""")
RUNS = """
SELECT job::text, key, account, min(moment), max(moment), bool_or(is_end)
FROM runs GROUP BY run, job, key, account
"""
WISHES = "SELECT key, account, job::text, done FROM wishes"


@dataclass(frozen=True, slots=True)
class Run:
    """An attempt of a job, with the order in its payload."""

    job: str
    key: str
    account: str
    begin: int
    last: int
    """Until then it ran, at least."""
    has_ended: bool = True
    """Whether `last` is the moment at which the job succeeded."""


@dataclass(frozen=True, slots=True)
class Wish:
    """An order that its account's job is to do, together with others: with the job it was told."""

    key: str
    account: str
    job: str
    done: int | None
    """When some job of the account did it."""


def sign(session: Session, run: str, job: UUID, order: Order, *, is_end: bool = False) -> None:
    """Note that the run goes on, or ends."""
    about = {"key": order.key, "account": order.account, "is_end": is_end}
    session.execute(SIGN, {"run": run, "job": job, **about})


def wish(session: Session, order: Order, job: UUID) -> None:
    """Ask for the order's effect; `job` is to have it."""
    session.execute(WISH, {"key": order.key, "account": order.account, "job": job})


def fulfil(session: Session, order: Order) -> None:
    """Have the effects of all orders of the account that are there and have none."""
    session.execute(FULFIL, {"account": order.account})


def read(database: "psycopg.Connection[Any]") -> tuple[Sequence[Run], Sequence[Wish]]:
    """All runs and all wishes."""
    runs = [Run(*row) for row in database.execute(RUNS)]
    return runs, [Wish(*row) for row in database.execute(WISHES)]
