"""An error that a worker only logs, since the job has already succeeded."""

from typing import Any

from outbox.job import Job


def refuse_late_result(job: Job, returned: Any) -> None:
    """Raise RuntimeError if the actor returned a result that no longer counts."""
    if job.completed and returned is not None:
        raise RuntimeError(
            f"{job.kind} returned a result after its transaction had completed the job: "
            "set job.result inside the transaction"
        )
