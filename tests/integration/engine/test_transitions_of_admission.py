"""The admission of jobs with keys, one statement at a time."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import Key, Kinds, Schedule, batch, submit
from outbox.operations import schedules
from outbox.operations.flow import limits
from outbox.operations.flow.limits import KeyInUse
from outbox.relay.admission.key_cursor import KeyCursor
from outbox.relay.admission.statements import SETTINGS
from outbox.store import transitions
from tests.protocol.stage import AS_THEY_LIE
from tests.support.engine.batches import Batches
from tests.support.engine.by_hand import KIND, ByHand, Row, wanted
from tests.support.engine.keyed import MANY, Keyed
from tests.support.engine.line import note_kind
from tests.support.wait import wait_for

LATER = "UPDATE duly.outbox_events SET available_at = now() + interval '1 h' WHERE job_id = %(id)s"
OLDER = "UPDATE duly.outbox_events SET available_at = now() - interval '1 h' WHERE job_id = %(id)s"
SLOW_SWEEP = transitions.SWEEP_HOLDERS.replace(
    "FROM duly.key_holders AS holder\n    LEFT JOIN",
    "FROM (SELECT pg_advisory_xact_lock(1) OFFSET 0) AS gate"
    " CROSS JOIN duly.key_holders AS holder LEFT JOIN",
)
"""It begins, and then waits for the lock 1."""
WAITING = """
SELECT FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = 'advisory'
"""
PUBLISHED_LONG_AGO = "UPDATE duly.publications SET published_at = now() - interval '1 h'"


@pytest.fixture
def keyed(by_hand: ByHand) -> Keyed:
    return Keyed(by_hand)


def published(hand: ByHand) -> list[UUID]:
    """What the relay's loop would publish."""
    events = hand.take(transitions.LOCK_EVENTS, **wanted(q=100))
    return [UUID(event["job_id"]) for event in events]


def test_what_has_keys_is_published_only_once_it_was_admitted(
    keyed: Keyed, by_hand: ByHand
) -> None:
    free, job = keyed.submit(), keyed.submit("a", "b")
    assert published(by_hand) == [free]
    assert keyed.admit("a", "b") == [["a", "b"]]
    assert sorted(published(by_hand)) == [free, job]
    assert keyed.holders() == [(job, "a", 1), (job, "b", 1)]


def test_a_message_claims_nothing_that_was_not_admitted_under_its_dispatch(
    keyed: Keyed, by_hand: ByHand
) -> None:
    job, _ = keyed.submit("a"), keyed.submit("b")
    assert keyed.admit("b")
    assert by_hand.claim(job) is None
    keyed.admit("a")
    assert by_hand.claim(job)
    by_hand.snooze(job)
    assert by_hand.claim(job, dispatch=2) is None
    keyed.admit("a")
    assert by_hand.claim(job, dispatch=2)


def test_a_claim_of_a_limited_kind_is_fenced_as_any_other(keyed: Keyed, by_hand: ByHand) -> None:
    job = keyed.submit("a")
    row = {"id": job, "dispatch": 1, "kind": KIND}
    assert by_hand.take_one(transitions.CLAIM_LIMITED, **row) is None
    keyed.admit("a")
    assert by_hand.take_one(transitions.CLAIM_LIMITED, **row | {"kind": "other"}) is None
    assert by_hand.take_one(transitions.CLAIM_LIMITED, **row | {"dispatch": 2}) is None
    claimed = by_hand.take_one(transitions.CLAIM_LIMITED, **row)
    assert claimed
    assert claimed["keys"] == ["a"]


ENDINGS: dict[str, Callable[[ByHand, UUID], object]] = {
    "retry": ByHand.retry,
    "snooze": ByHand.snooze,
    "rescue": lambda hand, _: hand.rescue(),
    "put off": lambda hand, job: hand.put_off(job, attempt=1),
}


@pytest.mark.parametrize("how", ENDINGS)
def test_a_job_that_is_queued_again_waits_for_its_keys_again(
    keyed: Keyed, by_hand: ByHand, how: str
) -> None:
    job = keyed.running("a")
    assert ENDINGS[how](by_hand, job)
    event = by_hand.event(job)
    assert event
    assert event["keys"] == ["a"]
    assert keyed.count("a") == {}


