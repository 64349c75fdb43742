"""For an app's own tests, which need a Postgres with Duly's tables and nothing else.

Reading order: waiting (what waits for a commit), inline (runs one actor), queued (runs all that is
due).
"""

from outbox.testing.inline import run
from outbox.testing.queued import drain
from outbox.testing.waiting import WaitingJob, WaitingMessage, published, submitted

__all__ = ["WaitingJob", "WaitingMessage", "drain", "published", "run", "submitted"]
