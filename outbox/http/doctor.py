"""Has the set-up checked beside the requests, one examination at a time."""

import asyncio

from outbox.doctor import Finding, Setup, examine


class Doctor:
    """Examines the app's set-up, as `duly doctor` does but for what an api cannot see."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._lock = asyncio.Lock()
        self._next: asyncio.Task[list[Finding]] | None = None

    async def findings(self) -> list[Finding]:
        """What each check finds now. Takes seconds if a server does not answer.

        All who ask while an examination runs share the next one: it begins after they have asked.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._examine())
        return await asyncio.shield(self._next)

    async def _examine(self) -> list[Finding]:
        async with self._lock:
            self._next = None
            return await asyncio.to_thread(examine, self._setup)
