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
LEAST_SECONDS = 0.005
LONGEST_SECONDS = 5


class Nudge:
    """Nudges the relays from a process that serves requests, coalesced.

    However many requests ask for it, there is one nudge in `LEAST_SECONDS`; the last that asks is
    heard. None of them waits for it: the next request of its client would wait as well.
    """

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._connection: AsyncConnection[Any] | None = None
        self._is_wanted = False
        self._sending: asyncio.Task[None] | None = None

    async def send(self) -> None:
        """Nudge soon. Never raises for want of Postgres."""
        self._is_wanted = True
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_all())

    async def close(self) -> None:
        """Send what is left, and close the connection."""
        if self._sending is not None:
            await self._sending
        await self._disconnect()

    async def _send_all(self) -> None:
        while self._is_wanted:
            self._is_wanted = False
            await self._send()
            await asyncio.sleep(LEAST_SECONDS)

    async def _send(self) -> None:
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                await (await self._connected()).execute(NOTIFY)
        except (psycopg.Error, OSError, TimeoutError):
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
