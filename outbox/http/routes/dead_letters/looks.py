"""Notes that somebody looked at a dead letter, after the answer and best effort."""

import structlog
from fastapi import BackgroundTasks

from outbox.http.requests.late_writes import LateWrites
from outbox.operations import dead_letters
from outbox.operations.dead_letters import DeadLetter

log = structlog.get_logger(__name__)


def note_later(background: BackgroundTasks, writes: LateWrites, letter: DeadLetter) -> None:
    """Have it noted after the answer, if nobody looked at the letter before.

    A BackgroundTask is right, as for the last use of an API key: no look waits for it or fails
    because of it, and one that is lost is made good by the next.
    """
    if letter.looked_at is None:
        background.add_task(_note, writes, letter.id)


async def _note(writes: LateWrites, letter_id: int) -> None:
    if error := await writes.write(dead_letters.note_look, letter_id):
        log.warning("a look at a dead letter was not noted", error_type=error)
