"""Jobs of keys with rates, from their submission to their end."""

from datetime import timedelta
from uuid import UUID

import pytest

from outbox import Actor, Job, Key, Rate, RateLimited
from tests.support.engine.by_hand import ByHand
from tests.support.engine.line import Line, Note, do_nothing, note_kind
from tests.support.engine.rated import Rated
from tests.support.wait import wait_for

STARTS = """
SELECT extract(epoch FROM started_at)::float8 AS at FROM duly.jobs
WHERE keys && %(keys)s ORDER BY started_at
"""
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
