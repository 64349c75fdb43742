"""Jobs with keys, from their submission to their end."""

import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import Actor, Job, Key, Kind, submit
from outbox.operations import dead_letters
from outbox.relay.admission import round as one_round
from tests.support.engine.by_hand import ByHand
from tests.support.engine.keyed import MANY, sampled
from tests.support.engine.line import Line, Note, note_kind
from tests.support.network import proxy
from tests.support.wait import wait_for


class Crowd:
    """An actor that knows which of its jobs ran at once."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        """How many jobs of each text ran at once at most."""
        self.began: list[UUID] = []
        self.fail: set[UUID] = set()
        """The jobs that fail when they run for the first time."""

    def __call__(self, note: Note, job: Job) -> None:
        with self._lock:
            self.began.append(job.id)
            self._running[note.text] += 1
            self.most[note.text] = max(self.most[note.text], self._running[note.text])
        time.sleep(self._seconds)
        with self._lock:
            self._running[note.text] -= 1
        if job.id in self.fail:
            self.fail.remove(job.id)
            raise ValueError("for once")


class Gate:
    """An actor whose jobs of text A wait until they are let through."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def __call__(self, note: Note, _: Job) -> None:
        if note.text == "A":
            self.opened.wait(30)


def by_text(note: Note) -> str:
    return f"text:{note.text}"


def by_secret(note: Note) -> str:
    return f"secret:{note.secret}"


def wait_for_all(line: Line, jobs: list[UUID], state: str = "succeeded") -> None:
    for job in jobs:
        line.wait_for(job, state)


def test_never_more_jobs_of_a_key_run_than_its_limit_whatever_relays_and_workers_there_are(
    line: Line, queue: str, database_url: str
) -> None:
    one = note_kind(queue, "test.one", key=Key(by_text, at_most=1))
    both = note_kind(queue, key=(Key(by_text, at_most=2), Key(by_secret, at_most=3)))
    of_one, of_both = Crowd(0.01), Crowd(0.01)
    for _ in range(2):
        line.start_relay(queue, kinds=[one, both])
        line.start_worker(Actor(one, of_one), Actor(both, of_both))
    with sampled(database_url) as most:
        jobs = [line.submit(one(text=text)) for text in "ababab"]
        jobs += [line.submit(both(text=text, secret="s")) for text in "xyzxyzxyzxyz"]
        wait_for_all(line, jobs)
    assert of_one.most == {"a": 1, "b": 1}
    assert max(of_both.most.values()) <= 2
    assert most["text:a"] == most["text:b"] == 1
    assert most["secret:s"] <= 3
    assert most["text:x"] <= 2


def test_jobs_of_an_ordered_key_run_in_the_order_of_submission_and_a_retry_keeps_its_place(
    line: Line, queue: str
) -> None:
    kind = note_kind(queue, key=Key(by_text, ordered=True))
    crowd = Crowd()
    jobs = [line.submit(kind(text=text), priority=int(text)) for text in "222"]
    crowd.fail = {jobs[0]}
    line.start_relay(queue, kinds=[kind])
    line.start_worker(Actor(kind, crowd))
    wait_for_all(line, jobs)
    assert crowd.began == [jobs[0], *jobs]


def test_a_death_lets_the_next_one_start_unless_the_kind_holds(
    line: Line, queue: str, engine: Engine
) -> None:
    for_once: dict[str, Any] = {"retry": note_kind("q").retry.__class__(attempts=1)}
    held = note_kind(queue, "test.held", key=Key(by_text, ordered=True, hold=True), **for_once)
    loose = note_kind(queue, "test.loose", key=Key(by_secret, ordered=True), **for_once)
    of_held, of_loose = Crowd(), Crowd()
    first, second = (line.submit(held(text="h")) for _ in range(2))
    others = [line.submit(loose(secret="l")) for _ in range(2)]
    of_held.fail, of_loose.fail = {first}, {others[0]}
    line.start_relay(queue, kinds=[held, loose])
    line.start_worker(Actor(held, of_held), Actor(loose, of_loose))
    line.wait_for(first, "dead")
    wait_for_all(line, others[1:])
    assert of_held.began == [first]
    letters = {each.job_id: each.id for each in line.letters()}
    with Session(engine) as session, session.begin():
        dead_letters.discard(session, [letters[first]], by="ann", why="no")
    line.wait_for(second, "succeeded")


def test_a_full_key_with_a_long_backlog_holds_up_no_other(
    line: Line, queue: str, by_hand: ByHand
) -> None:
    kind = note_kind(queue, key=Key(by_text, at_most=1))
    gate = Gate()
    by_hand.take(MANY, queue=queue, count=2000)
    line.start_relay(queue, kinds=[kind])
    line.start_worker(Actor(kind, gate))
    running = "SELECT FROM duly.jobs WHERE state = 'running'"
    wait_for("job of A running", lambda: by_hand.take(running))
    wait_for_all(line, [line.submit(kind(text=text)) for text in "BCDEFGH"])
    assert len(by_hand.take(running)) == 1
    spent = "SELECT sum(attempt) AS spent FROM duly.jobs WHERE keys = '{text:A}'"
    assert by_hand.take(spent) == [{"spent": 1}]
    by_hand.take("DELETE FROM duly.outbox_events")
    gate.opened.set()


