"""The wake-up call to the relays: best effort, where the work itself is certain.

Sent after the commit and on a connection of its own, never inside a business transaction: NOTIFY
takes an instance-wide lock at commit, which would line all writers up. Relays that miss it look by
themselves before long.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import AsyncConnection

from outbox.database import conninfo

CHANNEL = "duly_relay"
NOTIFY = f"NOTIFY {CHANNEL}"
LONGEST_SECONDS = 5


class Nudge:
    """Nudges the relays from a process that serves requests, coalesced.

    While one nudge is on its way at most one more follows, however many requests ask for it.
    """

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._connection: AsyncConnection[Any] | None = None
        self._sending = asyncio.Lock()
        self._waiting = False

    async def send(self) -> None:
        """Nudge. Never raises for want of Postgres."""
        if self._waiting:
            return
        self._waiting = True
        async with self._sending:
            self._waiting = False
            try:
                async with asyncio.timeout(LONGEST_SECONDS):
                    await (await self._connected()).execute(NOTIFY)
            except (psycopg.Error, OSError, TimeoutError):
                await self._disconnect()

    async def close(self) -> None:
        """Close the connection."""
        async with self._sending:
            await self._disconnect()

    async def _connected(self) -> "AsyncConnection[Any]":
        if self._connection is None:
            self._connection = await AsyncConnection.connect(
                conninfo(self._database_url), autocommit=True
            )
        return self._connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error, OSError):
                await self._connection.close()
            self._connection = None


async def listen(database_url: str, on_nudge: Callable[[], None]) -> None:
    """Call `on_nudge` at each nudge, for ever. Raises psycopg's errors; call it again then."""
    async with await AsyncConnection.connect(conninfo(database_url), autocommit=True) as connection:
        await connection.execute(f"LISTEN {CHANNEL}")
        async for _ in connection.notifies():
            on_nudge()
