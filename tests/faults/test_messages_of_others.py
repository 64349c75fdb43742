"""Relay, worker and broker killed while messages go to other services and come from them."""

from collections import Counter
from contextlib import closing
from datetime import datetime

import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import publish
from outbox.worker.receiving.loop import DELIVERIES_ALLOWED
from tests.faults import moments
from tests.faults.consuming import DEADLY, PARTNER
from tests.faults.line import Line, has_crashed
from tests.faults.moments import Moment
from tests.faults.points import points
from tests.support.engine.rabbit import Rabbit
from tests.support.servers.nodes import Nodes
from tests.support.wait import wait_for

LEFT = "SELECT FROM duly.outgoing_messages WHERE sent_at IS NULL"
MARKS = [f"m{n}" for n in range(30)]


@pytest.fixture
def partner(line: Line, amqp_url: str) -> str:
    """Another service's queue, which a consumer of the line's app has."""
    line.environment["DULY_APP"] = "tests.faults.consuming:duly"
    with closing(Rabbit(amqp_url)) as rabbit:  # a wiped broker would lose a longer connection
        rabbit.delete(PARTNER)
        rabbit.declare(PARTNER)
    return PARTNER


def publish_all(engine: Engine, queue: str) -> set[str]:
    """Publish a message for each mark; returns their ids."""
    with Session(engine) as session, session.begin():
        found = [publish(session, "", queue, {"mark": mark}, type="t") for mark in MARKS]
    return {str(each.id) for each in found}


@points(moments.SENDING)
def test_a_relay_that_dies_has_the_next_one_send_again(
    moment: Moment,
    line: Line,
    engine: Engine,
    rabbit: Rabbit,
    sql_now: psycopg.Connection,
    partner: str,
) -> None:
    published = publish_all(engine, partner)
    assert has_crashed(line.start_doomed(moment, "relay"))
    line.start("relay")
    wait_for("all on record", lambda: not sql_now.execute(LEFT).rowcount)
    times = Counter(properties.message_id for properties, _ in rabbit.take_whole(partner))
    assert times.keys() == published
    assert set(times.values()) == {2 if "confirmed" in moment.name else 1}


@points(moments.RECEIVING)
def test_a_worker_that_dies_has_each_message_done_once(
    moment: Moment,
    line: Line,
    engine: Engine,
    rabbit: Rabbit,
    sql_now: psycopg.Connection,
    partner: str,
) -> None:
    publish_all(engine, partner)
    line.start("relay")
    wait_for("all sent", lambda: not sql_now.execute(LEFT).rowcount)
    assert has_crashed(line.start_doomed(moment, "worker"))
    line.start("worker")
    marks = "SELECT mark FROM entries"
    wait_for("all done", lambda: sql_now.execute(marks).rowcount >= len(MARKS))
    wait_for("all acknowledged", lambda: rabbit.depth(partner) == 0)
    assert sorted(mark for (mark,) in sql_now.execute(marks)) == sorted(MARKS)


@pytest.mark.slow
def test_what_a_broker_lost_after_it_confirmed_is_sent_again(
    line: Line, engine: Engine, nodes: Nodes, sql_now: psycopg.Connection, partner: str
) -> None:
    began = sql_now.execute("SELECT now()").fetchone()
    published = publish_all(engine, partner)
    (relay,) = line.start("relay")
    wait_for("all on record", lambda: not sql_now.execute(LEFT).rowcount)
    nodes.rabbitmq.wipe()
    nodes.rabbitmq.start()
    rabbit = Rabbit(nodes.amqp_url)
    rabbit.declare(partner)
    assert began
    since: datetime = began[0]
    resend = ("events", "resend", "--since", since.isoformat(), "--routing-key", partner)
    line.duly(*resend)
    assert rabbit.depth(partner) == 0
    line.duly(*resend, "--yes", "--why", "wiped")
    wait_for("all again", lambda: rabbit.depth(partner) >= len(published))
    assert {properties.message_id for properties, _ in rabbit.take_whole(partner)} == published
    rabbit.close()
    assert relay.log


@pytest.mark.slow
def test_a_message_with_which_workers_die_is_put_away_and_what_is_behind_it_done(
    line: Line, engine: Engine, rabbit: Rabbit, sql_now: psycopg.Connection, partner: str
) -> None:
    rabbit.delete(partner)
    rabbit.declare_classic(partner)
    for mark in ("before", DEADLY, "behind"):
        about = {"message_id": mark, "content_type": "application/json"}
        rabbit.publish_whole("", partner, f'{{"mark": "{mark}"}}'.encode(), **about)
    line.start("relay")
    for _ in range(1 + DELIVERIES_ALLOWED):
        (worker,) = line.start("worker")
        assert has_crashed(worker)
    line.start("worker")
    marks = "SELECT mark FROM entries"
    wait_for("both done", lambda: sql_now.execute(marks).rowcount >= 2)
    wait_for("all acknowledged", lambda: rabbit.depth(partner) == 0)
    assert sorted(mark for (mark,) in sql_now.execute(marks)) == ["before", "behind"]
    letters = "SELECT reason, error_message, message_body FROM duly.dead_letters"
    ((reason, why, body),) = sql_now.execute(letters)
    assert (reason, why) == ("malformed", "workers died with it")
    assert DEADLY in bytes(body).decode()
