"""What a relay's metrics show of Postgres: sampled by a duty, and read without Postgres."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any
from urllib.request import urlopen

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from outbox.kinds import Kinds
from outbox.listeners import measures
from outbox.maintenance.sampling import sampler, walk, workers
from outbox.maintenance.sampling.sampled import Sampled
from outbox.maintenance.sampling.sampler import SETTINGS, Sampler
from outbox.maintenance.supervision import supervise
from outbox.metrics import sampled
from outbox.metrics.processes import RelayMetrics
from outbox.metrics.server import MetricsServer
from outbox.operations import dead_letters
from outbox.postgres.session_settings import connect
from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import note_kind, run_aside
from tests.support.wait import wait_for

SILENCE = timedelta(seconds=10)
KNOWN = "known"
SCHEDULE = """
INSERT INTO duly.schedules (name, source, cron, zone, kind, queue, priority, payload,
                            attempt_budget, overlap, missed, catch_up_seconds, jitter_seconds,
                            next_due_at)
SELECT 's' || late, 'runtime', '* * * * *', 'UTC', 'test.note', 'q', 1, '{}', 1, 'skip', 'skip',
       0, 0, now() - late * interval '1 s'
FROM unnest(ARRAY[100, -100]) AS late
"""
CLOSED = """
INSERT INTO duly.dead_letters (queue, reason, closed_at, resolution)
SELECT 'q', 'malformed', now() - days * interval '1 day', 'discarded'
FROM unnest(ARRAY[0, 2, 3, 8, 31, 400]) AS days
"""
MANY = """
INSERT INTO duly.jobs (id, kind, queue, priority, payload, state, attempt_limit, attempt_budget,
                       finished_at)
SELECT gen_random_uuid(), 'test.note', 'q', 1, '{}', state, 3, 3, now()
FROM generate_series(1, %(count)s), unnest(ARRAY['succeeded', 'succeeded', 'dead']) AS state
"""
MANY_LETTERS = """
INSERT INTO duly.dead_letters (job_id, dispatch, queue, reason, closed_at, resolution)
SELECT id, 1, 'q', 'exhausted', CASE WHEN n > 50 THEN now() - n * interval '1 min' END,
       CASE WHEN n > 50 THEN 'discarded' END
FROM (SELECT id, row_number() OVER () AS n FROM duly.jobs WHERE state = 'dead') AS dead
"""
MESSAGES = """
INSERT INTO duly.outgoing_messages (id, exchange, routing_key, type, properties, body, created_at,
                                    sent_at, deferred_until)
SELECT gen_random_uuid(), 'shop', '', 't', '', '', now() - age * interval '1 s',
       CASE WHEN state = 'sent' THEN now() END,
       CASE state WHEN 'deferred' THEN now() WHEN 'buried' THEN 'infinity'::timestamptz END