def test_so_does_one_that_is_put_at_another_time_or_replayed(keyed: Keyed, by_hand: ByHand) -> None:
    moved = keyed.submit("a")
    keyed.admit("a")
    assert by_hand.reschedule(moved, priority=0)
    dead = keyed.running("b")
    by_hand.die(dead)
    by_hand.close(transitions.REPLAY, by_hand.letters(dead)[0]["id"])
    for job, key in ((moved, "a"), (dead, "b")):
        event = by_hand.event(job)
        assert event
        assert event["keys"] == [key]


def test_a_lost_message_is_published_again_under_the_admission_that_it_had(
    keyed: Keyed, by_hand: ByHand
) -> None:
    admitted, not_admitted = keyed.submit("a"), keyed.submit("b")
    keyed.admit("a")
    for job in (admitted, not_admitted):
        by_hand.publish(job)
    by_hand.take(PUBLISHED_LONG_AGO)
    by_hand.take(transitions.REDISPATCH_LOST, queues=["q"], depths=[0], patience_seconds=30)
    events = {job: by_hand.event(job) for job in (admitted, not_admitted)}
    assert {job: event and event["keys"] for job, event in events.items()} == {
        admitted: None,
        not_admitted: ["b"],
    }


@pytest.mark.parametrize("has_holder", [True, False])
def test_so_is_one_that_came_back_from_the_dead_letter_queue(
    keyed: Keyed, by_hand: ByHand, *, has_holder: bool
) -> None:
    job = keyed.submit("a")
    if has_holder:
        keyed.admit("a")
    by_hand.publish(job)
    row = {"job_id": job, "dispatch": 1, "kind": KIND, "queue": "q", "delay_seconds": 0}
    by_hand.take(transitions.REDISPATCH, **row)
    event = by_hand.event(job)
    assert event
    assert event["keys"] == (None if has_holder else ["a"])


def test_the_oldest_due_ones_are_admitted_and_no_others(keyed: Keyed, by_hand: ByHand) -> None:
    jobs = [keyed.submit("a") for _ in range(4)]
    by_hand.take(OLDER, id=jobs[2])
    by_hand.take(LATER, id=jobs[0])
    others = [
        keyed.submit("a", kind="other"),
        keyed.submit("a", queue="r"),
        keyed.submit("a", priority=0),
        keyed.submit("a", "b"),
        keyed.submit("a", ordered=True),
    ]
    assert len(keyed.admit("a", most=2)) == 2
    assert [job for job, _, _ in keyed.holders()] == sorted([jobs[2], jobs[1]])
    assert len(keyed.admit("a", most=10)) == 1
    assert not {job for job, _, _ in keyed.holders()} & {jobs[0], *others}


def test_an_event_of_an_old_dispatch_takes_no_holder_from_the_job(
    keyed: Keyed, by_hand: ByHand
) -> None:
    job = keyed.submit("a")
    keyed.admit("a")
    by_hand.take("UPDATE duly.key_holders SET dispatch = 2")
    by_hand.take("UPDATE duly.outbox_events SET keys = '{a}'")
    assert keyed.admit("a")
    assert keyed.holders() == [(job, "a", 2)]


def test_so_it_is_with_an_ordered_key(keyed: Keyed, by_hand: ByHand) -> None:
    job = keyed.submit("a", ordered=True)
    assert keyed.admit_first(job, "a")
    by_hand.publish(job)
    assert by_hand.claim(job)
    by_hand.snooze(job)
    assert keyed.admit_first(job, "a")
    assert keyed.holders() == [(job, "a", 2)]
    by_hand.take("UPDATE duly.key_holders SET dispatch = 3")
    by_hand.take("UPDATE duly.outbox_events SET keys = '{a}'")
    assert keyed.admit_first(job, "a")
    assert keyed.holders() == [(job, "a", 3)]


