"""Jobs of keys with rates, from their submission to their end."""

import asyncio
import math
import time
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import Actor, Job, Key, Kinds, Rate, RateLimited, Unique
from outbox.operations.flow import key_limits
from outbox.relay.admission import round as one_round
from outbox.relay.admission import statements
from outbox.relay.admission.admitter import Admitter
from outbox.store import transitions
from outbox.worker.records.claims import ASYNC_CLAIMS, claim_of, rates_of
from outbox.worker.records.group_size import commits
from tests.support.engine.by_hand import KIND, ByHand
from tests.support.engine.keyed import MANY, Keyed, sampled
from tests.support.engine.line import Line, Note, do_nothing, note_kind
from tests.support.engine.rated import Rated
from tests.support.wait import wait_for

STARTS = """
SELECT extract(epoch FROM started_at)::float8 AS at FROM duly.jobs
WHERE keys && %(keys)s AND started_at IS NOT NULL ORDER BY started_at
"""
PAUSED = "INSERT INTO duly.key_clocks VALUES (%(key)s, now(), now() + interval '10 min')"
OTHERS = timedelta(minutes=1)


def by_text(note: Note) -> str:
    return f"text:{note.text}"


def by_secret(note: Note) -> str:
    return f"secret:{note.secret}"


def assert_kept(by_hand: ByHand, key: str, rate: Rate, jobs: int) -> None:
    """In no time did more jobs start than the rate allows."""
    starts = [row["at"] for row in by_hand.take(STARTS, keys=[key])]
    assert len(starts) == jobs
    spacing = rate.spacing_us / 1e6
    for first, began in enumerate(starts):
        for last, then in enumerate(starts[first:], first):
            assert last - first + 1 <= rate.burst + (then - began) / spacing + 1e-3


def test_no_more_jobs_start_than_the_rates_allow_whatever_relays_and_workers_there_are(
    line: Line, queue: str, by_hand: ByHand
) -> None:
    own, of_all = Rate(10, per=timedelta(seconds=1), burst=2), Rate(40, per=timedelta(seconds=1))
    kind = note_kind(queue, key=(Key(by_text, rate=own, at_most=5), Key(by_secret, rate=of_all)))
    for _ in range(2):
        line.start_relay(queue, kinds=[kind])
        line.start_worker(Actor(kind, do_nothing))
    jobs = [line.submit(kind(text=text, secret="s")) for text in "abababababab"]
    for job in jobs:
        line.wait_for(job, "succeeded")
    for key in "ab":
        assert_kept(by_hand, f"text:{key}", own, 6)
    assert_kept(by_hand, "secret:s", of_all, 12)
    assert {line.job(job).attempt for job in jobs} == {1}


@pytest.mark.parametrize("is_async", [False, True])
def test_a_receiver_that_asks_for_a_pause_is_left_alone_by_all_jobs_of_its_key(
    line: Line, queue: str, by_hand: ByHand, *, is_async: bool
) -> None:
    kind = note_kind(queue, key=Key(by_text, rate=Rate(1000, per=timedelta(seconds=1))))
    refused: list[UUID] = []

    def ask(note: Note, job: Job) -> None:
        if note.text == "a" and not refused:
            refused.append(job.id)
            raise RateLimited(0.8, "429")

    async def ask_async(note: Note, job: Job) -> None:
        ask(note, job)

    line.start_relay(queue, kinds=[kind])
    line.start_worker(Actor(kind, ask_async if is_async else ask))
    first = line.submit(kind(text="a"))
    wait_for("refusal", lambda: Rated(by_hand).clocks().get("text:a", (0, None))[1])
    second, other = line.submit(kind(text="a")), line.submit(kind(text="b"))
    line.wait_for(other, "succeeded")
    for job in (first, second):
        assert line.job(job).state == "queued"
    ended = [line.wait_for(job, "succeeded") for job in (first, second)]
    assert [job.attempt for job in ended] == [1, 1]
    (pause,) = by_hand.take("SELECT not_before FROM duly.key_clocks WHERE not_before IS NOT NULL")
    assert all(job.started_at and job.started_at >= pause["not_before"] for job in ended)


