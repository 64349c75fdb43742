"""Knows who reads metrics, also while Postgres is away: that is when they matter."""

import asyncio
import hashlib
import time

from sqlalchemy.exc import SQLAlchemyError

from outbox.http.auth.verified_keys import VerifiedKeys
from outbox.operations.api_keys import Caller, Scope

REMEMBERED_SECONDS = 900.0
"""How long a key that may read metrics is taken for valid while Postgres does not answer."""
PATIENCE_SECONDS = 2.0
"""How long Postgres is asked about such a key: a scrape ends after 10 s, and asks more of it."""


class ScraperKeys:
    """Finds callers as `VerifiedKeys` does, and remembers those that may read metrics.

    Nobody can revoke a key while Postgres is away. One that was revoked before is not remembered
    from the first scrape on that Postgres answers.
    """

    def __init__(self, keys: VerifiedKeys) -> None:
        self._keys = keys
        self._known: dict[bytes, tuple[Caller, float]] = {}

    async def caller(self, key: str) -> Caller | None:
        """Who holds the key, or None. Raises as `VerifiedKeys.caller` for keys it does not know."""
        digest = hashlib.sha256(key.encode()).digest()
        known, until = self._known.get(digest, (None, 0.0))
        if time.monotonic() > until:
            return self._remember(digest, await self._keys.caller(key))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                found = await self._keys.caller(key)
        except (SQLAlchemyError, TimeoutError):
            return known
        return self._remember(digest, found)

    def _remember(self, digest: bytes, caller: Caller | None) -> Caller | None:
        now = time.monotonic()
        self._known = {each: kept for each, kept in self._known.items() if now < kept[1]}
        self._known.pop(digest, None)
        if caller is not None and caller.may(Scope.METRICS):
            self._known[digest] = caller, now + REMEMBERED_SECONDS
        return caller