FROM unnest(%(ages)s::int[], %(states)s::text[]) AS message (age, state)
"""
LARGE = (
    "jobs",
    "outbox_events",
    "outgoing_messages",
    "dead_letters",
    "attempts",
    "batches",
    "ticks",
)


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> Iterator[RelayMetrics]:
    """The metrics of a relay that samples twenty times a second."""
    monkeypatch.setattr(sampler, "INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(sampler, "PAUSE_FACTOR", 0)
    metrics = RelayMetrics()
    yield metrics
    metrics.close()


@pytest.fixture
def scraped(metrics: RelayMetrics, database_url: str) -> Iterator["Scraped"]:
    """What a scrape shows of it."""
    sample = Sampler(database_url, Kinds(note_kind(KNOWN)), SILENCE).run
    stop = run_aside(lambda: supervise("sampler", sample))
    server = MetricsServer(metrics, "127.0.0.1", 0)
    yield Scraped(server.port)
    server.close()
    stop()


class Scraped:
    """Scrapes the port."""

    def __init__(self, port: int) -> None:
        self._port = port

    def all(self, name: str) -> dict[str, float]:
        """The series of a metric that are not 0, by the values of their labels."""
        return {labels: value for labels, value in self.series(name).items() if value}

    def series(self, name: str) -> dict[str, float]:
        """All series of a metric, by the values of their labels in the order of their names."""
        with urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=10) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        return {
            " ".join(each.labels.values()): each.value
            for family in families
            for each in family.samples
            if each.name == name
        }

    def one(self, name: str) -> float:
        """The series without labels; 0 where there is none."""
        return self.all(name).get("", 0)

    def wait_for_next_sample(self) -> None:
        """Wait until one has begun after now and is shown."""
        for _ in range(2):
            before = self.one("duly_sample_timestamp_seconds")
            wait_for(
                "a sample",
                lambda: self.one("duly_sample_timestamp_seconds") > before,  # noqa: B023
            )


def test_a_scrape_shows_what_there_is(by_hand: ByHand, engine: Engine, scraped: Scraped) -> None:
    by_hand.beat("w1")
    late, held = by_hand.submit(priority=0), by_hand.submit(priority=2)
    for _ in range(3):
        by_hand.submit()
    by_hand.publish(by_hand.submit())
    by_hand.running()
    by_hand.retry(by_hand.running(), delay=3600)
    for letter in (by_hand.dead()[1], by_hand.keep_foreign(b"x"), by_hand.keep_foreign(b"y")):
        age = f"died_at = now() - interval '{10 * letter} s'"
        by_hand.take(f"UPDATE duly.dead_letters SET {age} WHERE id = %(id)s", id=letter)
    with Session(engine) as session, session.begin():
        dead_letters.note_look(session, letter)
    by_hand.take("UPDATE duly.outbox_events SET keys = '{k}' WHERE job_id = %(id)s", id=held)
    for table, time in (("jobs", "run_at"), ("outbox_events", "available_at")):
        id_ = "id" if table == "jobs" else "job_id"
        change = f"UPDATE duly.{table} SET {time} = now() - interval '10 min' WHERE {id_} = %(id)s"
        by_hand.take(change, id=late)
    by_hand.take("INSERT INTO duly.paused_queues (queue, who) VALUES ('p', 'ann')")
    by_hand.take("INSERT INTO duly.batches (id, settled_at) VALUES (gen_random_uuid(), now())")
    for _ in range(2):
        by_hand.take("INSERT INTO duly.batches (id) VALUES (gen_random_uuid())")
    by_hand.take(SCHEDULE)
    by_hand.take(CLOSED)
    scraped.wait_for_next_sample()

    assert scraped.all("duly_jobs") == {
        "high q due": 1,
        "normal q due": 3,
        "low q held": 1,
        "normal q scheduled": 1,
        "normal q published": 1,
        "normal q running": 1,
    }
    assert scraped.all("duly_jobs_estimated") == {}
    assert scraped.all("duly_work") == {"q": 7}
    assert scraped.all("duly_held_jobs") == {"q": 1}
    assert scraped.all("duly_overdue_jobs") == {"q": 1}
    assert 600 <= scraped.all("duly_oldest_due_seconds")["q"] < 660
    assert 600 <= scraped.all("duly_oldest_queued_seconds")["q"] < 660
    assert scraped.all("duly_dead_letters") == {"q": 3}
    assert scraped.all("duly_workers") == {"q": 1}
    assert scraped.all("duly_paused") == {"p": 1}
    unseen = scraped.one("duly_oldest_unseen_letter_seconds")
    assert 10 * (letter - 1) <= unseen < 10 * (letter - 1) + 10
    assert scraped.all("duly_closed_letters") == {"day": 1, "week": 2, "month": 1, "older": 2}
    assert 100 <= scraped.one("duly_schedule_lag_seconds") < 160
    assert scraped.one("duly_open_batches") == 2
    assert scraped.all("duly_promise_broken") == {}


@pytest.mark.usefixtures("by_hand")
def test_of_an_empty_database_the_series_of_known_queues_are_0(scraped: Scraped) -> None:
    scraped.wait_for_next_sample()
    for gauge in ("duly_work", "duly_workers", "duly_dead_letters", "duly_oldest_due_seconds"):
        assert scraped.series(gauge) == {KNOWN: 0}
    assert scraped.series("duly_promise_broken") == {
        "queued_without_event": 0,
        "running_without_worker": 0,
        "dead_without_letter": 0,
    }


@pytest.mark.parametrize(
    ("state", "seconds"), [("waiting", 300), ("deferred", 300), ("sent", 7), ("buried", 7)]
)
def test_the_oldest_message_is_one_that_rabbitmq_has_not_confirmed_and_that_is_no_dead_letter(
    by_hand: ByHand, database_url: str, state: str, seconds: int
) -> None:
    own = Sampler(database_url, Kinds(), SILENCE)
    assert next_sample(own).totals.message_seconds == 0
    by_hand.take(MESSAGES, ages=[300, 7, 5], states=[state, "waiting", "deferred"])
    assert seconds <= next_sample(own).totals.message_seconds < seconds + 60


def test_a_broken_promise_is_shown_until_it_is_repaired(by_hand: ByHand, scraped: Scraped) -> None:
    job = by_hand.submit()
    by_hand.take("DELETE FROM duly.outbox_events")
    scraped.wait_for_next_sample()
    assert scraped.all("duly_promise_broken") == {"queued_without_event": 1}
    by_hand.reschedule(job)
    scraped.wait_for_next_sample()
    assert scraped.all("duly_promise_broken") == {}


def test_a_broken_promise_is_still_known_after_a_sample_that_failed(
    by_hand: ByHand, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the walk is far from it by then."""
    monkeypatch.setattr(walk, "MOST_LOOKED_AT", 1)
    monkeypatch.setattr(workers, "RESCUED_WITHIN", -SILENCE / 2)
    by_hand.running(worker="gone")
    jobs = sorted(by_hand.submit() for _ in range(9))
    by_hand.take("DELETE FROM duly.outbox_events WHERE job_id = %(id)s", id=jobs[1])
    own = Sampler(database_url, Kinds(), SILENCE)
    found = [next_sample(own).broken["queued_without_event"] for _ in range(3)]
    assert found == [0, 1, 1]
    by_hand.take("ALTER TABLE duly.publications RENAME TO away")
    with pytest.raises(psycopg.errors.UndefinedTable):
        next_sample(own)
    by_hand.take("ALTER TABLE duly.away RENAME TO publications")
    broken = {"queued_without_event": 1, "running_without_worker": 1, "dead_without_letter": 0}
    assert next_sample(own).broken == broken


