"""Checks what RabbitMQ's policies make of Duly's queues."""

from collections.abc import Iterator, Mapping
from typing import Any

from outbox.amqp import topology
from outbox.doctor.check import Group, check
from outbox.doctor.checks.rabbitmq.management import known_queues
from outbox.doctor.checks.rabbitmq.queues import PAGE
from outbox.doctor.found import Found, Level, error, ok, warning
from outbox.doctor.setup import Setup
from outbox.doctor.steps import rabbitmqctl, steps

MOST_BYTES = 1024
"""A job's message has fewer: names, two numbers and a few words."""
LOSING = {
    "message-ttl": "its messages expire",
    "expires": "it is deleted when it is unused",
}
"""What a policy must not set, for any of the queues."""
LIMITS = ("max-length", "max-length-bytes")

Said = Mapping[str, Any]
"""What policies and operator policies together say of a queue."""


@check(
    Group.MANAGEMENT, "No policy takes messages from a queue, or limits what Duly needs.", docs=PAGE
)
def policies(setup: Setup) -> Found:
    """Look at what policies and operator policies together say of each queue."""
    bad = [found for each in known_queues(setup).values() for found in _bad(setup, each)]
    if not bad:
        return ok("none does")
    worst = Level.ERROR if any(each.level is Level.ERROR for each in bad) else Level.WARNING
    changes = dict.fromkeys(each.change for each in bad if each.change)
    return Found(worst, "; ".join(each.found for each in bad), steps(*changes))


def _bad(setup: Setup, queue: Mapping[str, Any]) -> Iterator[Found]:
    name, said = queue["name"], queue.get("effective_policy_definition") or {}
    change = _cleared(setup, queue)
    is_work = name in setup.kinds.queues
    of_sort = _limited(said, setup.settings.window) if is_work else _of_dead(said)
    for report, what, key in (*_losing(said), *of_sort, *_undelivered(said, is_work=is_work)):
        yield report(f"{name}: {what} ({key} {said[key]})", change)


Bad = Iterator[tuple[Any, str, str]]
"""How to report it, what becomes of the queue, and the key that does it."""


def _losing(said: Said) -> Bad:
    for key, what in LOSING.items():
        if key in said:
            yield error, what, key


def _of_dead(said: Said) -> Bad:
    for key in LIMITS:
        if key in said:
            yield error, "dead messages are dropped", key


def _limited(said: Said, window: int) -> Bad:
    """A work queue refuses what exceeds a limit, unless the policy makes it drop messages."""
    drops = said.get("overflow") == "drop-head"
    for key, needed in zip(LIMITS, (window, window * MOST_BYTES), strict=True):
        if key in said and drops:
            yield error, "messages are dropped from it, as overflow is drop-head", key
        elif said.get(key, needed) < needed:
            yield warning, f"it takes fewer messages than DULY_WINDOW, {window}", key
    if drops and not said.keys() & {*LIMITS}:
        yield warning, "as soon as its length is limited, messages are dropped", "overflow"
    if said.get("dead-letter-strategy") == "at-least-once":
        yield warning, "a crash of RabbitMQ can break it", "dead-letter-strategy"


def _undelivered(said: Said, *, is_work: bool) -> Bad:
    """A negative limit is none."""
    needed = topology.DELIVERY_LIMIT if is_work else topology.NO_LIMIT
    if 0 <= said.get("delivery-limit", needed) < needed:
        yield warning, "its messages are dropped after few deliveries", "delivery-limit"


def _cleared(setup: Setup, queue: Mapping[str, Any]) -> str:
    """The commands that remove the queue's policies."""
    return steps(
        *(
            rabbitmqctl(f"clear_{sort}", setup.broker.vhost, queue[sort])
            for sort in ("policy", "operator_policy")
            if queue.get(sort)
        )
    )
