"""What a worker does with a message that it cannot take: it writes that down, then acknowledges.

A message that is no job's becomes a dead letter. A large one goes to the `.XQ` instead, and the
relay's collector makes it a dead letter. A job of a kind that this worker does not know is put off,
as another worker may know it: during a deployment old and new ones run side by side. Only when no
worker has taken it for `patience` is it dead. If the process dies before Postgres has it,
RabbitMQ gives the message to another worker; if it dies after, and before RabbitMQ was told, a
message that is no job's is listed twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from outbox import headers, steps
from outbox.ledger import Ledger, LedgerClosed

log = structlog.get_logger(__name__)

PATIENCE = timedelta(hours=1)
LARGEST_WRITTEN = 64 * 1024
"""Bytes of a foreign message's body. Claims and outcomes, which go to Postgres with it, would wait
for a larger one."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message that is no job's, as its consumer received it."""

    consumer: Any
    _tag: int
    queue: str
    body: bytes
    headers: Mapping[str, Any]


class Unfit:
    """Takes what the consumers of a worker refuse. What it does not write goes to the `.XQ`."""

    def __init__(self, ledger: Ledger, patience: timedelta) -> None:
        self._ledger = ledger
        self._patience_seconds = patience.total_seconds()

    def keep_foreign(self, message: Unreadable, why: str) -> None:
        """Make a dead letter of the message, or leave that to the collector."""
        log.warning("malformed message refused", queue=message.queue, why=why)
        if len(message.body) > LARGEST_WRITTEN:
            message.consumer.nack(message)
            return
        row = {
            "queue": message.queue,
            "error_message": why,
            "body": rf"\x{message.body.hex()}",
            "headers": headers.as_json(message.headers),
        }
        self._ledger.post(steps.KEEP_FOREIGN, row, partial(self._answered, message))

    def put_off(self, message: Any) -> None:
        """Let another worker have the job of the message, some seconds later, or let it die."""
        dispatch = message.dispatch
        why = f"worker {self._ledger.name} does not know its kind"
        job = {
            "id": dispatch.job_id,
            "dispatch": dispatch.dispatch,
            "kind": dispatch.kind,
            "queue": dispatch.queue,
        }
        row = job | {"attempt": 0, "why": why, "patience_seconds": self._patience_seconds}
        self._ledger.post(steps.PUT_OFF, row, partial(self._put_off_answered, message, job))

    def _put_off_answered(self, message: Any, job: dict[str, Any], answer: Any) -> None:
        """On the ledger's thread: None where its time is over, or the message says nothing true."""
        if answer is not None:
            if not isinstance(answer, Exception):
                log.warning("job put off: its kind is not known", **_said(job))
            self._answered(message, answer)
            return
        grave = job | {
            "reason": "unknown_kind",
            "error_type": "UnknownKind",
            "error_message": f"no worker of queue {job['queue']} does {job['kind']}",
        }
        self._ledger.post(steps.BURY, grave, partial(self._bury_answered, message, job))

    def _bury_answered(self, message: Any, job: dict[str, Any], answer: Any) -> None:
        if answer is not None and not isinstance(answer, Exception):
            log.error("dead", reason="unknown_kind", **_said(job))
        self._answered(message, answer)

    def _answered(self, message: Any, answer: Any) -> None:
        if isinstance(answer, LedgerClosed):
            message.consumer.give_back(message)
        elif answer is None or isinstance(answer, Exception):
            message.consumer.nack(message)  # the collector finds out what it is
        else:
            message.consumer.settle(message)


def _said(job: Mapping[str, Any]) -> dict[str, Any]:
    return {"job": job["id"], "kind": job["kind"]}