def test_without_new_samples_the_gauges_have_no_series_and_their_time_stays(
    by_hand: ByHand, scraped: Scraped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampled, "STALE_AFTER_SECONDS", 1.0)
    by_hand.submit()
    scraped.wait_for_next_sample()
    assert scraped.all("duly_work") == {"q": 1}
    by_hand.take("ALTER TABLE duly.publications RENAME TO away")
    wait_for("the gauges to go", lambda: not scraped.all("duly_work"))
    last = scraped.one("duly_sample_timestamp_seconds")
    assert last > 0
    by_hand.take("ALTER TABLE duly.away RENAME TO publications")
    wait_for("the gauges to come back", lambda: scraped.all("duly_work") == {"q": 1})
    assert scraped.one("duly_sample_timestamp_seconds") > last


@pytest.mark.parametrize("statistics", ["old", "new"])
def test_no_statement_of_a_sample_reads_a_table_of_jobs_from_end_to_end(
    by_hand: ByHand, database_url: str, engine: Engine, statistics: str
) -> None:
    by_hand.take("ANALYZE")
    by_hand.take(MANY, count=3000)
    by_hand.take(MANY_LETTERS)
    by_hand.take(MESSAGES, ages=[1] * 900, states=["sent", "waiting", "deferred"] * 300)
    for _ in range(20):
        by_hand.submit()
    if statistics == "new":
        by_hand.take("ANALYZE")
    sent = statements_of_a_sample(engine, database_url)
    assert len(sent) > 10
    with connect(database_url, SETTINGS) as database:
        plans = [
            (statement, node)
            for statement, asked in sent
            for (plan,) in database.execute("EXPLAIN (FORMAT JSON) " + statement, asked)
            for node in nodes(plan[0]["Plan"])
        ]
    scans = [node for _, node in plans if node.get("Relation Name") in LARGE]
    assert scans
    for statement, node in plans:
        if node["Node Type"] in ("Seq Scan", "Bitmap Heap Scan"):
            assert node["Relation Name"] not in LARGE, statement


def statements_of_a_sample(engine: Engine, database_url: str) -> list[tuple[str, Any]]:
    """What is sent to Postgres for a sample."""
    sent: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, asked: Any, *___: object) -> None:
        sent.append((statement, asked))

    event.listen(engine, "before_cursor_execute", note)
    with Session(engine) as session:
        Sampler(database_url, Kinds(), SILENCE).read(session)
    event.remove(engine, "before_cursor_execute", note)
    return sent


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The node and all below it."""
    yield node
    for each in node.get("Plans", []):
        yield from nodes(each)


def next_sample(own: Sampler) -> Sampled:
    """Run the sampler until it tells of a sample, and end it there by an error."""
    told: list[Sampled] = []

    def listener(sample: Sampled) -> None:
        told.append(sample)
        raise ZeroDivisionError

    with pytest.MonkeyPatch.context() as patch, suppress(ZeroDivisionError):
        patch.setattr(measures, "emit", listener)
        asyncio.run(own.run())
    return told[0]
