"""Checks whether RabbitMQ's queues have the arguments that Duly gives them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pika.adapters.blocking_connection import BlockingConnection

from outbox.amqp import topology
from outbox.doctor.check import Group, check
from outbox.doctor.found import Found, Skip, ok, warning
from outbox.doctor.servers.broker import Refusal, looked_at, refusal
from outbox.doctor.setup import Setup
from outbox.doctor.steps import replacing

PAGE = "docs/operations.md#a-queue-has-other-arguments"


@dataclass(frozen=True, slots=True)
class Compared:
    """What RabbitMQ said of each queue that does not just match, by its name."""

    different: Mapping[str, str]
    unknown: Mapping[str, str]
    """It did not compare these, and says why."""


@check(Group.RABBITMQ, "Each queue has the arguments that Duly gives it.", docs=PAGE)
def queues(setup: Setup) -> Found:
    """Declare those that exist as Duly would. RabbitMQ refuses if they are otherwise."""
    with setup.broker.connection() as connection:
        compared = _compared(connection, setup.kinds.queues)
    unknown = [f"{name} ({why})" for name, why in compared.unknown.items()]
    blind = f"RabbitMQ does not compare {', '.join(unknown)}" if unknown else ""
    if compared.different:
        return warning(
            "; ".join(filter(None, (*compared.different.values(), blind))),
            replacing(setup.broker.vhost, compared.different),
        )
    if blind:
        raise Skip(blind)
    return ok("those that exist have Duly's arguments")


def _compared(connection: BlockingConnection, queues: list[str]) -> Compared:
    different: dict[str, str] = {}
    unknown: dict[str, str] = {}
    for queue in queues:
        for name, arguments in _declared(queue):
            refused = _refused(connection, name, arguments)
            if refused:
                group = different if refused.is_mismatch else unknown
                group[name] = refused.reason
    return Compared(different, unknown)


def _declared(queue: str) -> Iterator[tuple[str, dict[str, object]]]:
    yield queue, topology.work_queue(queue)
    yield topology.dead_letter_queue(queue), topology.dead_letter_queue_arguments()


def _refused(
    connection: BlockingConnection, queue: str, arguments: dict[str, object]
) -> Refusal | None:
    """How RabbitMQ refuses to declare an existing queue; None if it would, or there is none."""
    refused = looked_at(connection, queue)
    if refused:
        return None if refused.is_missing else refused
    return refusal(
        connection,
        lambda channel: channel.queue_declare(queue, durable=True, arguments=arguments),
    )
