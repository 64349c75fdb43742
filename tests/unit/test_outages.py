"""Which errors are outages of Postgres."""

import psycopg
import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeout

from outbox.postgres.outages import is_unreachable


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (psycopg.OperationalError("the connection is lost"), True),
        (psycopg.errors.ReadOnlySqlTransaction(), True),
        (psycopg.errors.UniqueViolation(), False),
        (PoolTimeout("QueuePool limit of size 10 overflow 0 reached"), False),
    ],
)
def test_what_says_that_postgres_is_away(error: Exception, *, expected: bool) -> None:
    assert is_unreachable(error) is expected
