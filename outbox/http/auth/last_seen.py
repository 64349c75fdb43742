"""Writes down when an API key was last used, after the answer, and best effort."""

import time

import structlog

from outbox.http.requests.late_writes import LateWrites
from outbox.operations import api_keys

log = structlog.get_logger(__name__)


class LastSeen:
    """Writes the last use of the keys that this process sees, each at most once a minute."""

    def __init__(self, writes: LateWrites) -> None:
        self._writes = writes
        self._noted: dict[str, float] = {}

    def is_due(self, prefix: str) -> bool:
        """Whether this process has not noted the key for a minute."""
        noted = self._noted.get(prefix)
        return noted is None or time.monotonic() - noted >= api_keys.SEEN_EVERY.total_seconds()

    async def note(self, prefix: str) -> None:
        """Write that the key was used now, unless another task has just done so.

        Raises nothing: what goes wrong is logged, and the next attempt is a minute later. If the
        process dies before or during this, this use is not recorded.
        """
        if not self.is_due(prefix):
            return
        self._noted[prefix] = time.monotonic()
        if error := await self._writes.write(api_keys.note_use, prefix):
            log.warning("the use of an API key was not noted", error_type=error)
