"""What all systems share: an order's row, which is the business of whoever hands in a job."""

import os
from functools import cache

from pydantic import BaseModel
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from outbox.postgres.address import sqlalchemy_url

CONNECTIONS = 16
"""As many as the load has, so that no request waits for one."""
CREATE_ORDERS = (
    "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text)"
)
INSERT_ORDER = "INSERT INTO orders (item) VALUES ('a thing')"
"""For a system whose connection is not SQLAlchemy's."""
KEEP = text("INSERT INTO orders (item) VALUES (:item) RETURNING id")
WITH_ORDER = not os.environ.get("BENCH_ALONE")
"""Whether a producer writes an order's row with each transaction, or hands in jobs alone."""


class Order(BaseModel):
    """What a client sends."""

    item: str


@cache
def engine() -> Engine:
    """The process's connections."""
    return create_engine(sqlalchemy_url(os.environ["DATABASE_URL"]), pool_size=CONNECTIONS)


def keep_order(session: Session) -> None:
    """Write an order's row in this transaction, unless jobs are measured alone."""
    if WITH_ORDER:
        session.execute(KEEP, {"item": "a thing"})


def commit_order() -> None:
    """The same in a transaction of its own: for systems that publish after the commit."""
    if WITH_ORDER:
        with Session(engine()) as session, session.begin():
            keep_order(session)
