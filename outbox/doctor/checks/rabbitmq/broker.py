"""Checks of RabbitMQ and of what its user may do, over AMQP."""

import logging
from typing import NamedTuple

from pika.adapters.blocking_connection import BlockingConnection

from outbox.amqp import topology
from outbox.amqp.connection import BrokerGone
from outbox.doctor.check import Group, check
from outbox.doctor.found import Found, Skip, error, ok, warning
from outbox.doctor.servers.broker import (
    Blocked,
    looked_at,
    may_configure,
    may_read,
    may_write,
)
from outbox.doctor.setup import Setup
from outbox.doctor.steps import rabbitmqctl, steps

GROUP = Group.RABBITMQ
OLDEST = (3, 10)
"""The oldest version that the tests run on."""


class Alarm(NamedTuple):
    """What RabbitMQ is short of, and what ends the alarm."""

    what: str
    change: str


MEMORY = Alarm(
    "memory",
    steps("give its machine more memory", "or there: rabbitmqctl set_vm_memory_high_watermark 0.6"),
)
DISK = Alarm(
    "disk space",
    steps("free disk space on its machine", "or there: rabbitmqctl set_disk_free_limit 50MB"),
)
RIGHTS_PAGE = "docs/operations.md#what-rabbitmqs-users-need"


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
    try:
        with setup.broker.connection() as connection:
            if not may_write(connection):
                raise Skip("the user may not publish, so RabbitMQ does not tell it")
    except Blocked:
        return error(
            f"RabbitMQ takes no messages: it is short of {MEMORY.what} or {DISK.what}",
            steps(MEMORY.change, DISK.change),
        )
    return ok("RabbitMQ takes messages")


@check(GROUP, "The user may do what a relay and a worker need.", docs=RIGHTS_PAGE)
def rabbitmq_rights(setup: Setup) -> Found:
    """An api needs none; a relay and a worker may have users of their own, with fewer rights."""
    if setup.actors is None:
        raise Skip("this process needs no right in RabbitMQ")
    broker = setup.broker
    try:
        with broker.connection() as connection:
            relay, worker = _unfit(connection, setup.kinds.queues)
    except Blocked:
        raise Skip("RabbitMQ takes no messages, see rabbitmq-alarm") from None
    if not relay and not worker:
        return ok(f"the user {broker.user} has them")
    report = error if relay and worker else warning
    lacks = [f"a relay: {', '.join(relay)}"] * bool(relay)
    lacks += [f"a worker: {', '.join(worker)}"] * bool(worker)
    return report(
        f"the user {broker.user} lacks rights. For {'; for '.join(lacks)}",
        steps(
            rabbitmqctl("set_permissions", broker.vhost, broker.user, ".*", ".*", ".*"),
            "or give it the fewer rights of the page",
        ),
    )


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
    refused = looked_at(connection, queue)
    return refused is None or not refused.is_missing
