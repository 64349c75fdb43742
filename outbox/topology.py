"""The queues in RabbitMQ, declared alike by relay and worker.

A queue's arguments never change once it exists: RabbitMQ refuses another declaration, and the
queue is used as it is. So what may want changing is left to policies.
"""

from dramatiq.common import xq_name

DELIVERY_LIMIT = 20
"""How often dying consumers may drop a message; the collector then dispatches its job again."""
NO_LIMIT = 2**31 - 1
"""RabbitMQ 4 drops a dead letter after 20 deliveries unless told a number; 3.10 refuses -1."""

LONGEST_NAME = 255

USED_AS_IT_IS = "queue cannot be declared, and is used as it is"
"""What relay and worker log of a queue that has other arguments, or that they may not configure."""


def work_queue(queue: str) -> dict[str, object]:
    """Arguments of a work queue: replicated, with a delivery limit.

    A queue that a policy keeps short refuses what is too much (`reject-publish`): otherwise it
    would drop what it holds. Dead-lettering is at most once, RabbitMQ's default: what a worker
    refuses is in Postgres before, and at least once breaks queues (docs/decisions/0011).
    """
    return {
        "x-queue-type": "quorum",
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": dead_letter_queue(queue),
        "x-overflow": "reject-publish",
        "x-delivery-limit": DELIVERY_LIMIT,
    }


def dead_letter_intake() -> dict[str, object]:
    """Arguments of a `<queue>.XQ`: no time to live, nothing ages out of it."""
    return {"x-queue-type": "quorum", "x-delivery-limit": NO_LIMIT}


def dead_letter_queue(queue: str) -> str:
    """The queue's `<queue>.XQ`."""
    return str(xq_name(queue))


def is_name(queue: str) -> bool:
    """Whether a queue can have the name: with its `.XQ` it must fit into AMQP's 255 bytes."""
    return queue != "" and len(dead_letter_queue(queue).encode()) <= LONGEST_NAME
