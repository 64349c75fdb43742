"""Requests that wait for jobs, at one API process: how late they are told, and what they hold."""

import asyncio
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from bench.backlogs import JOB
from bench.comparison import Comparison, in_turns
from bench.contestants import DULY
from bench.crew import crew
from bench.setting import Bench
from dev.ports import free_port
from dev.wait import wait_until
from outbox.http.ended_jobs import AT_ONCE, POLL_SECONDS
from outbox.operations import api_keys
from outbox.operations.api_keys import Scope
from outbox.postgres.address import sqlalchemy_url
from outbox.postgres.session_settings import TRANSITION_SETTINGS, connect
from outbox.store import transitions
from outbox.submission.pending import submissions

HOST = "127.0.0.1"
WAITERS = 1000
PACED = 50
"""How many jobs end one by one while the others are waited for."""
QUIET_SECONDS = 5
MILLISECOND = 1e-3
CONNECTIONS = """
SELECT query_start, state <> 'idle' FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'duly-api'
"""


@dataclass(frozen=True)
class Waits:
    """What 1,000 waiters of one process met."""

    p50: float
    """Milliseconds from a job's end to its answer, while the others wait on."""
    looks: float
    """Statements a second of the process, while all wait."""
    busy: float
    """The mean number of connections in use, while all wait."""
    herd: float
    """Seconds until all are answered whose jobs end in the same moment."""
    plain: float
    """Seconds until as many requests are answered that wait for nothing."""

    def __str__(self) -> str:
        return (
            f"p50 {self.p50:.0f} ms, {self.looks:.1f} looks/s, {self.busy:.2f} busy, "
            f"all at once {self.herd:.1f} s, without waiting {self.plain:.1f} s"
        )


def run(bench: Bench) -> list[Comparison]:
    """Jobs end one by one, then all others at once, beside as many requests that do not wait."""
    found = in_turns({"Duly": partial(_measured, bench)}, bench.rounds, bench.say, str)["Duly"]
    poll = POLL_SECONDS / MILLISECOND
    per_second = 1 / POLL_SECONDS
    return [
        _less("a job's end is told, p50 ÷ the poll", [w.p50 for w in found], poll, "ms", 1),
        _less("looks of 1,000 waiters ÷ of one", [w.looks for w in found], per_second, "/s", 1.5),
        _less("connections in use ÷ 1", [w.busy for w in found], 1, "", 0.2),
        Comparison(
            "1,000 answers at once ÷ without waiting",
            [w.herd for w in found],
            [w.plain for w in found],
            *("s", 1.5),
            less_is_better=True,
        ),
    ]


def _less(what: str, ours: Sequence[float], theirs: float, unit: str, reach: float) -> Comparison:
    return Comparison(what, [*ours], [theirs] * len(ours), unit, reach, less_is_better=True)


def _measured(bench: Bench) -> Waits:
    port = free_port()
    with crew(bench.database_url, bench.amqp_url, "waiters", DULY.queues) as own:
        DULY.create_tables(own.database_url)
        key = _key(own.database_url)
        own.start("outbox.cli", "api", "--port", str(port))
        if not wait_until(lambda: _answers(port), 60):
            raise RuntimeError("the API did not start; see .bench/waiters.log")
        with connect(own.database_url, TRANSITION_SETTINGS) as database:
            return asyncio.run(_wait(database, port, key, bench.size(WAITERS)))


async def _wait(database: "psycopg.Connection[Any]", port: int, key: str, count: int) -> Waits:
    ids = _submit(database, count)
    began = time.monotonic()
    few = asyncio.Semaphore(AT_ONCE)  # as many as those who have waited
    await asyncio.gather(*(_get_in_turn(few, port, key, each) for each in ids))
    plain = time.monotonic() - began
    answers = {each: asyncio.create_task(_get(port, key, each, 60)) for each in ids}
    await asyncio.sleep(QUIET_SECONDS)  # until all wait
    looks, busy = await asyncio.to_thread(_watched, database)
    late = [await _end_one(database, answers[each], each) for each in ids[:PACED]]
    await asyncio.to_thread(_end, database, ids[PACED:])
    began = time.monotonic()
    last = max(await asyncio.gather(*(answers[each] for each in ids[PACED:])))
    return Waits(median(late) / MILLISECOND, looks, busy, last - began, plain)


async def _end_one(
    database: "psycopg.Connection[Any]", answer: "asyncio.Task[float]", job_id: UUID
) -> float:
    """Seconds from its end to the answer."""
    await asyncio.to_thread(_end, database, [job_id])
    ended = time.monotonic()
    return await answer - ended


async def _get_in_turn(few: asyncio.Semaphore, port: int, key: str, job_id: UUID) -> None:
    async with few:
        await _get(port, key, job_id, 0)


async def _get(port: int, key: str, job_id: UUID, wait: int) -> float:
    """Ask for the job over a connection of its own; returns when it was answered."""
    reader, writer = await asyncio.open_connection(HOST, port)
    path = f"/v1/jobs/{job_id}" + (f"?wait={wait}" if wait else "")
    head = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {key}\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n".encode())
    answer = await reader.read()
    answered = time.monotonic()
    writer.close()
    if b" 200 " not in answer[:20]:
        raise RuntimeError(f"refused: {answer[:1000]!r}")
    return answered


def _watched(database: "psycopg.Connection[Any]") -> tuple[float, float]:
    """Looks a second, and the API's connections that are in use."""
    began, looks, busy = time.monotonic(), set(), []
    while time.monotonic() - began < QUIET_SECONDS:
        seen = database.execute(CONNECTIONS).fetchall()
        looks |= {started for started, _ in seen}
        busy.append(sum(in_use for _, in_use in seen))
        time.sleep(0.017)  # in no step with the polls
    return len(looks) / (time.monotonic() - began), sum(busy) / len(busy)


def _submit(database: "psycopg.Connection[Any]", count: int) -> list[UUID]:
    ids = [uuid7() for _ in range(count)]
    for each in submissions([JOB | {"id": str(each)} for each in ids]):
        database.execute(each.transition, each.parameters)
    return ids


def _end(database: "psycopg.Connection[Any]", ids: Sequence[UUID]) -> None:
    """Claim and complete them, as the group commit does."""
    which = {"id": [*ids], "dispatch": [1] * len(ids), "worker": "bench"}
    database.execute(transitions.CLAIM, which | {"kind": ["bench.nothing"] * len(ids)})
    done = {"attempt": [1] * len(ids), "result": ["null"] * len(ids)}
    database.execute(transitions.SUCCEED, which | done)


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection((HOST, port), 1):
        return True
    return False


def _key(database_url: str) -> str:
    engine = create_engine(sqlalchemy_url(database_url))
    with Session(engine) as session, session.begin():
        key = api_keys.create(session, "bench", [Scope.READ], by="bench")
    engine.dispose()
    return key