def test_a_backlog_that_waits_for_permits_costs_the_relay_no_rounds(
    line: Line, queue: str, by_hand: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[float] = []
    admit = one_round.admit
    locked: list[int] = []

    async def counted(*arguments: Any) -> Any:
        rounds.append(time.monotonic())
        locked.append(len(arguments[1]))
        return await admit(*arguments)

    monkeypatch.setattr(one_round, "admit", counted)
    rate = Rate(1, per=timedelta(seconds=1), burst=1)
    kind = note_kind(queue, key=Key(by_text, rate=rate))
    by_hand.take(MANY, queue=queue, count=2000)
    line.start_relay(queue, kinds=[kind])
    line.start_worker(Actor(kind, do_nothing))
    succeeded = "SELECT FROM duly.jobs WHERE state = 'succeeded'"
    wait_for("two starts", lambda: len(by_hand.take(succeeded)) >= 2)
    assert len(rounds) < 25
    assert sum(locked) < 10
    by_hand.take("DELETE FROM duly.outbox_events")
    assert_kept(by_hand, "text:A", rate, len(by_hand.take(succeeded)))


def test_a_lifted_rate_holds_at_once(line: Line, queue: str, engine: Engine) -> None:
    slow = Rate(1, per=timedelta(days=1), burst=1)
    kind = note_kind(queue, key=Key(by_text, rate=slow))
    line.start_relay(queue, kinds=[kind])
    line.start_worker(Actor(kind, do_nothing))
    jobs = [line.submit(kind(text="a")) for _ in range(3)]
    wait_for("first", lambda: any(line.job(job).state == "succeeded" for job in jobs))
    with Session(engine) as session, session.begin():
        fast = Rate(1000, per=timedelta(seconds=1))
        key_limits.set_limit(session, "text:a", rate=fast, by="ann")
    for job in jobs:
        line.wait_for(job, "succeeded")


def test_a_limit_that_somebody_sets_holds(
    line: Line, queue: str, engine: Engine, database_url: str
) -> None:
    kind = note_kind(queue, key=Key(by_text))
    with Session(engine) as session, session.begin():
        key_limits.set_limit(session, "text:a", at_most=2, by="ann")
    line.start_relay(queue, kinds=[kind])
    line.start_worker(Actor(kind, lambda _note, _job: time.sleep(0.02)))
    with sampled(database_url) as most:
        for job in [line.submit(kind(text="a")) for _ in range(5)]:
            line.wait_for(job, "succeeded")
    assert most["text:a"] <= 2


def test_a_pause_that_a_person_ends_is_over_at_once(
    by_hand: ByHand, engine: Engine, database_url: str
) -> None:
    rate = Rate(1, per=timedelta(hours=1), burst=2)
    admitter = admitter_of(database_url, Key(by_text, rate=rate))
    Keyed(by_hand).submit("a")
    set_limit(engine, "a", at_most=5)
    by_hand.take(PAUSED, key="a")

    async def take_rounds() -> None:
        async with statements.connect(database_url) as database:
            rounds = [await admitter.admit(database) for _ in range(2)]
            assert [each.found for each in rounds] == [1, 0]
            assert [each.permit_in for each in rounds] == pytest.approx([600, 600], abs=30)
            set_limit(engine, "a", at_most=5)  # as before, but it ends the pause
            admitter.limits_changed()
            last = await admitter.admit(database)
            assert (last.found, last.permit_in) == (1, math.inf)

    asyncio.run(take_rounds())
    assert len(Keyed(by_hand).holders()) == 1


def test_a_raised_limit_has_as_many_jobs_start_in_one_round(
    by_hand: ByHand, engine: Engine, database_url: str
) -> None:
    admitter = admitter_of(database_url, Key(by_text, at_most=1))
    for _ in range(5):
        Keyed(by_hand).submit("a")
    set_limit(engine, "a", at_most=3)

    async def take_round() -> None:
        async with statements.connect(database_url) as database:
            await admitter.admit(database)

    asyncio.run(take_round())
    assert len(Keyed(by_hand).holders()) == 3


def admitter_of(database_url: str, key: Key) -> Admitter:
    kinds = Kinds(note_kind("q", KIND, key=key))
    return Admitter(database_url, kinds, 10, on_admission=lambda: None, depth_of=lambda _: None)


def set_limit(engine: Engine, key: str, at_most: int) -> None:
    with Session(engine) as session, session.begin():
        key_limits.set_limit(session, key, at_most=at_most, by="ann")


def test_kinds_without_rates_are_claimed_as_they_always_were() -> None:
    rated = note_kind("q", key=Key(by_text, at_most=1, rate=Rate(1, per=OTHERS)))
    unique = note_kind("q", key=Key(by_text, rate=Rate(1, per=OTHERS)), unique=Unique("text"))
    assert claim_of(note_kind("q")) is transitions.CLAIM
    assert claim_of(note_kind("q", key=by_text)) is transitions.CLAIM
    assert claim_of(note_kind("q", key=Key(by_text, at_most=1))) is transitions.CLAIM_LIMITED
    assert claim_of(rated) is transitions.CLAIM_RATED
    assert claim_of(unique) is transitions.CLAIM_UNIQUE_RATED
    assert rates_of(note_kind("q", key=by_text)) == {}
    assert {transitions.CLAIM_RATED, transitions.CLAIM_UNIQUE_RATED}.isdisjoint(ASYNC_CLAIMS)


def test_statements_that_lock_clocks_are_committed_apart() -> None:
    entries = [
        SimpleNamespace(statement=statement, row={})
        for statement in (
            *(transitions.RATE_LIMITED, transitions.CLAIM, transitions.CLAIM_RATED),
            *(transitions.SUCCEED, transitions.RATE_LIMITED),
        )
    ]
    parts = [{each.statement for each in part} for part in commits(entries) if part]
    assert parts == [
        {transitions.CLAIM, transitions.SUCCEED},
        {transitions.CLAIM_RATED},
        {transitions.RATE_LIMITED},
    ]
