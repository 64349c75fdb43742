"""Checks that only RabbitMQ's management API can make: alarms, its clock, types of queues."""

import shlex
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from outbox.amqp import topology
from outbox.doctor.check import Group, check
from outbox.doctor.checks.clocks import TOLERATED, compared
from outbox.doctor.checks.rabbitmq.broker import DISK, MEMORY
from outbox.doctor.checks.rabbitmq.queues import PAGE
from outbox.doctor.found import Found, Skip, error, ok, warning
from outbox.doctor.servers.management import NoAnswer
from outbox.doctor.setup import Setup
from outbox.doctor.steps import replacing, steps

GROUP = Group.MANAGEMENT
ALARMS = {"mem_alarm": MEMORY, "disk_free_alarm": DISK}


@check(GROUP, "RabbitMQ's management API answers.", is_gate=True)
def management(setup: Setup) -> Found:
    """Ask who we are."""
    try:
        name = setup.management.get("/api/whoami")["name"]
    except NoAnswer as problem:
        return error(
            f"the management API cannot be used: {problem}",
            _usable(problem, setup.management.user),
        )
    return ok(f"it answers {name}")


@check(GROUP, "RabbitMQ has no alarm for memory or disk space.")
def alarms(setup: Setup) -> Found:
    """While there is one, RabbitMQ takes no message of any publisher."""
    nodes = setup.management.get("/api/nodes")
    raised = [
        (f"{alarm.what} of {node['name']}", alarm.change)
        for node in nodes
        for name, alarm in ALARMS.items()
        if node.get(name)
    ]
    if raised:
        named, changes = zip(*raised, strict=True)
        return error(
            f"RabbitMQ takes no messages: it is short of {', '.join(named)}",
            steps(*dict.fromkeys(changes)),
        )
    if down := [node["name"] for node in nodes if not node.get("running", True)]:
        return warning(f"nodes are down: {', '.join(down)}", "start RabbitMQ there")
    return ok("there is none")


@check(GROUP, "Each queue is a quorum queue.", docs=PAGE)
def queue_types(setup: Setup) -> Found:
    """A classic queue is on one node, and lost with it."""
    found = known_queues(setup)
    wrong = {name: each["type"] for name, each in found.items() if each["type"] != "quorum"}
    if wrong:
        return warning(
            f"not quorum queues: {', '.join(f'{name} ({sort})' for name, sort in wrong.items())}",
            replacing(setup.broker.vhost, wrong),
        )
    return ok(f"{len(found)} queues are")


@check(GROUP, f"The clocks of this machine and of RabbitMQ differ by less than {TOLERATED:g} s.")
def rabbitmq_clock(setup: Setup) -> Found:
    """No job depends on it, but its log does, in which you look for what happened."""
    before = time.time()
    told = parsedate_to_datetime(setup.management.date()).timestamp()
    return compared("RabbitMQ", told, before - 1, time.time())  # it tells whole seconds


def known_queues(setup: Setup) -> dict[str, Mapping[str, Any]]:
    """Duly's queues of those that the virtual host has. Raises Skip if it has none of them."""
    names = {
        name for queue in setup.kinds.queues for name in (queue, topology.dead_letter_queue(queue))
    }
    all_queues = setup.management.get("/api/queues/{vhost}")
    found = {each["name"]: each for each in all_queues if each["name"] in names}
    if not found:
        raise Skip("there are no queues yet: relays and workers make them when they start")
    return found


def _usable(problem: NoAnswer, user: str) -> str:
    if problem.status is None:
        return steps(
            "correct DULY_MANAGEMENT_URL",
            "or there: rabbitmq-plugins enable rabbitmq_management",
        )
    return steps(
        "correct the login in DULY_MANAGEMENT_URL",
        "or: " + shlex.join(["rabbitmqctl", "set_user_tags", user, "monitoring"]),
    )
