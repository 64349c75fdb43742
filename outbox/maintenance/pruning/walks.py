"""Walks over a table from row to row, and deletes what may go: in small steps, with long pauses."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg

from outbox.postgres.refused_records import is_about_one

PAUSE_FACTOR = 19
"""The pause in durations of the last step (a duty cycle of 5 %): longer when Postgres is busy."""
ONE_BY_ONE = 100
"""How many rows it handles one by one before it tries a whole step again."""

Place = TypeVar("Place")
Step = Callable[[Place], Awaitable[tuple[Place, int] | None]]
"""Looks at the rows after a place; returns the last of them and how many it deleted.

None if there are no more.
"""
Skip = Callable[[Place, psycopg.Error], Awaitable[Place | None]]
"""Tells of the row after a place, which cannot be deleted; returns it, or None if it is gone."""


async def walk(prune: Step[Place], start: Place) -> int:
    """Prune from the start to the end, with pauses; returns how many were deleted."""
    total, place = 0, start
    while True:
        began = time.monotonic()
        walked = await prune(place)
        if walked is None:
            return total
        place, pruned = walked
        total += pruned
        await asyncio.sleep(PAUSE_FACTOR * (time.monotonic() - began))


def skipping(prune: Step[Place], prune_one: Step[Place], skip: Skip[Place]) -> Step[Place]:
    """A step that skips what cannot be deleted, as when another table refers to it."""

    async def step(after: Place) -> tuple[Place, int] | None:
        try:
            return await prune(after)
        except psycopg.Error as error:
            if not is_about_one(error):
                raise
            return await _prune_one_by_one(prune_one, skip, after)

    return step


async def _prune_one_by_one(
    prune_one: Step[Place], skip: Skip[Place], after: Place
) -> tuple[Place, int]:
    total = 0
    for _ in range(ONE_BY_ONE):
        try:
            walked = await prune_one(after)
        except psycopg.Error as error:
            if not is_about_one(error):
                raise
            skipped = await skip(after, error)
            walked = None if skipped is None else (skipped, 0)
        if walked is None:
            break
        after, pruned = walked
        total += pruned
    return after, total
