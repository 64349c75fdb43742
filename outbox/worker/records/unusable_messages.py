"""Records the messages that a worker cannot run, and then acknowledges them.

A foreign message, one that belongs to no job, becomes a dead letter. A large one goes to the `.XQ`
instead, where the relay's collector makes it a dead letter. A job of a kind that this worker does
not know is put off, because another worker may know it: during a deployment old and new workers run
side by side. It dies only if no worker has taken it for `patience`. If the process dies before the
record is in Postgres, RabbitMQ gives the message to another worker. If it dies after that but
before the acknowledgement, a foreign message becomes two dead letters.
"""

from datetime import timedelta
from functools import partial
from typing import Any, TypedDict
from uuid import UUID

import structlog

from outbox.amqp import foreign_headers
from outbox.events import Died, Postponed, emit
from outbox.store import transitions
from outbox.worker.broker import Delivery, Foreign, Received
from outbox.worker.records.group_commit import GroupCommit, GroupCommitClosed

log = structlog.get_logger(__name__)

PATIENCE = timedelta(hours=1)
UNKNOWN_KIND = "unknown_kind"
LARGEST_BODY_BYTES = 64 * 1024
"""Bytes of a foreign message's body. Claims and outcomes, which share its commit, would wait for a
larger one."""


class _About(TypedDict):
    job_id: UUID
    kind: str
    queue: str


class UnusableMessages:
    """Records the messages that a worker's consumers refuse, or sends them to the `.XQ`."""

    def __init__(self, group_commit: GroupCommit, patience: timedelta) -> None:
        self._group_commit = group_commit
        self._patience_seconds = patience.total_seconds()

    def keep_foreign(self, message: Foreign, why: str) -> None:
        """Make the message a dead letter. A large one is left to the collector."""
        log.warning("malformed message refused", queue=message.queue, why=why)
        if len(message.body) > LARGEST_BODY_BYTES:
            message.reject()
            return
        row = {
            "queue": message.queue,
            "error_message": why,
            "body": rf"\x{message.body.hex()}",
            "headers": foreign_headers.as_json(message.headers),
        }
        self._group_commit.post(transitions.KEEP_FOREIGN, row, partial(self._on_answer, message))

    def put_off(self, message: Delivery) -> None:
        """Requeue the message's job for another worker, some seconds later, or let it die."""
        id_, number, kind, queue = message.dispatch
        why = f"worker {self._group_commit.name} does not know its kind"
        job = {"id": id_, "dispatch": number, "kind": kind, "queue": queue}
        row = job | {"attempt": 0, "why": why, "patience_seconds": self._patience_seconds}
        row["trace"] = None
        self._group_commit.post(transitions.POSTPONE, row, partial(self._on_put_off, message, row))

    def _on_put_off(self, message: Delivery, row: dict[str, Any], answer: Any) -> None:
        """Try DIE_UNCLAIMED where POSTPONE did nothing.

        Then `patience` is over, or the message is stale or forged. Runs on the group-commit thread.
        """
        if answer is not None:
            if not isinstance(answer, Exception):
                worker = self._group_commit.name
                emit(Postponed(**_about(message), worker=worker, why=row["why"]))
            self._on_answer(message, answer)
            return
        job = {name: row[name] for name in ("id", "dispatch", "kind", "queue")}
        row = job | {
            "reason": UNKNOWN_KIND,
            "error_type": "UnknownKind",
            "error_message": f"no worker of queue {job['queue']} does {job['kind']}",
        }
        self._group_commit.post(
            transitions.DIE_UNCLAIMED, row, partial(self._on_death, message, row)
        )

    def _on_death(self, message: Delivery, row: dict[str, Any], answer: Any) -> None:
        if answer is not None and not isinstance(answer, Exception):
            error = {"error_type": row["error_type"], "error": row["error_message"]}
            emit(Died(**_about(message), reason=UNKNOWN_KIND, **error))
        self._on_answer(message, answer)

    def _on_answer(self, message: Received, answer: Any) -> None:
        if isinstance(answer, GroupCommitClosed):
            message.give_back()
        elif answer is None or isinstance(answer, Exception):
            message.reject()  # the collector finds out what it is
        else:
            message.settle()


def _about(message: Delivery) -> _About:
    """What all events of its job have."""
    job_id, _, kind, queue = message.dispatch
    return {"job_id": UUID(job_id), "kind": kind, "queue": queue}
