"""What to do about a finding, step by step: commands are quoted for a shell."""

import shlex
from collections.abc import Iterable


def steps(*each: str) -> str:
    """Several steps, in this order."""
    return "; ".join(each)


def duly(*arguments: str) -> str:
    """A command of ours."""
    return shlex.join(["duly", *arguments])


def rabbitmqctl(command: str, vhost: str, *arguments: str) -> str:
    """A command of RabbitMQ's, about the virtual host."""
    return shlex.join(["rabbitmqctl", command, "-p", vhost, *arguments])


def replacing(vhost: str, queues: Iterable[str]) -> str:
    """How to have Duly declare these queues anew.

    Jobs whose messages are deleted with a queue are published again. RabbitMQ has no condition such
    as `--if-empty` for quorum queues.
    """
    return steps(
        "stop relays and workers, once these queues are empty",
        *(rabbitmqctl("delete_queue", vhost, each) for each in queues),
        "start relays and workers",
    )