def test_who_holds_a_key_counts_until_the_job_has_ended(keyed: Keyed, by_hand: ByHand) -> None:
    running, queued = keyed.running("a"), keyed.submit("a")
    keyed.admit("a")
    assert keyed.count("a", "b") == {"a": 2}
    (row,) = by_hand.take(transitions.COUNT_HOLDERS, keys=["a"], held=[])
    assert row["unclaimed"] == 1
    assert keyed.sweep() == []
    by_hand.succeed(running)
    assert keyed.count("a") == {"a": 1}
    (told,) = keyed.sweep()
    assert told["key"] == "a"
    assert told["seconds"] >= 0
    assert keyed.holders() == [(queued, "a", 1)]


def test_a_dead_job_holds_its_first_key_until_its_letter_is_closed_if_its_kind_says_so(
    keyed: Keyed, by_hand: ByHand
) -> None:
    job = keyed.running("a", "b")
    by_hand.die(job)
    assert keyed.count("a", "b") == {}
    assert keyed.count("a", "b", held=("other",)) == {}
    assert keyed.count("a", "b", held=(KIND,)) == {"a": 1}
    keyed.sweep((KIND,))
    assert keyed.holders() == [(job, "a", 1)]
    by_hand.close(transitions.DISCARD, by_hand.letters(job)[0]["id"])
    assert keyed.count("a", held=(KIND,)) == {}
    keyed.sweep((KIND,))
    assert keyed.holders() == []


def test_only_the_open_letter_of_its_last_dispatch_holds_a_key(
    keyed: Keyed, by_hand: ByHand
) -> None:
    a, b, c = keyed.running("a"), keyed.running("b"), keyed.running("c", "d")
    for job in (a, b, c):
        by_hand.die(job)
    by_hand.close(transitions.DISCARD, by_hand.letters(a)[0]["id"])
    by_hand.take("UPDATE duly.dead_letters SET dispatch = 0 WHERE job_id = %(id)s", id=b)
    assert keyed.count("a", "b", "c", "d", held=(KIND,)) == {"c": 1}
    seen = by_hand.take(transitions.HOLDERS, held=[KIND])
    assert [row["key"] for row in seen] == ["c"]
    keyed.sweep((KIND,))
    assert keyed.holders() == [(c, "c", 1)]
    assert by_hand.take(transitions.HOLDERS, held=["other"]) == []
    keyed.sweep(("other",))
    assert keyed.holders() == []


def test_a_sweep_tells_how_long_jobs_ran_by_their_first_keys(keyed: Keyed, by_hand: ByHand) -> None:
    never = keyed.submit("c")
    keyed.admit("c")
    by_hand.cancel(never)
    by_hand.succeed(keyed.running("a", "b"))
    assert [row["key"] for row in keyed.sweep()] == ["a"]
    assert keyed.holders() == []


def test_holders_are_seen_by_key_and_queue(
    keyed: Keyed, by_hand: ByHand, sql_now: psycopg.Connection
) -> None:
    keyed.running("a", "b")
    keyed.submit("late", "other")
    keyed.admit("late", "other")
    sql_now.execute("UPDATE duly.key_holders SET admitted_at = admitted_at - interval '300 ms'")
    keyed.submit("a", "b")
    keyed.admit("a", "b")
    by_hand.succeed(keyed.running("c"))
    by_hand.snooze(keyed.running("d"))
    rows = by_hand.take(transitions.HOLDERS, held=[])
    seen = sorted((*row.values(),) for row in rows)
    assert seen == [
        ("a", "q", 2, 1, 0, 1),
        ("b", "q", 2, 0, 0, 0),
        ("late", "q", 1, 1, 1, 0),
        ("other", "q", 1, 0, 0, 0),
    ]
    assert keyed.count("b") == {"b": 2}


def test_two_relays_never_lock_the_same_key(by_hand: ByHand, other_hand: ByHand) -> None:
    with by_hand.connection.transaction():
        assert by_hand.take(transitions.TRY_LOCK_KEYS, keys=["a", "b"]) == [
            {"key": "a"},
            {"key": "b"},
        ]
        others = other_hand.take(transitions.TRY_LOCK_KEYS, keys=["a", "c"])
        assert others == [{"key": "c"}]
    assert other_hand.take(transitions.TRY_LOCK_KEYS, keys=["a"]) == [{"key": "a"}]


