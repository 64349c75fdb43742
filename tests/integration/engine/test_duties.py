"""One row that the tables do not take, or a sequence behind its rows, ends no duty of the relay."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from structlog.testing import capture_logs

from outbox import Actor
from outbox.amqp import topology
from outbox.maintenance import upkeep
from outbox.maintenance.dead_letter_consumer import PREFETCH
from outbox.maintenance.pruning import walks
from outbox.maintenance.pruning.pruner import Pruner
from outbox.store import sequences
from tests.integration.engine.refusing import Refusing
from tests.integration.engine.test_transitions_of_pruning import DAY, count, submitted_long_ago
from tests.support.engine.by_hand import WAITING, ByHand
from tests.support.engine.line import Line, do_nothing, note_kind, run_aside
from tests.support.engine.rabbit import Rabbit
from tests.support.wait import wait_for

SECOND = timedelta(seconds=1)
KEPT_ATTEMPT = """
INSERT INTO duly.attempts (job_id, attempt, outcome, error_type, error_message)
VALUES (%(job)s, 1, 'failed', 'Kept', 'from before a switchover')
"""


def put_behind(by_hand: ByHand, table: str) -> None:
    """Have the table's sequence begin again at the smallest number of its rows."""
    name = f"duly.{table}"
    by_hand.take(f"SELECT setval('{name}_id_seq', (SELECT min(id) FROM {name}), false)")


def numbers(by_hand: ByHand, table: str) -> list[int]:
    """The numbers of the table's rows."""
    return [row["id"] for row in by_hand.take(f"SELECT id FROM duly.{table} ORDER BY id")]


def test_jobs_are_published_though_the_numbers_of_publications_are_behind(
    line: Line, by_hand: ByHand, rabbit: Rabbit, queue: str
) -> None:
    kind = note_kind(queue)
    for _ in range(10):
        by_hand.publish(by_hand.submit(queue))
    line.start_relay(queue)
    first = line.submit(kind())
    wait_for("its event is gone", lambda: by_hand.event(first) is None)
    before = numbers(by_hand, "publications")
    put_behind(by_hand, "publications")
    job = line.submit(kind())
    wait_for("the event is gone", lambda: by_hand.event(job) is None)
    assert numbers(by_hand, "publications")[-1] > before[-1]
    line.start_worker(Actor(kind, do_nothing))
    line.wait_for(job, "succeeded")


def test_a_job_is_rescued_to_death_though_the_numbers_of_letters_are_behind(
    line: Line, by_hand: ByHand
) -> None:
    for _ in range(10):
        by_hand.dead()
    line.start_relay(silence=SECOND)
    first = by_hand.running(budget=1, worker="gone")
    wait_for("a rescue", lambda: by_hand.letters(first))
    put_behind(by_hand, "dead_letters")
    job = by_hand.running(budget=1, worker="gone")
    wait_for("a rescue", lambda: by_hand.letters(job))
    assert by_hand.job(job)["state"] == "dead"
    assert by_hand.letters(job)[0]["id"] > by_hand.letters(first)[0]["id"]


def test_a_foreign_message_is_kept_though_the_numbers_of_letters_are_behind(
    line: Line, by_hand: ByHand, rabbit: Rabbit, queue: str
) -> None:
    for _ in range(10):
        by_hand.dead()
    rabbit.declare(queue)
    consumer = topology.dead_letter_queue(queue)
    line.start_relay(queue)
    rabbit.publish(consumer, b"first")
    wait_for("the first", lambda: b"first" in bodies(line))
    put_behind(by_hand, "dead_letters")
    rabbit.publish(consumer, b"second")
    wait_for("the second", lambda: b"second" in bodies(line))
    assert len(line.letters()) == 12


