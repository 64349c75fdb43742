"""The relay killed at each moment of its duties, then started again."""

import psycopg
import pytest

from outbox.relay.pipeline import LARGEST_BATCH
from tests.faults import moments
from tests.faults.actors import BOOK, ELSEWHERE, ORDER, QUEUE, QUEUES
from tests.faults.clients import Clients
from tests.faults.line import Line, has_crashed
from tests.faults.moments import Moment
from tests.faults.points import points
from tests.faults.promises import Promises
from tests.support.engine.rabbit import Rabbit
from tests.support.service.process import Process
from tests.support.wait import wait_for

HAS_SEEN_QUEUES = """
SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%overtaken%'
"""
NO_SETTLING = """
CREATE FUNCTION public.wait() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN new; END $$;
CREATE TRIGGER wait BEFORE INSERT ON duly.publications EXECUTE FUNCTION public.wait();
SELECT pg_advisory_lock(1);
"""
HELD = """
SELECT wait_event FROM pg_stat_activity
WHERE datname = current_database() AND query LIKE '%outbox_events%' AND xact_start IS NOT NULL
    AND (wait_event = 'advisory' OR state = 'idle in transaction')
"""
"""Who holds a batch: one is being settled, the other was sent."""
FIVE_MINUTES_PASS = "UPDATE duly.outbox_events SET available_at = now()"
OTHERS_LEFT = f"SELECT count(*) FROM duly.outbox_events WHERE queue <> '{QUEUE}'"
PAUSE = "INSERT INTO duly.paused_queues (queue, who) VALUES (%s, 'ann')"
PAUSED_LEFT = f"SELECT count(*) FROM duly.outbox_events WHERE queue = '{QUEUE}'"
SPENT = "SELECT DISTINCT attempt FROM duly.jobs"
WAITING = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%orphan%'"


@points(moments.RELAY, "confirmed but not deleted")
def test_as_it_publishes(moment: Moment, line: Line, clients: Clients, promises: Promises) -> None:
    clients.submit_mix()
    line.start("worker")
    assert has_crashed(line.start_doomed(moment, "relay"))
    line.start("relay")
    promises.assert_kept()


def test_with_two_batches_on_their_way(
    line: Line, clients: Clients, promises: Promises, sql_now: psycopg.Connection
) -> None:
    line.environment["DULY_WINDOW"] = "10000"
    clients.submit(*[BOOK] * LARGEST_BATCH, ORDER)
    sql_now.execute(NO_SETTLING)
    (relay,) = line.start("relay")
    wait_for("two batches", lambda: len(promises.rows(HELD)) == 2)
    relay.kill()
    assert len(promises.left()["events"]) == LARGEST_BATCH + 1
    sql_now.execute("SELECT pg_advisory_unlock(1)")
    line.start("relay", "worker")
    promises.assert_kept()
    assert promises.rows(SPENT) == [1]


@points(moments.REFUSED)
def test_as_an_event_is_refused(
    moment: Moment,
    line: Line,
    clients: Clients,
    promises: Promises,
    rabbit: Rabbit,
    sql_now: psycopg.Connection,
) -> None:
    clients.submit(ELSEWHERE, BOOK)
    assert has_crashed(_start_with_an_event_refused(moment, line, promises, rabbit, sql_now))
    line.start("relay", "worker")
    promises.assert_kept()


@points(moments.UNPUBLISHABLE)
def test_as_an_event_is_refused_too_often(
    moment: Moment,
    line: Line,
    clients: Clients,
    promises: Promises,
    rabbit: Rabbit,
    sql_now: psycopg.Connection,
) -> None:
    refused, _ = clients.submit(ELSEWHERE, BOOK)
    sql_now.execute("UPDATE duly.outbox_events SET failures = 9")
    assert has_crashed(_start_with_an_event_refused(moment, line, promises, rabbit, sql_now))
    sql_now.execute(FIVE_MINUTES_PASS)
    line.start("relay", "worker")
    if moment.when == "after":
        refused.end = "dead"
    promises.assert_kept()


FOREIGN = b"none of ours" * 10_000
"""So large that a worker leaves it to the relay."""


@points(moments.COLLECTOR)
def test_as_it_collects(
    moment: Moment, line: Line, clients: Clients, promises: Promises, rabbit: Rabbit
) -> None:
    clients.submit_mix()
    rabbit.publish(QUEUE, FOREIGN)
    line.start("worker")
    assert has_crashed(line.start_doomed(moment, "relay"))
    line.start("relay")
    promises.assert_kept()
    wait_for("the foreign message", lambda: set(promises.foreign()) == {FOREIGN})


