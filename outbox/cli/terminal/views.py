"""Jobs and dead letters as the commands show them, with sensitive values hidden by default."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from outbox import Priority
from outbox.cli.app import kinds
from outbox.cli.terminal.output import Output
from outbox.operations.dead_letters import DeadLetter
from outbox.operations.jobs import AttemptRecord, JobRecord
from outbox.operations.schedules import ScheduleRecord
from outbox.redaction.fields import HIDDEN, redact, redact_headers, redact_result
from outbox.store.records import fields

LETTER_COLUMNS = ("id", "kind", "queue", "reason", "died_at", "job_id", "error")
LETTER_SPARE = ("job_id", "queue", "died_at", "reason")
"""What a narrow terminal does without."""

PayloadsOption = Annotated[
    bool, typer.Option("--payloads", help="Show sensitive values instead of hiding them.")
]


def job_view(job: JobRecord, *, payloads: bool) -> dict[str, Any]:
    """The job, in the state that `shown_state` names."""
    shown = fields(job) | {
        "state": shown_state(job),
        "priority": Priority(job.priority).name.lower(),
        "progress": fields(job.progress) if job.progress else None,
    }
    if not payloads:
        kind = kinds().get(job.kind)
        payload = None if job.payload is None else redact(kind, job.payload)
        shown |= {"payload": payload, "result": redact_result(kind, job.result)}
    return shown


def shown_state(job: JobRecord) -> str:
    """The job's state: `scheduled` if it is queued for a later time."""
    is_later = job.state == "queued" and job.run_at > datetime.now(UTC)
    return "scheduled" if is_later else job.state


def attempt_views(attempts: Sequence[AttemptRecord], output: Output) -> list[dict[str, Any]]:
    """The failed attempts, in order. Workers removed sensitive values from their errors.

    A table shows each traceback once, at the first attempt that has it.
    """
    views = [fields(attempt) for attempt in attempts]
    if output is Output.TABLE:
        first: dict[str, int] = {}
        for view in views:
            traceback, attempt = view["traceback"], view["attempt"]
            if traceback and first.setdefault(traceback, attempt) != attempt:
                view["traceback"] = f"as in attempt {first[traceback]}"
    return views


def letter_view(letter: DeadLetter, *, payloads: bool) -> dict[str, Any]:
    """The dead letter, with the message's body as text if it is text.

    Body and headers of a message that is no job of ours are hidden: any value may be sensitive.
    """
    foreign = letter.job_id is None
    text = letter.message_text
    shown = fields(letter) | {
        "error": error_text(letter),
        "message_body": letter.message_body if text is None else text,
    }
    if not payloads:
        shown["message_headers"] = redact_headers(letter.message_headers, foreign=foreign)
        if foreign and letter.message_body is not None:
            shown["message_body"] = HIDDEN
    return shown


def error_text(failed: AttemptRecord | DeadLetter) -> str:
    """The error's type and text."""
    return ": ".join(filter(None, (failed.error_type, failed.error_message)))


def schedule_view(record: ScheduleRecord, *, payloads: bool) -> dict[str, Any]:
    """The schedule, with its next run; None while it is paused."""
    run = next(iter(record.next_runs(1)), None)
    shown = fields(record) | {
        "priority": Priority(record.priority).name.lower(),
        "next_run": run,
        "paused": record.paused_at is not None,
    }
    if not payloads:
        shown["payload"] = redact(kinds().get(record.kind), record.payload)
    return shown
