"""Deletes messages to and of other services, once their retention is over."""

import asyncio
import time
from datetime import timedelta
from typing import Any

from psycopg import AsyncConnection

from outbox.maintenance.pruning.walks import PAUSE_FACTOR
from outbox.postgres.session_settings import connect_async
from outbox.store import transitions

INTERVAL_SECONDS = 3600.0


async def run(database_url: str, sent: timedelta | None, received: timedelta | None) -> None:
    """Prune once an hour, for ever; None keeps all. Raises psycopg's errors; call it again then."""
    async with await connect_async(database_url) as database:
        while True:
            if sent is not None:
                await _prune(database, transitions.PRUNE_MESSAGES, sent)
            if received is not None:
                await _prune(database, transitions.PRUNE_RECEIVED, received)
            await asyncio.sleep(INTERVAL_SECONDS)


async def _prune(database: AsyncConnection[Any], statement: str, retention: timedelta) -> None:
    """Delete a thousand at a time, with pauses, until there are none."""
    deleted = 1
    while deleted:
        began = time.monotonic()
        deleted = (await database.execute(statement, {"retention": retention})).rowcount
        await asyncio.sleep(PAUSE_FACTOR * (time.monotonic() - began))
