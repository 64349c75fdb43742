"""Messages doubled, out of order, and gone with their queue."""

import random

import pytest

from tests.faults.actors import BOOK, ELSEWHERE, QUEUE, QUEUES
from tests.faults.clients import Clients
from tests.faults.line import Line
from tests.faults.promises import Promises
from tests.support.engine.rabbit import Rabbit
from tests.support.wait import wait_for

SPENT = "SELECT DISTINCT attempt FROM duly.jobs"


def test_doubled_and_shuffled(
    line: Line, clients: Clients, promises: Promises, rabbit: Rabbit
) -> None:
    clients.submit(*(BOOK, ELSEWHERE) * 50)
    line.start("relay")
    wait_for("all is published", lambda: not promises.left()["events"])
    for queue in QUEUES:
        messages = rabbit.take(queue) * 2
        random.Random(1).shuffle(messages)
        for message in messages:
            rabbit.publish(queue, message)
    line.start("worker", "worker")
    promises.assert_kept()
    assert promises.rows(SPENT) == [1]


@pytest.mark.slow
def test_queue_deleted_with_messages_in_it(
    line: Line, clients: Clients, promises: Promises, rabbit: Rabbit
) -> None:
    line.environment["DULY_WINDOW"] = "20"
    line.start("relay", "worker")
    for goal in (1, 101, 201):
        clients.submit(*[BOOK] * 100)
        wait_for("some are booked", lambda goal=goal: promises.booked() >= goal)  # type: ignore[misc]
        rabbit.delete(QUEUE)
    promises.assert_kept()