def test_a_relay_waits_for_no_holder_that_another_sweeps(
    keyed: Keyed, by_hand: ByHand, other_hand: ByHand
) -> None:
    by_hand.succeed(keyed.running("a"))
    with by_hand.connection.transaction():
        assert keyed.sweep()
        assert Keyed(other_hand).sweep() == []


def test_a_slow_sweep_deletes_no_holder_of_a_later_dispatch_than_it_knows(
    keyed: Keyed, by_hand: ByHand, other_hand: ByHand
) -> None:
    job = keyed.running("a")
    by_hand.die(job)
    other_hand.take("SELECT pg_advisory_lock(1)")
    with ThreadPoolExecutor() as threads:
        sweep = threads.submit(by_hand.take, SLOW_SWEEP, held=[])
        try:
            wait_for("sweep that has begun", lambda: other_hand.take(WAITING))
            other_hand.close(transitions.REPLAY, other_hand.letters(job)[0]["id"])
            assert Keyed(other_hand).admit("a", level=4)
        finally:
            other_hand.take("SELECT pg_advisory_unlock(1)")
    assert sweep.result() == []
    assert keyed.holders() == [(job, "a", 2)]


def test_a_relay_waits_for_no_event_that_another_admits(
    keyed: Keyed, by_hand: ByHand, other_hand: ByHand
) -> None:
    keyed.submit("a")
    first = keyed.submit("b", ordered=True)
    other_hand.take("SET lock_timeout = '2s'")
    with by_hand.connection.transaction():
        assert keyed.admit("a")
        assert keyed.admit_first(first, "b")
        assert not Keyed(other_hand).admit("a")
        assert not Keyed(other_hand).admit_first(first, "b")


def test_a_scan_goes_from_key_to_key_and_says_what_is_due(keyed: Keyed, by_hand: ByHand) -> None:
    for key in "aabcc":
        keyed.submit(key)
    by_hand.take(LATER, id=keyed.submit("d"))
    keyed.submit("a", kind="another", priority=0)
    keyed.submit("e", queue="r")
    keyed.submit()
    rows = keyed.scan(None, "q", "r")
    assert [(row["queue"], row["level"], row["keys"], row["due"]) for row in rows] == [
        ("q", 0, ["a"], 1),
        ("q", 1, ["a"], 2),
        ("q", 1, ["b"], 1),
        ("q", 1, ["c"], 2),
        ("q", 1, ["d"], 0),
        ("r", 1, ["e"], 1),
    ]


@pytest.mark.parametrize("bound", ["hops", "sought"])
def test_a_scan_goes_on_where_the_last_one_ended_and_then_begins_anew(
    keyed: Keyed, bound: str
) -> None:
    for key in "abc":
        keyed.submit(key)
    cursor, seen = KeyCursor(), []
    for _ in range(3):
        rows = keyed.scan(cursor, "q", **{bound: 2})
        seen.append([row["keys"] for row in rows])
        cursor.advance([SimpleNamespace(**row) for row in rows])
    assert seen == [[["a"], ["b"]], [["c"]], [["a"], ["b"]]]


def test_a_scan_for_due_events_passes_those_of_later(keyed: Keyed, by_hand: ByHand) -> None:
    for key in "abcd":
        job = keyed.submit(key)
        if key in "ac":
            by_hand.take(LATER, id=job)
    rows = keyed.scan(sought=1)
    assert [(row["keys"], row["due"], row["goes_on"]) for row in rows] == [(["b"], 1, True)]


def test_the_first_of_an_ordered_key_is_found_wherever_it_waits(
    keyed: Keyed, by_hand: ByHand
) -> None:
    keyed.submit("of another key", ordered=True, queue="r")
    first = keyed.submit("a", ordered=True, queue="r", priority=2)
    second = keyed.submit("a", ordered=True)
    (row,) = keyed.scan()
    assert (row["first_id"], row["first_queue"], row["first_is_due"]) == (first, "r", True)
    assert not keyed.admit_first(second, "a")
    by_hand.take(LATER, id=first)
    assert not keyed.admit_first(first, "a")
    assert not keyed.admit_first(second, "a")
    by_hand.take(OLDER, id=first)
    assert not keyed.admit_first(first, "b")
    assert not keyed.admit_first(first, "a", kind="other")
    assert keyed.admit_first(first, "a")
    assert keyed.admit_first(second, "a")


