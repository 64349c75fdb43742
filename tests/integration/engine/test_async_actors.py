"""`async def` actors: tasks of one event loop, under the rules of threads."""

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from outbox import Actor, Job
from tests.integration.engine.effects import Effects
from tests.integration.engine.line import Line, Note, note_kind


async def add(tx: AsyncSession, job: Job, what: str = "done") -> None:
    """Have an effect, in the transaction."""
    await tx.execute(
        text("INSERT INTO effects VALUES (:job, :what)"), {"job": job.id, "what": what}
    )


def test_an_effect_its_completion_and_its_result_are_one_transaction(
    line: Line, effects: Effects, queue: str
) -> None:
    async def do(note: Note, job: Job) -> None:
        async with job.transaction() as tx:
            await add(tx, job, note.text)
            job.result = {"said": note.text}

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.wait_for(line.submit(kind(text="hello")), "succeeded")
    assert job.result == {"said": "hello"}
    assert effects.of(job.id) == ["hello"]


def test_more_of_them_run_at_once_than_there_are_threads(line: Line, queue: str) -> None:
    running: set[str] = set()
    all_run = asyncio.Event()

    async def do(note: Note, _job: Job) -> str:
        running.add(note.text)
        if len(running) == 40:
            all_run.set()
        await all_run.wait()
        return note.text

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do), threads=1, tasks=40)
    jobs = [line.submit(kind(text=str(number))) for number in range(40)]
    assert {line.wait_for(job, "succeeded").result for job in jobs} == running
