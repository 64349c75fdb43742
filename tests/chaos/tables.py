"""The tables: Duly's, and the two of the shop.

No constraint keeps an effect from being stored twice: it would hide what a system does.
"""

from sqlalchemy import create_engine, text

from outbox.postgres.address import sqlalchemy_url
from outbox.store.schema import SCHEMA, metadata

SHOP = """
CREATE TABLE orders (key text PRIMARY KEY, placed_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE effects (key text NOT NULL, stored_at timestamptz NOT NULL DEFAULT now());
"""


def create_tables(database_url: str) -> None:
    """Make them all in an empty database."""
    engine = create_engine(sqlalchemy_url(database_url))
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        metadata.create_all(connection)
        connection.execute(text(SHOP))
    engine.dispose()
