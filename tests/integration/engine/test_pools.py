"""Which connections a pool replaces."""

import math

from sqlalchemy import create_engine, text

from outbox.postgres.address import sqlalchemy_url
from outbox.postgres.pools import replace_older, replace_unusable


def test_a_pooled_connection_is_replaced_and_a_new_one_is_used_however_stale(
    database_url: str,
) -> None:
    """While Postgres comes and goes, a connection may be lost as soon as it is made."""
    engine = create_engine(sqlalchemy_url(database_url), pool_size=1)
    replace_unusable(engine)
    replace_older(engine, lambda: math.inf)
    pids = set()
    for _ in range(3):
        with engine.connect() as connection:
            pids.add(connection.scalar(text("SELECT pg_backend_pid()")))
    engine.dispose()
    assert len(pids) == 3