def test_a_sequence_that_is_behind_is_moved_on_for_all_who_insert(
    by_hand: ByHand, database_url: str
) -> None:
    act = "INSERT INTO duly.acts (who, act, about) VALUES ('ann', 'look', '{}')"
    by_hand.take(act)
    by_hand.take(act)
    last = numbers(by_hand, "acts")[-1]
    by_hand.take("SELECT setval('duly.acts_id_seq', 1, false)")

    async def keep() -> None:
        await upkeep.run(database_url)

    stop = run_aside(keep)
    try:
        moved = f"SELECT 1 FROM duly.acts_id_seq WHERE last_value >= {last}"
        wait_for("the sequence to move", lambda: by_hand.take(moved))
    finally:
        stop()
    by_hand.take(act)


def test_refusals_of_jobs_that_have_ended_are_deleted(by_hand: ByHand, database_url: str) -> None:
    job = by_hand.submit()
    by_hand.put_off(job)
    by_hand.cancel(job)

    async def keep() -> None:
        await upkeep.run(database_url)

    stop = run_aside(keep)
    try:
        wait_for("the refusal to go", lambda: by_hand.refusal(job) is None)
    finally:
        stop()


def test_a_sequence_that_another_moves_on_meanwhile_is_not_moved_back(
    by_hand: ByHand, database_url: str
) -> None:
    act = "INSERT INTO duly.acts (who, act, about) VALUES ('ann', 'look', '{}')"
    for _ in range(2):
        by_hand.take(act)
    by_hand.take("SELECT setval('duly.acts_id_seq', 1, false)")
    ahead = numbers(by_hand, "acts")[-1] + 100
    with psycopg.connect(database_url) as other, ThreadPoolExecutor() as pool:
        other.execute(f"SELECT pg_advisory_xact_lock({sequences.LOCK})")
        mending = pool.submit(by_hand.take, sequences.ADVANCE_SEQUENCES)
        wait_for("it to wait", lambda: other.execute(WAITING).fetchall())
        other.execute("SELECT setval('duly.acts_id_seq', %s)", [ahead])
        other.commit()
        mending.result()
    by_hand.take(act)
    assert numbers(by_hand, "acts")[-1] > ahead


def test_a_job_that_cannot_be_rescued_keeps_no_other_waiting_and_is_overdue(
    line: Line, by_hand: ByHand
) -> None:
    """Its attempt is on record already, which no step would have done: half a switchover has."""
    odd, other = by_hand.running(worker="gone"), by_hand.running(worker="gone")
    by_hand.take(KEPT_ATTEMPT, job=odd)
    line.start_relay(silence=SECOND)
    wait_for("the rescue", lambda: by_hand.job(other)["state"] == "queued")
    later = by_hand.running(worker="gone")
    wait_for("another", lambda: by_hand.job(later)["state"] == "queued")
    (late,) = line.overdue()
    assert (late.id, late.why) == (odd, "its worker gone is silent: to be rescued")
    by_hand.take("DELETE FROM duly.attempts WHERE job_id = %(job)s", job=odd)
    wait_for("the rescue", lambda: by_hand.job(odd)["state"] == "queued")


def test_a_running_job_without_a_worker_is_rescued(line: Line, by_hand: ByHand) -> None:
    job = by_hand.running()
    by_hand.take("UPDATE duly.jobs SET worker = NULL WHERE id = %(job)s", job=job)
    line.start_relay(silence=SECOND)
    wait_for("the rescue", lambda: by_hand.job(job)["state"] == "queued")


def test_a_dead_message_that_the_tables_do_not_take_keeps_no_other_waiting(
    line: Line, rabbit: Rabbit, refusing: Refusing, queue: str
) -> None:
    rabbit.declare(queue)
    consumer = topology.dead_letter_queue(queue)
    refusing.refuse("dead_letters", "new.message_body = 'odd'")
    rabbit.publish(consumer, b"odd")
    line.start_relay(queue)
    for n in range(20):
        rabbit.publish(consumer, f"{n}".encode())
    wait_for("the others", lambda: len(line.letters()) == 20)
    assert b"odd" not in bodies(line)
    refusing.take()
    wait_for("the odd one, too", lambda: b"odd" in bodies(line))
    line.stop()
    assert rabbit.depth(consumer) == 0


