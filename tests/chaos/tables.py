"""The tables: Duly's, and those of the shop.

No constraint keeps an effect from being stored twice: it would hide what a system does.
"""

from sqlalchemy import create_engine, text

from outbox.postgres.address import sqlalchemy_url
from outbox.store.schema import SCHEMA, metadata

SHOP = """
CREATE TABLE orders (key text PRIMARY KEY, placed_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE effects (key text NOT NULL, stored_at timestamptz NOT NULL DEFAULT now());
CREATE SEQUENCE moments;
CREATE TABLE runs (
    run text NOT NULL, job uuid NOT NULL, key text NOT NULL, account text NOT NULL,
    moment bigint NOT NULL DEFAULT nextval('moments'), is_end boolean NOT NULL
);
CREATE TABLE wishes (key text NOT NULL, account text NOT NULL, job uuid NOT NULL, done bigint);
CREATE TABLE published (key text NOT NULL, message_id text NOT NULL);
"""


def create_tables(database_url: str) -> None:
    """Make them all in an empty database."""
    engine = create_engine(sqlalchemy_url(database_url))
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        metadata.create_all(connection)
        connection.execute(text(SHOP))
    engine.dispose()
