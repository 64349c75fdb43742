"""The queues in RabbitMQ; relay and worker declare them alike.

A queue's arguments never change once it exists: RabbitMQ refuses another declaration, and the
queue is used as it is. So settings that may need to change are left to policies.
"""

from dramatiq.common import xq_name

DELIVERY_LIMIT = 20
"""How often consumers may die with a message; then the collector dispatches its job again."""

NO_LIMIT = 2**31 - 1
"""RabbitMQ 4 drops a dead letter after 20 deliveries unless given a number; 3.10 refuses -1."""

LONGEST_NAME = 255
"""Bytes of a queue's name in AMQP."""

USED_AS_IT_IS = "queue cannot be declared, and is used as it is"
"""Log event of relay and worker: the queue has other arguments, or they may not configure it."""


def work_queue(queue: str) -> dict[str, object]:
    """Arguments of a work queue: replicated, with a delivery limit.

    If a policy limits its length, the queue refuses what exceeds that (`reject-publish`) instead of
    dropping what it holds. Dead-lettering is at most once, RabbitMQ's default: what a worker
    rejects is in Postgres already, and at least once breaks queues (docs/decisions/0011).
    """
    return {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": dead_letter_queue(queue),
        "x-overflow": "reject-publish",
        "x-delivery-limit": DELIVERY_LIMIT,
    }


def dead_letter_queue_arguments() -> dict[str, object]:
    """Arguments of a `<queue>.XQ`: no time to live, so nothing in it expires."""
    return {"x-queue-type": "quorum", "x-delivery-limit": NO_LIMIT}


def dead_letter_queue(queue: str) -> str:
    """The name of the queue's `<queue>.XQ`."""
    return str(xq_name(queue))


def is_name(queue: str) -> bool:
    """Whether a queue can have the name: with its `.XQ` it must fit into AMQP's 255 bytes."""
    return queue != "" and len(dead_letter_queue(queue).encode()) <= LONGEST_NAME
