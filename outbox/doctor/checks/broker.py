"""Checks of RabbitMQ, its queues and what its user may do, over AMQP."""

import logging

from pika.adapters.blocking_connection import BlockingConnection

from outbox.amqp import topology
from outbox.amqp.connection import BrokerGone
from outbox.doctor.check import Group, check
from outbox.doctor.found import Found, Skip, error, ok, warning
from outbox.doctor.servers.broker import (
    Refusal,
    may_configure,
    may_read,
    may_write,
    refusal,
)
from outbox.doctor.setup import Setup

GROUP = Group.RABBITMQ
OLDEST = (3, 10)
"""The oldest version that the tests run on."""
RIGHTS_PAGE = "docs/operations.md#what-rabbitmqs-users-need"
QUEUES_PAGE = "docs/operations.md#a-queue-has-other-arguments"


@check(GROUP, "RabbitMQ can be reached.", is_gate=True, docs="docs/operations.md#rabbitmq-is-down")
def rabbitmq(setup: Setup) -> Found:
    """Connect and log in."""
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # it also logs each error that it raises
    broker = setup.broker
    try:
        with broker.connection():
            return ok(f"connected to {broker.vhost} as {broker.user}")
    except BrokerGone as problem:
        line = str(problem).partition("\n")[0]
        return error(f"RabbitMQ cannot be reached: {line}", "start RabbitMQ, or correct AMQP_URL")


@check(GROUP, f"RabbitMQ is version {'.'.join(map(str, OLDEST))} or newer.")
def rabbitmq_version(setup: Setup) -> Found:
    """Compare the server's version with the oldest that is tested."""
    version = setup.broker.version()
    if tuple(map(int, version.split(".")[:2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return error(f"RabbitMQ is version {version}", f"upgrade RabbitMQ to {oldest} or newer")
    return ok(f"RabbitMQ {version}")


@check(GROUP, "RabbitMQ takes messages: it is short of neither memory nor disk space.")
def rabbitmq_alarm(setup: Setup) -> Found:
    """It says so to whoever publishes. What is published here is for no queue, and is dropped."""
    reasons: list[str] = []
    try:
        with setup.broker.connection() as connection:
            connection.add_on_connection_blocked_callback(
                lambda _, frame: reasons.append(frame.method.reason)
            )
            if not may_write(connection):
                raise Skip("the user may not publish, so RabbitMQ does not tell it")
    except BrokerGone:
        if not reasons:
            raise
        return error(
            f"RabbitMQ takes no messages: {reasons[0]}",
            "free memory or disk space on its machine, or rabbitmqctl set_vm_memory_high_watermark"
            " and set_disk_free_limit",
        )
    return ok("it does")


@check(GROUP, "The user may do what a relay and a worker need.", docs=RIGHTS_PAGE)
def rabbitmq_rights(setup: Setup) -> Found:
    """An api needs none; a relay and a worker may have users of their own, with fewer rights."""
    if setup.actors is None:
        raise Skip("this process needs no right in RabbitMQ")
    broker = setup.broker
    with broker.connection() as connection:
        relay, worker = _unfit(connection, setup.kinds.queues)
    if not relay and not worker:
        return ok(f"the user {broker.user} may")
    report = error if relay and worker else warning
    lacks = [f"a relay: {', '.join(relay)}"] * bool(relay)
    lacks += [f"a worker: {', '.join(worker)}"] * bool(worker)
    return report(
        f"the user {broker.user} lacks rights. For {'; for '.join(lacks)}",
        f"rabbitmqctl set_permissions -p '{broker.vhost}' {broker.user} '.*' '.*' '.*',"
        " or the fewer ones of the page",
    )


@check(GROUP, "Each queue has the arguments that Duly gives it.", docs=QUEUES_PAGE)
def queues(setup: Setup) -> Found:
    """Declare those that exist as Duly would. RabbitMQ refuses if they are otherwise."""
    with setup.broker.connection() as connection:
        differs = [
            answer
            for queue in setup.kinds.queues
            for name, arguments in _declared(queue)
            if (answer := _difference(connection, name, arguments))
        ]
    if differs:
        return warning(
            "; ".join(differs),
            "stop relays and workers of the queue once it is empty, run"
            " rabbitmqctl delete_queue NAME --if-empty, and start them",
        )
    return ok("those that exist do")


def _unfit(connection: BlockingConnection, queues: list[str]) -> tuple[list[str], list[str]]:
    """What the user lacks for a relay, and what for a worker."""
    relay, worker = [], []
    if not may_write(connection):
        relay.append("to write to amq.default")
    for queue in queues:
        letters = topology.dead_letter_queue(queue)
        new = [each for each in (queue, letters) if not _exists(connection, each)]
        creating = [f"to configure {e}" for e in new if not may_configure(connection, e)]
        relay += creating
        worker += creating
        if not may_read(connection, letters):
            relay.append(f"to read {letters}")
        if not may_read(connection, queue):
            worker.append(f"to read {queue}")
    return relay, worker


def _exists(connection: BlockingConnection, queue: str) -> bool:
    refused = _looked_at(connection, queue)
    return refused is None or not refused.is_missing


def _looked_at(connection: BlockingConnection, queue: str) -> Refusal | None:
    return refusal(connection, lambda channel: channel.queue_declare(queue, passive=True))


def _declared(queue: str) -> list[tuple[str, dict[str, object]]]:
    letters = topology.dead_letter_queue(queue)
    return [
        (queue, topology.work_queue(queue)),
        (letters, topology.dead_letter_queue_arguments()),
    ]


def _difference(
    connection: BlockingConnection, queue: str, arguments: dict[str, object]
) -> str | None:
    """How RabbitMQ says that an existing queue differs; None if there is none, or it is alike."""
    if not _exists(connection, queue):
        return None
    refused = refusal(
        connection,
        lambda channel: channel.queue_declare(queue, durable=True, arguments=arguments),
    )
    if refused is None or refused.is_forbidden:
        return None
    return refused.text.removeprefix("PRECONDITION_FAILED - ")