def test_jobs_without_keys_wake_no_admission_and_those_with_keys_do(
    line: Line, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    async def look(*asked: Any) -> one_round.State:
        looks.append(time.monotonic())
        return await real(*asked)

    real = one_round.look
    monkeypatch.setattr(one_round, "look", look)
    plain, keyed = note_kind(queue), note_kind(queue, "test.keyed", key=by_text)
    line.start_relay(queue, kinds=[plain, keyed])
    line.start_worker(Actor(plain, Crowd()), Actor(keyed, Crowd()))
    line.wait_for(line.submit(plain()), "succeeded")
    began = time.monotonic()
    for _ in range(10):
        line.wait_for(line.submit(plain()), "succeeded")
    assert sum(each > began for each in looks) <= time.monotonic() - began + 1
    before = len(looks)
    for _ in range(10):
        line.wait_for(line.submit(keyed(text="a")), "succeeded")
    assert len(looks) >= before + 10


def test_a_lowered_limit_lets_what_runs_end_first(line: Line, queue: str, by_hand: ByHand) -> None:
    def of(limit: int) -> Kind[..., Note]:
        return note_kind(queue, key=Key(by_text, at_most=limit))

    jobs = [line.submit(of(3)(text="A")) for _ in range(3)]
    for job in jobs:
        admit(by_hand, job)
        by_hand.publish(job)
        assert by_hand.claim(job)
    late = line.submit(of(3)(text="A"))
    line.start_relay(queue, kinds=[of(2)])
    line.start_worker(Actor(of(2), Crowd()))
    by_hand.succeed(jobs[0])
    other = line.submit(of(2)(text="B"))
    line.wait_for(other, "succeeded")
    assert line.job(late).state == "queued"
    by_hand.succeed(jobs[1])
    line.wait_for(late, "succeeded")


def test_jobs_of_before_the_kind_had_a_key_run(line: Line, queue: str) -> None:
    job = line.submit(note_kind(queue)(text="a"))
    kind = note_kind(queue, key=Key(by_text, at_most=1))
    line.start_relay(queue, kinds=[kind])
    line.start_worker(Actor(kind, Crowd()))
    line.wait_for(job, "succeeded")


def test_a_kind_that_the_relays_app_does_not_declare_runs_one_at_a_time(
    line: Line, queue: str
) -> None:
    kind = note_kind(queue, key=Key(by_text))
    crowd = Crowd(0.02)
    jobs = [line.submit(kind(text="a")) for _ in range(4)]
    line.start_relay(queue)
    line.start_worker(Actor(kind, crowd))
    wait_for_all(line, jobs)
    assert crowd.most == {"a": 1}


def test_a_worker_that_is_cut_off_interrupts_its_jobs_with_limits_in_time(
    line: Line, queue: str, database_url: str
) -> None:
    limited = note_kind(queue, "test.limited", key=Key(by_text, at_most=1))
    free = note_kind(queue, "test.free", key=Key(by_secret))
    ends: dict[str, float] = {}
    finish = threading.Event()

    def work(_: Note, job: Job) -> None:
        try:
            while not finish.is_set():
                time.sleep(0.01)
        finally:
            ends[job.kind] = time.monotonic()

    with proxy.before(database_url) as postgres:
        line.start_worker(
            Actor(limited, work),
            Actor(free, work),
            database_url=postgres.url(database_url),
            silence=timedelta(seconds=3),
        )
        line.start_relay(queue, kinds=[limited, free])
        job, other = line.submit(limited(text="a")), line.submit(free(secret="b"))
        line.wait_for(job, "running")
        line.wait_for(other, "running")
        cut = time.monotonic()
        postgres.swallow()
        wait_for("interrupted job", lambda: "test.limited" in ends)
        assert ends["test.limited"] - cut < 3
        assert "test.free" not in ends
        finish.set()
        postgres.cut_swallowed()
        line.wait_for(job, "succeeded")
        assert line.job(job).attempt == 1
        line.stop()


@pytest.mark.parametrize("key", ["", "x" * 10_000, "a\nb", None, 7])
def test_a_key_that_is_none_is_refused_where_the_job_is_submitted(
    engine: Engine, queue: str, key: Any
) -> None:
    kind = note_kind(queue, key=lambda _: key)
    with Session(engine) as session, session.begin():
        with pytest.raises(ValueError, match=r"^test\.note: its key is not 1 to 200 printable"):
            submit(session, kind())
        fine = submit(session, note_kind(queue)(), run_at=datetime.now(UTC) + timedelta(days=1))
    with Session(engine) as session:
        assert session.connection().exec_driver_sql(
            "SELECT keys FROM duly.jobs WHERE id = %s", (fine.id,)
        ).all() == [(None,)]


def test_a_key_function_that_raises_says_so(engine: Engine, queue: str) -> None:
    def key(_: Note) -> str:
        raise KeyError("secret value")

    with (
        Session(engine) as session,
        session.begin(),
        pytest.raises(ValueError, match=r"^test.note: its key function raised KeyError$"),
    ):
        submit(session, note_kind(queue, key=key)())


def admit(by_hand: ByHand, job: UUID, dispatch: int = 1) -> None:
    """What the relay does once the job may start."""
    by_hand.take(
        "INSERT INTO duly.key_holders (key, job_id, dispatch)"
        " SELECT unnest(keys), id, %(dispatch)s FROM duly.jobs WHERE id = %(id)s",
        id=job,
        dispatch=dispatch,
    )
