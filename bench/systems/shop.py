"""What the shops of all systems share: an order's row."""

import os
from functools import cache

from pydantic import BaseModel
from sqlalchemy import Engine, create_engine, text

from outbox.database import sqlalchemy_url

CONNECTIONS = 16
"""As many as the load has, so that no request waits for one."""
CREATE_ORDERS = (
    "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text)"
)
KEEP = text("INSERT INTO orders (item) VALUES (:item) RETURNING id")


class Order(BaseModel):
    """What a client sends."""

    item: str


@cache
def engine() -> Engine:
    """The process's connections."""
    return create_engine(sqlalchemy_url(os.environ["DATABASE_URL"]), pool_size=CONNECTIONS)
