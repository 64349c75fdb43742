"""A relay that ends: told to, or in its worst moment."""

import psycopg

from tests.support.outside.arrivals import message_ids
from tests.support.service.line import Line
from tests.support.wait import wait_for

DELETING_WAITS = """
CREATE FUNCTION take_turn() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END';
CREATE TRIGGER take_turn BEFORE DELETE ON duly.outbox_events EXECUTE FUNCTION take_turn();
"""


def test_a_relay_told_to_stop_ends_in_order(line: Line) -> None:
    (relay,) = line.start("relay")
    wait_for("the relay is ready", lambda: "relay ready" in relay.log)
    relay.terminate()
    assert relay.wait() == 0
    assert "relay stopped" in relay.log


def test_what_a_killed_relay_published_without_a_commit_is_not_done_twice(
    line: Line, sql_now: psycopg.Connection
) -> None:
    line.start("api", "worker")
    job_ids = [line.submit_email() for _ in range(20)]
    sql_now.execute(DELETING_WAITS)
    sql_now.execute("SELECT pg_advisory_lock(1)")
    (relay,) = line.start("relay")
    wait_for("all mails", lambda: len(line.inbox.envelopes) == len(job_ids))
    relay.kill()
    sql_now.execute("SELECT pg_advisory_unlock(1)")
    relay.start()
    job_ids.append(line.submit_email())  # after the doubles, in the same queue
    wait_for("the last mail", lambda: job_ids[-1] in message_ids(line.inbox))
    line.wait_for_no_unfinished_job()
    assert sorted(message_ids(line.inbox)) == sorted(job_ids)