def test_many_dead_messages_that_the_tables_do_not_take_keep_no_other_waiting(
    line: Line, rabbit: Rabbit, refusing: Refusing, queue: str
) -> None:
    """More than two prefetches of them, twice: a consumer that was used up once may be so again."""
    rabbit.declare(queue)
    dead = topology.dead_letter_queue(queue)
    line.start_relay(queue)

    def publish_and_collect(plain: bytes) -> None:
        before = len(line.letters())
        refusing.refuse("dead_letters", "new.message_body LIKE 'odd%'")
        for n in range(25):
            rabbit.publish(dead, f"odd {n}".encode())
        rabbit.publish(dead, plain)
        wait_for("the plain one", lambda: plain in bodies(line))
        assert len(line.letters()) == before + 1
        refusing.take()
        wait_for("the odd ones, too", lambda: len(line.letters()) == before + 26)

    publish_and_collect(b"plain")
    publish_and_collect(b"another")
    line.stop()
    assert rabbit.depth(dead) == 0


@pytest.mark.parametrize(("bound", "value"), [("MOST_DEFERRED", 10), ("MOST_DEFERRED_BYTES", 1000)])
def test_not_all_dead_messages_that_the_tables_do_not_take_are_in_memory(
    line: Line,
    rabbit: Rabbit,
    refusing: Refusing,
    queue: str,
    monkeypatch: pytest.MonkeyPatch,
    bound: str,
    value: int,
) -> None:
    monkeypatch.setattr(f"outbox.maintenance.dead_letter_consumer.{bound}", value)
    rabbit.declare(queue)
    dead = topology.dead_letter_queue(queue)
    refusing.refuse("dead_letters", "true")
    for _ in range(25):
        rabbit.publish(dead, b"o" * 100)
    with capture_logs() as logs:
        line.start_relay(queue)
        wait_for("second tries", lambda: str(logs).count("dead message put off") > PREFETCH * 2)
    assert rabbit.depth(dead) == 25 - PREFETCH
    refusing.take()
    wait_for("all letters", lambda: len(line.letters()) == 25)


def test_a_job_that_cannot_be_buried_keeps_no_other_waiting(
    line: Line, by_hand: ByHand, refusing: Refusing, queue: str
) -> None:
    kind = note_kind(queue)
    refusing.refuse("dead_letters", "true")
    impossible = by_hand.submit("q" * 300)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do_nothing))
    wait_for("a refusal", lambda: (by_hand.event(impossible) or {}).get("failures"))
    line.wait_for(line.submit(kind()), "succeeded")
    assert by_hand.job(impossible)["state"] == "queued"
    refusing.take()
    wait_for("the burial", lambda: by_hand.letters(impossible))


def test_an_event_that_is_due_since_ever_is_published(
    line: Line, by_hand: ByHand, queue: str
) -> None:
    """Python has no such moment."""
    kind = note_kind(queue)
    job = line.submit(kind())
    by_hand.take("UPDATE duly.outbox_events SET available_at = '-infinity'")
    line.start_relay(queue)
    line.start_worker(Actor(kind, do_nothing))
    line.wait_for(job, "succeeded")


def test_a_job_that_cannot_be_deleted_keeps_no_other(
    by_hand: ByHand, database_url: str, referred: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walks, "PAUSE_FACTOR", 0)
    jobs = submitted_long_ago(by_hand, 250, ended=2 * DAY)
    for job in (jobs[0], jobs[150], jobs[-1]):
        by_hand.take(f"INSERT INTO {referred} VALUES (%(job)s)", job=job)
    stop = run_aside(Pruner(database_url, DAY).run)
    try:
        wait_for("all others are gone", lambda: count(by_hand) == 3)
    finally:
        stop()


def bodies(line: Line) -> set[bytes | None]:
    """The messages of all dead letters."""
    return {letter.message_body for letter in line.letters()}
