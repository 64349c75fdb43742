"""Checks that only RabbitMQ's management API can make: policies, alarms, its clock."""

import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from outbox.amqp import topology
from outbox.doctor.check import Group, check
from outbox.doctor.checks.clocks import TOLERATED, compared
from outbox.doctor.found import Found, Level, error, ok, warning
from outbox.doctor.servers.management import NoAnswer
from outbox.doctor.setup import Setup

GROUP = Group.MANAGEMENT
QUEUES_PAGE = "docs/operations.md#a-queue-has-other-arguments"

LOSING = {
    "message-ttl": "its messages expire",
    "expires": "it is deleted when it is unused",
}
"""What a policy must not set, for any of the queues."""
ALARMS = {"mem_alarm": "memory", "disk_free_alarm": "disk space"}


@check(GROUP, "RabbitMQ's management API answers.", is_gate=True)
def management(setup: Setup) -> Found:
    """Ask who we are."""
    try:
        name = setup.management.get("/api/whoami")["name"]
    except NoAnswer as problem:
        return error(
            f"the management API cannot be used: {problem}",
            "rabbitmq-plugins enable rabbitmq_management; correct DULY_MANAGEMENT_URL;"
            " rabbitmqctl set_user_tags USER monitoring",
        )
    return ok(f"it answers {name}")


@check(GROUP, "RabbitMQ has no alarm for memory or disk space.")
def alarms(setup: Setup) -> Found:
    """While there is one, RabbitMQ takes no message of any publisher."""
    raised = [
        f"{what} of {node['name']}"
        for node in setup.management.get("/api/nodes")
        for name, what in ALARMS.items()
        if node.get(name)
    ]
    if raised:
        return error(
            f"RabbitMQ takes no messages: it is short of {', '.join(raised)}",
            "free memory or disk space there, or rabbitmqctl set_vm_memory_high_watermark and"
            " set_disk_free_limit",
        )
    return ok("there is none")


@check(GROUP, "Each queue is a quorum queue.", docs=QUEUES_PAGE)
def queue_types(setup: Setup) -> Found:
    """A classic queue is on one node, and lost with it."""
    found = _queues(setup)
    wrong = [f"{name} ({each['type']})" for name, each in found.items() if each["type"] != "quorum"]
    if wrong:
        return warning(
            f"not quorum queues: {', '.join(wrong)}",
            "stop relays and workers of the queue once it is empty, run"
            " rabbitmqctl delete_queue NAME --if-empty, and start them",
        )
    return ok(f"{len(found)} queues are")


@check(GROUP, "No policy takes messages from a queue, or limits what Duly needs.", docs=QUEUES_PAGE)
def policies(setup: Setup) -> Found:
    """Look at what policies and operator policies together say of each queue."""
    bad = [found for name, each in _queues(setup).items() for found in _bad(setup, name, each)]
    if not bad:
        return ok("none does")
    worst = Level.ERROR if any(each.level is Level.ERROR for each in bad) else Level.WARNING
    changes = dict.fromkeys(each.change or "" for each in bad)
    return Found(worst, "; ".join(each.found for each in bad), "; ".join(changes))


@check(GROUP, f"The clocks of this machine and of RabbitMQ differ by less than {TOLERATED:g} s.")
def rabbitmq_clock(setup: Setup) -> Found:
    """No job depends on it, but its log does, in which you look for what happened."""
    before = time.time()
    told = parsedate_to_datetime(setup.management.date()).timestamp()
    return compared("RabbitMQ", told, before - 1, time.time())  # it tells whole seconds


def _queues(setup: Setup) -> dict[str, Mapping[str, Any]]:
    """Duly's queues of those that the virtual host has."""
    names = {
        name for queue in setup.kinds.queues for name in (queue, topology.dead_letter_queue(queue))
    }
    all_queues = setup.management.get("/api/queues/{vhost}")
    return {each["name"]: each for each in all_queues if each["name"] in names}


def _bad(setup: Setup, queue: str, told: Mapping[str, Any]) -> Iterator[Found]:
    said = told.get("effective_policy_definition") or {}
    change = _cleared(setup, told)
    for name, what in LOSING.items():
        if name in said:
            yield error(f"{queue}: {what} ({name} {said[name]})", change)
    if queue not in setup.kinds.queues and any(
        name in said for name in ("max-length", "max-length-bytes")
    ):
        yield error(f"{queue}: dead messages are dropped (max-length)", change)
    elif said.get("max-length", setup.settings.window) < setup.settings.window:
        yield warning(
            f"{queue}: takes {said['max-length']} messages, and DULY_WINDOW is"
            f" {setup.settings.window}",
            f"DULY_WINDOW={said['max-length']}, or {change}",
        )
    limit = said.get("delivery-limit", topology.DELIVERY_LIMIT)
    if 0 <= limit < topology.DELIVERY_LIMIT:
        yield warning(
            f"{queue}: a message is dead after {limit} deliveries (delivery-limit)", change
        )


def _cleared(setup: Setup, told: Mapping[str, Any]) -> str:
    """The commands that remove the queue's policies."""
    return "; ".join(
        f"rabbitmqctl clear_{sort} -p '{setup.broker.vhost}' {told[sort]}"
        for sort in ("policy", "operator_policy")
        if told.get(sort)
    )