def test_the_first_of_a_key_is_not_where_it_lies(keyed: Keyed, by_hand: ByHand) -> None:
    keyed.submit("a")
    first, _ = (keyed.submit("a", ordered=True) for _ in range(2))
    by_hand.take(OLDER, id=first)
    by_hand.take(AS_THEY_LIE)
    (row,) = keyed.scan()
    assert (row["is_ordered"], row["first_id"]) == (True, first)


def test_what_is_not_ordered_has_no_first(keyed: Keyed) -> None:
    keyed.submit("a", ordered=True, queue="r")
    keyed.submit("a")
    (row,) = keyed.scan()
    assert (row["due"], row["is_ordered"], row["first_id"]) == (1, False, None)


def test_what_is_not_due_has_no_first(keyed: Keyed, by_hand: ByHand) -> None:
    keyed.submit("a", ordered=True, queue="r")
    by_hand.take(LATER, id=keyed.submit("a", ordered=True))
    (row,) = keyed.scan()
    assert (row["due"], row["is_ordered"], row["first_id"]) == (0, True, None)


def test_the_order_of_one_key_is_not_that_of_another(keyed: Keyed) -> None:
    keyed.submit("a", ordered=True)
    keyed.submit("b")
    other = keyed.submit("b", ordered=True)
    assert keyed.admit_first(other, "b")


def test_who_submits_after_another_has_committed_comes_after_it(
    keyed: Keyed, by_hand: ByHand
) -> None:
    jobs = [keyed.submit("a", ordered=True) for _ in range(3)]
    positions = [by_hand.job(job)["position"] for job in jobs]
    assert positions == sorted(positions)
    assert by_hand.job(keyed.submit("a"))["position"] is None


def test_due_events_are_counted_up_to_a_bound_and_the_kinds_limit(
    keyed: Keyed, by_hand: ByHand
) -> None:
    for key, kind in ("aa", "not known"), ("aaab", KIND), ("aaab", "two"), ("aa", "unknown"):
        for each in key:
            keyed.submit(each, kind=kind)
    by_hand.take(LATER, id=keyed.submit("b"))
    keyed.submit("b", priority=2)
    rows = keyed.scan(most=3, two=2)
    assert [(row["kind"], row["keys"], row["due"]) for row in rows if row["level"] == 1] == [
        ("not known", ["a"], 1),
        (KIND, ["a"], 3),
        (KIND, ["b"], 1),
        ("two", ["a"], 2),
        ("two", ["b"], 1),
        ("unknown", ["a"], 1),
    ]


def test_queues_whose_events_all_have_keys_are_in_use(keyed: Keyed, by_hand: ByHand) -> None:
    for queue in ("d", "b", "a", "b"):
        keyed.submit("x", queue=queue)
    for queue in ("0", "c"):
        keyed.submit(queue=queue)
    by_hand.take(AS_THEY_LIE)
    assert queues(by_hand, transitions.KEYED_QUEUES) == ["a", "b", "d"]
    assert queues(by_hand, transitions.QUEUES_IN_USE) == ["0", "a", "b", "c", "d"]


def test_no_key_of_a_paused_queue_is_looked_for(keyed: Keyed, by_hand: ByHand) -> None:
    for queue in ("a", "b"):
        keyed.submit("x", queue=queue)
    asked = {"by": "ann", "why": None, "channel": "c", "message": "m"}
    by_hand.take(transitions.PAUSE_QUEUE, queue="a", **asked)
    assert queues(by_hand, transitions.KEYED_QUEUES) == ["b"]


def queues(hand: ByHand, query: str) -> list[str]:
    return sorted(row["queue"] for row in hand.take(query))


