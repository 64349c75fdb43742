"""Records the messages that a worker cannot run, and then acknowledges them.

A foreign message, one that belongs to no job, becomes a dead letter. A large one goes to the `.XQ`
instead, where the relay's collector makes it a dead letter. A job of a kind that this worker does
not know is put off, because another worker may know it: during a deployment old and new workers run
side by side. It dies only if no worker has taken it for `patience`. If the process dies before the
record is in Postgres, RabbitMQ gives the message to another worker. If it dies after that but
before the acknowledgement, a foreign message becomes two dead letters.
"""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from outbox.amqp import foreign_headers
from outbox.store import transitions
from outbox.worker.delivery import Delivery, Foreign, Received
from outbox.worker.records.group_commit import GroupCommit, GroupCommitClosed

log = structlog.get_logger(__name__)

PATIENCE = timedelta(hours=1)
LARGEST_BODY_BYTES = 64 * 1024
"""Bytes of a foreign message's body. Claims and outcomes, which share its commit, would wait for a
larger one."""


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
        dispatch = message.dispatch
        why = f"worker {self._group_commit.name} does not know its kind"
        job = {
            "id": dispatch.job_id,
            "dispatch": dispatch.dispatch,
            "kind": dispatch.kind,
            "queue": dispatch.queue,
        }
        row = job | {"attempt": 0, "why": why, "patience_seconds": self._patience_seconds}
        self._group_commit.post(transitions.POSTPONE, row, partial(self._on_put_off, message, job))

    def _on_put_off(self, message: Delivery, job: dict[str, Any], answer: Any) -> None:
        """Try DIE_UNCLAIMED where POSTPONE did nothing.

        Then `patience` is over, or the message is stale or forged. Runs on the group-commit thread.
        """
        if answer is not None:
            if not isinstance(answer, Exception):
                log.warning("job put off: unknown kind", **_log_fields(job))
            self._on_answer(message, answer)
            return
        row = job | {
            "reason": "unknown_kind",
            "error_type": "UnknownKind",
            "error_message": f"no worker of queue {job['queue']} does {job['kind']}",
        }
        self._group_commit.post(
            transitions.DIE_UNCLAIMED, row, partial(self._on_death, message, job)
        )

    def _on_death(self, message: Delivery, job: dict[str, Any], answer: Any) -> None:
        if answer is not None and not isinstance(answer, Exception):
            log.error("dead", reason="unknown_kind", **_log_fields(job))
        self._on_answer(message, answer)

    def _on_answer(self, message: Received, answer: Any) -> None:
        if isinstance(answer, GroupCommitClosed):
            message.give_back()
        elif answer is None or isinstance(answer, Exception):
            message.reject()  # the collector finds out what it is
        else:
            message.settle()


def _log_fields(job: Mapping[str, Any]) -> dict[str, Any]:
    return {"job": job["id"], "kind": job["kind"]}
