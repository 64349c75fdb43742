"""10,000 messages of somebody else in a work queue and in its `.XQ`, with good jobs behind them."""

import time
from collections import Counter
from random import Random

import psycopg
import pytest

from outbox.amqp import messages, topology
from outbox.amqp.messages import Dispatch
from tests.hostile import messages as hostile
from tests.hostile.conftest import Start
from tests.hostile.deeds import GOOD, QUEUE
from tests.hostile.memory import megabytes
from tests.support.engine.effects import Effects
from tests.support.engine.line import Line
from tests.support.engine.rabbit import Rabbit
from tests.support.service.process import Process
from tests.support.wait import wait_for

MESSAGES = 10_000
MOST_MEGABYTES = 400
DEAD_LETTERS = topology.dead_letter_queue(QUEUE)
KEPT = "SELECT message_body, reason, error_message FROM duly.dead_letters WHERE job_id IS NULL"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_foreign_messages_are_quarantined_and_harm_no_job(
    line: Line, effects: Effects, rabbit: Rabbit, start: Start, sql_now: psycopg.Connection
) -> None:
    random = Random(1)
    first = line.submit(GOOD(name="first"))
    processes = [start("relay"), start("worker")]
    line.wait_for(first, "succeeded")
    sent = Counter(hostile.foreign(random, MESSAGES))
    started = time.monotonic()
    for number, body in enumerate(sent.elements()):
        rabbit.publish(DEAD_LETTERS if number % 2 else QUEUE, body)
        if number % 100 == 0:
            rabbit.publish(QUEUE, hostile.of_job(random))
            rabbit.publish(QUEUE, messages.encode(Dispatch(str(first), 1, GOOD.name, QUEUE)))
            rabbit.publish(DEAD_LETTERS, messages.encode(Dispatch(str(first), 1, GOOD.name, QUEUE)))
    good = [line.submit(GOOD(name="behind")) for _ in range(200)]
    wait_for("good jobs", lambda: all(line.job(job).state == "succeeded" for job in good))
    done = time.monotonic()
    wait_for("all messages", lambda: rabbit.depth(QUEUE) == rabbit.depth(DEAD_LETTERS) == 0)
    wait_for("letters", lambda: len(sql_now.execute(KEPT).fetchall()) >= MESSAGES)
    _tell(started, done, processes)

    kept = sql_now.execute(KEPT).fetchall()
    assert Counter(body for body, _, _ in kept) == sent
    assert {reason for _, reason, _ in kept} == {"malformed"}
    assert [effects.of(job) for job in good] == [["done"]] * len(good)
    assert [process.is_alive for process in processes] == [True, True]
    assert hostile.SIGNATURE not in "".join(process.log for process in processes)
    assert max(megabytes(process.pid) for process in processes) < MOST_MEGABYTES


def _tell(started: float, done: float, processes: list[Process]) -> None:
    memory = ", ".join(f"{megabytes(process.pid):.0f} MB" for process in processes)
    print(  # noqa: T201 - what a person wants to know of a run
        f"{MESSAGES} foreign messages: good jobs done after {done - started:.1f} s, "
        f"all kept after {time.monotonic() - started:.1f} s; relay, worker: {memory}"
    )
