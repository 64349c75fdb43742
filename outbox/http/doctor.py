"""Has the set-up checked beside the requests, one examination at a time."""

import asyncio

from outbox.doctor import Finding, Setup, examine


class Doctor:
    """Examines the app's set-up, as `duly doctor` does but for what an api cannot see."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._lock = asyncio.Lock()

    async def findings(self) -> list[Finding]:
        """What each check finds now. Takes seconds if a server does not answer."""
        async with self._lock:
            return await asyncio.to_thread(examine, self._setup)
