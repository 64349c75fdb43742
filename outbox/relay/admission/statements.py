"""The statements of admission, several in one round trip."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection
from pydantic_core import to_json

from outbox.postgres.round_trip import Ask, PreparedStatement, named_rows, plain, round_trip
from outbox.postgres.session_settings import READ_COMMITTED, connect_async, is_pooled
from outbox.store import transitions

SETTINGS = READ_COMMITTED | {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "synchronous_commit": "off",
}
"""Each statement finds its rows by an index, also while the tables are small.

Nothing waits for the disk: what a crash of Postgres loses of an admission, it loses of all that
followed, and the events wait again. A claim under a limit does wait, and so for its admission, too.
"""

KEYED_QUEUES = PreparedStatement("keyed_queues", transitions.KEYED_QUEUES)
SWEEP_HOLDERS = PreparedStatement("sweep_holders", transitions.SWEEP_HOLDERS)
HOLDERS = PreparedStatement("holders", transitions.HOLDERS)
SCAN_KEYS = PreparedStatement("scan_keys", transitions.SCAN_KEYS)
TRY_LOCK_KEYS = PreparedStatement("try_lock_keys", transitions.TRY_LOCK_KEYS)
COUNT_HOLDERS = PreparedStatement("count_holders", transitions.COUNT_HOLDERS)
ADMIT = PreparedStatement("admit", transitions.ADMIT)
ADMIT_FIRST = PreparedStatement("admit_first", transitions.ADMIT_FIRST)
READ_CLOCKS = PreparedStatement("read_clocks", transitions.READ_CLOCKS)
READ_LIMITS = PreparedStatement("read_limits", transitions.READ_LIMITS)
_ALL = (
    *(KEYED_QUEUES, SWEEP_HOLDERS, HOLDERS, SCAN_KEYS),
    *(TRY_LOCK_KEYS, COUNT_HOLDERS, ADMIT, ADMIT_FIRST),
    *(READ_CLOCKS, READ_LIMITS),
)
BEGIN, COMMIT = plain("BEGIN ISOLATION LEVEL READ COMMITTED"), plain("COMMIT")

Database = AsyncConnection[Any]


@asynccontextmanager
async def connect(database_url: str) -> AsyncIterator[Database]:
    """Open a connection for admission. Raises psycopg's errors."""
    async with await connect_async(database_url, SETTINGS) as database:
        if not is_pooled(database):
            await database.wait(round_trip(database, *(each.prepare for each in _ALL)))
        yield database


async def execute(database: Database, *asks: Ask) -> list[list[Any]]:
    """The rows of each statement. Raises psycopg's errors; then close the connection."""
    answers = await database.wait(round_trip(database, *asks))
    return [named_rows(database, each) if each.nfields else [] for each in answers]


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """A parameter for `json_to_recordset`."""
    return to_json(rows).decode()
