"""Repairs and tidies the engine's tables once a minute, so that no transition pays for it."""

import asyncio

from outbox.postgres.session_settings import connect_async
from outbox.store import sequences, transitions

INTERVAL_SECONDS = 60.0


async def run(database_url: str) -> None:
    """Advance sequences that are behind, and delete refusals and clocks that no longer count.

    Runs for ever. Raises psycopg's errors; call it again then.
    """
    while True:
        async with await connect_async(database_url) as database:
            await sequences.advance_async(database)
            await database.execute(transitions.PRUNE_REFUSALS)
            await database.execute(transitions.PRUNE_CLOCKS)
        await asyncio.sleep(INTERVAL_SECONDS)
