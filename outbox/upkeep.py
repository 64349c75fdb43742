"""Keeps the engine's tables in order: what no step of a job does, since it would cost each job."""

import asyncio

from outbox import sequences, steps
from outbox.postgres import connect_async

BETWEEN_LOOKS_SECONDS = 60.0


async def run(database_url: str) -> None:
    """Once a minute move on sequences that are behind, and delete refusals that count no more.

    Runs for ever. Raises psycopg's errors; call it again then.
    """
    while True:
        async with await connect_async(database_url) as database:
            await sequences.move_on(database)
            await database.execute(steps.FORGET_REFUSALS)
        await asyncio.sleep(BETWEEN_LOOKS_SECONDS)