@points(moments.DROPPED)
def test_as_it_collects_what_was_dropped_too_often(
    moment: Moment, line: Line, clients: Clients, promises: Promises, rabbit: Rabbit
) -> None:
    line.environment["DULY_REDISPATCH_AFTER"] = "PT1H"  # so that nothing else finds it
    clients.submit(BOOK)
    (relay,) = line.start("relay")
    wait_for("it is published", lambda: not promises.left()["events"])
    relay.kill()
    rabbit.drop_until_dead(QUEUE)
    assert has_crashed(line.start_doomed(moment, "relay"))
    assert bool(promises.left()["events"]) == (moment.when == "after")
    line.start("relay", "worker")
    promises.assert_kept()
    assert promises.rows(SPENT) == [1]


@points(moments.RESCUER)
def test_as_it_rescues(moment: Moment, line: Line, clients: Clients, promises: Promises) -> None:
    clients.submit_mix()
    (relay,) = line.start("relay")
    assert has_crashed(line.start_doomed(moments.named("claimed but not begun"), "worker"))
    relay.kill()
    assert has_crashed(line.start_doomed(moment, "relay"))
    line.start("relay", "worker")
    promises.assert_kept()
    assert "crashed" in promises.rows("SELECT outcome FROM duly.attempts")


@pytest.mark.slow
def test_in_the_middle_of_a_rescue(
    line: Line, clients: Clients, promises: Promises, sql_now: psycopg.Connection
) -> None:
    clients.submit_mix()
    (relay,) = line.start("relay")
    assert has_crashed(line.start_doomed(moments.named("claimed but not begun"), "worker"))
    with sql_now.transaction():
        sql_now.execute("LOCK TABLE duly.attempts IN SHARE MODE")
        wait_for("it waits for the lock", lambda: bool(promises.rows(WAITING)))
        relay.kill()
    line.start("relay", "worker")
    promises.assert_kept()


@points(moments.EXPIRER)
def test_as_it_cancels_what_has_expired(
    moment: Moment, line: Line, clients: Clients, promises: Promises, sql_now: psycopg.Connection
) -> None:
    clients.submit_mix()
    for late in clients.submit(BOOK, BOOK):
        late.end = "cancelled"
        sql_now.execute("UPDATE duly.jobs SET expires_at = now() WHERE id = %s", [late.job])
    assert has_crashed(line.start_doomed(moment, "relay"))
    line.start("relay", "worker")
    promises.assert_kept()


@pytest.mark.slow
def test_while_a_queue_is_paused(
    line: Line, clients: Clients, promises: Promises, rabbit: Rabbit, sql_now: psycopg.Connection
) -> None:
    (relay,) = line.start("relay")
    clients.submit(BOOK)
    wait_for("it is published", lambda: not promises.left()["events"])
    sql_now.execute(PAUSE, [QUEUE])
    wait_for("the relay to know", lambda: "paused queues changed" in relay.log)
    clients.submit(*[BOOK] * 10, ELSEWHERE)
    for _ in range(3):
        wait_for("the other queue", lambda: promises.rows(OTHERS_LEFT) == [0])
        assert (rabbit.depth(QUEUE), promises.rows(PAUSED_LEFT)) == (1, [10])
        relay.kill()
        clients.submit(ELSEWHERE)
        (relay,) = line.start("relay")
    sql_now.execute("DELETE FROM duly.paused_queues")
    line.start("worker")
    promises.assert_kept()
    assert promises.rows(SPENT) == [1]


@points(moments.LOST)
def test_as_it_looks_for_lost_messages(
    moment: Moment, line: Line, clients: Clients, promises: Promises, rabbit: Rabbit
) -> None:
    clients.submit_mix()
    (relay,) = line.start("relay")
    wait_for("all is published", lambda: not promises.left()["events"])
    relay.kill()
    assert sum(len(rabbit.take(queue)) for queue in QUEUES) == len(clients.accepted)
    old = "SELECT FROM duly.publications WHERE published_at < now() - interval '3 s'"
    wait_for("patience ends", lambda: bool(promises.rows(old)))
    assert has_crashed(line.start_doomed(moment, "relay"))
    assert bool(promises.left()["events"]) == (moment.when == "after")
    line.start("relay", "worker")
    promises.assert_kept()


def _start_with_an_event_refused(
    moment: Moment, line: Line, promises: Promises, rabbit: Rabbit, sql_now: psycopg.Connection
) -> Process:
    """A relay whose queue is deleted after it has seen it, and before it publishes to it."""
    with sql_now.transaction():
        # Of what a relay does before it locks events, only REDISPATCH_LOST reads jobs.
        sql_now.execute("LOCK TABLE duly.jobs IN ACCESS EXCLUSIVE MODE")
        relay = line.start_doomed(moment, "relay")
        wait_for("it has seen the queues", lambda: bool(promises.rows(HAS_SEEN_QUEUES)))
        rabbit.delete(ELSEWHERE.queue)
    wait_for("it is refused", lambda: "messages refused" in relay.log)
    return relay
