"""Numbers of jobs as people read them: `~1,000,000` is an estimate."""

from typing import Any

from outbox.operations.backlog.queue_status import QueueStatus


def numbers(queue: QueueStatus) -> dict[str, Any]:
    """The queue's record, with a mark on what is estimated, and commas in what is counted."""
    return {
        name: _marked(value, is_estimate=name in queue.estimated) if type(value) is int else value
        for name, value in queue.record().items()
    }


def _marked(number: int, *, is_estimate: bool) -> str:
    return f"{'~' if is_estimate else ''}{number:,}"