def test_a_round_reads_few_rows_whatever_the_backlog_of_a_key(
    keyed: Keyed, by_hand: ByHand
) -> None:
    by_hand.take(MANY, queue="q", count=20_000)
    keyed.submit("text:B")
    first = keyed.submit("text:A", ordered=True)
    by_hand.take(OLDER, id=first)
    by_hand.take("ANALYZE duly.outbox_events")
    for name, value in SETTINGS.items():
        by_hand.take("SELECT set_config(%(name)s, %(value)s, false)", name=name, value=value)
    wanted = json.dumps(KeyCursor().wanted(["q"]))
    explain = "EXPLAIN (ANALYZE, BUFFERS off, TIMING off, FORMAT JSON) "
    asked = {"wanted": wanted, "hops": 100, "sought": 100, "most": 40, "limits": "{}"}
    (row,) = by_hand.take(explain + transitions.SCAN_KEYS, **asked)
    assert _rows_read(row["QUERY PLAN"][0]["Plan"]) < 200
    one = {"queue": "q", "level": 1, "kind": KIND, "keys": ["text:A"], "most": 1}
    (row,) = by_hand.take(explain + transitions.ADMIT, wanted=json.dumps([one]))
    assert _rows_read(row["QUERY PLAN"][0]["Plan"]) < 200
    this = {"id": str(first), "kind": KIND, "keys": ["text:A"]}
    (row,) = by_hand.take(explain + transitions.ADMIT_FIRST, wanted=json.dumps([this]))
    assert _rows_read(row["QUERY PLAN"][0]["Plan"]) < 200


def _rows_read(node: Row) -> int:
    """Rows that came out of any node, or that one of them has dropped."""
    own = node["Actual Rows"] * node["Actual Loops"]
    dropped = sum(n for name, n in node.items() if name.startswith("Rows Removed"))
    return int(own + dropped) + sum(_rows_read(each) for each in node.get("Plans", []))


def test_jobs_of_batches_their_callbacks_and_of_schedules_wait_for_their_keys(
    by_hand: ByHand, engine: Engine
) -> None:
    kind = note_kind("q", key=Key(lambda note: note.text, ordered=True))
    schedule = Schedule("nightly", "0 2 * * *", kind(text="tick"))
    with Session(engine) as session, session.begin():
        with batch(session, on_success=kind(text="then")):
            submit(session, kind(text="member"))
        schedules.create(session, schedule, by="ann")
        schedules.run(session, "nightly", by="ann")
    batches = Batches(engine, by_hand)
    (member,) = by_hand.take("SELECT id FROM duly.jobs WHERE keys = '{member}'")
    Keyed(by_hand).admit_first(member["id"], "member")
    batches.end("succeeded", member["id"])
    batches.fold()
    waiting = by_hand.take(
        "SELECT keys, position FROM duly.outbox_events WHERE keys IS NOT NULL ORDER BY position"
    )
    assert [event["keys"] for event in waiting] == [["tick"], ["then"]]
    assert all(event["position"] for event in waiting)


def test_people_see_who_holds_a_key_and_how_many_wait(
    keyed: Keyed, by_hand: ByHand, engine: Engine
) -> None:
    kind = note_kind("q", key=(Key(lambda note: note.text, at_most=2), Key(lambda _: "all")))
    keyed.running("a", "all")
    for _ in range(3):
        keyed.submit("a", "all")
    keyed.admit("a", "all")
    by_hand.succeed(keyed.running("b", "all"))
    with Session(engine) as session:
        assert limits.find(session, Kinds(kind)) == [
            KeyInUse("a", at_most=2, running=1, admitted=1, dead=0, waiting=2),
            KeyInUse("all", at_most=None, running=1, admitted=1, dead=0, waiting=2),
        ]
        (last,) = limits.find(session, Kinds(), after="a", limit=1)
        assert (last.key, last.at_most) == ("all", 1)


def test_people_see_a_key_that_a_dead_letter_holds_and_pages_leave_none_out(
    keyed: Keyed, by_hand: ByHand, engine: Engine
) -> None:
    kind = note_kind("q", key=Key(lambda note: note.text, at_most=1, hold=True))
    by_hand.succeed(keyed.running("a"))
    by_hand.die(keyed.running("b"))
    keyed.running("c")
    with Session(engine) as session:
        (first,) = limits.find(session, Kinds(kind), limit=1)
        assert (first.key, first.dead, first.running) == ("b", 1, 0)
        (second,) = limits.find(session, Kinds(kind), limit=1, after="b")
        assert (second.key, second.dead, second.running) == ("c", 0, 1)
