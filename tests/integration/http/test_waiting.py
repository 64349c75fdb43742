"""`GET /v1/jobs/{id}?wait=30`: the answer comes when the job has ended."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import httpx2
import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, event

from outbox.http.ended_jobs import AT_ONCE, POLL_SECONDS
from outbox.http.requests import transaction
from outbox.http.requests.database import CONNECTIONS
from service.app import create_app
from service.settings import Settings
from service.subjects import NEW_JOBS
from tests.support.engine.by_hand import WAITING
from tests.support.service import lives
from tests.support.service.serving import serve_app
from tests.support.wait import wait_for

MAIL: Any = NEW_JOBS["a mail"]["value"]
LOOK = "AS asked (id)"


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    """The service's app."""
    return create_app(settings)


@pytest.fixture
def address(app: FastAPI) -> Iterator[str]:
    """Where it is served."""
    with serve_app(app) as address:
        yield address


@pytest.fixture
def looks() -> Iterator[list[tuple[float, list[UUID]]]]:
    """The statements that look for ended jobs: when each began, and for which jobs."""
    found: list[tuple[float, list[UUID]]] = []

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        if LOOK in statement:
            found.append((time.monotonic(), list(parameters["ids"])))

    event.listen(Engine, "before_cursor_execute", note)
    yield found
    event.remove(Engine, "before_cursor_execute", note)


def submitted(client: httpx2.Client) -> str:
    return str(client.post("/v1/jobs", json=MAIL).json()["id"])


def waited(client: httpx2.Client, job: str, seconds: int = 30) -> tuple[Any, float]:
    """The job as the answer has it, and how many seconds that took."""
    began = time.monotonic()
    answer = client.get(f"/v1/jobs/{job}", params={"wait": seconds})
    assert answer.status_code == 200
    return answer.json(), time.monotonic() - began


def test_the_answer_comes_when_the_job_has_ended(
    client: httpx2.Client, sql_now: psycopg.Connection, looks: list[Any]
) -> None:
    job = submitted(client)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(waited, client, job)
        wait_for("it waits", lambda: looks)
        run = lives.claim(sql_now, job)
        lives.succeed(sql_now, run, '{"message_id": "<1>"}')
        shown, seconds = waiting.result()
    assert (shown["state"], shown["result"]) == ("succeeded", {"message_id": "<1>"})
    assert seconds < 10


def test_when_the_time_is_over_the_job_is_shown_as_it_is(
    client: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "LONGEST_SECONDS", 0.5)  # for requests that do not wait
    shown, seconds = waited(client, submitted(client), seconds=1)
    assert shown["state"] == "queued"
    assert 1 <= seconds < 10


def test_a_job_that_has_ended_or_is_not_there_is_not_waited_for(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    job = submitted(client)
    lives.die(sql_now, lives.claim(sql_now, job))
    shown, seconds = waited(client, job)
    assert (shown["state"], seconds < 10) == ("dead", True)
    assert client.get(f"/v1/jobs/{uuid4()}", params={"wait": 20}).status_code == 404


def test_who_waits_holds_no_connection_and_all_are_looked_for_together(
    client: httpx2.Client, sql_now: psycopg.Connection, looks: list[tuple[float, list[UUID]]]
) -> None:
    jobs = [submitted(client) for _ in range(2 * CONNECTIONS)]
    with ThreadPoolExecutor(len(jobs)) as threads:
        waiting = [threads.submit(waited, client, job) for job in jobs]
        wait_for("all wait", lambda: looks and len(looks[-1][1]) == len(jobs))
        before = len(looks)
        assert client.get("/v1/jobs").status_code == 200
        wait_for("some looks", lambda: len(looks) > before + 3)
        sql_now.execute("UPDATE duly.jobs SET state = 'succeeded', finished_at = now()")
        assert {each.result()[0]["state"] for each in waiting} == {"succeeded"}
    times = [at for at, _ in looks]
    assert all(b - a >= POLL_SECONDS for a, b in pairwise(times))


def test_many_whose_jobs_end_at_once_leave_connections_for_others(
    client: httpx2.Client, database_url: str, looks: list[Any], sql_now: psycopg.Connection
) -> None:
    ids = [submitted(client) for _ in range(2 * CONNECTIONS)]
    with (
        psycopg.connect(database_url) as other,
        ThreadPoolExecutor(len(ids)) as threads,
    ):
        waits = [threads.submit(client.get, f"/v1/jobs/{each}?wait=20") for each in ids]
        wait_for("all to be looked for", lambda: looks and len(looks[-1][1]) == len(ids))
        other.execute("LOCK TABLE duly.attempts")
        sql_now.execute("UPDATE duly.jobs SET state = 'cancelled', finished_at = now()")
        wait_for("some to read", lambda: len(sql_now.execute(WAITING).fetchall()) >= AT_ONCE)
        assert client.get("/v1/jobs?limit=1").status_code == 200
        other.commit()
        assert {each.result().status_code for each in waits} == {200}


def test_a_client_that_went_away_is_forgotten(
    client: httpx2.Client, looks: list[tuple[float, list[UUID]]]
) -> None:
    job = submitted(client)
    with pytest.raises(httpx2.ReadTimeout):
        client.get(f"/v1/jobs/{job}", params={"wait": 60}, timeout=0.5)
    assert looks
    wait_for("nobody waits", lambda: time.monotonic() - looks[-1][0] > 5 * POLL_SECONDS)


def test_a_process_that_stops_answers_at_once(
    client: httpx2.Client, app: FastAPI, looks: list[Any]
) -> None:
    job = submitted(client)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(waited, client, job)
        wait_for("it waits", lambda: looks)
        app.state.shutdown.begin()
        shown, seconds = waiting.result()
    assert (shown["state"], seconds < 10) == ("queued", True)
    assert waited(client, job)[1] < 10


def test_while_postgres_is_away_they_wait_on(
    client: httpx2.Client, sql_now: psycopg.Connection, looks: list[Any]
) -> None:
    job = submitted(client)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(waited, client, job)
        wait_for("it waits", lambda: looks)
        with sql_now.transaction():
            sql_now.execute("LOCK duly.jobs")  # so that a look is under way when it is broken off
            wait_for("a look waits", lambda: _break_off(sql_now))
        lives.succeed(sql_now, lives.claim(sql_now, job), "null")
        shown, _ = waiting.result()
    assert shown["state"] == "succeeded"


def _break_off(sql_now: psycopg.Connection) -> bool:
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    own = " AND datname = current_database()"
    return bool(sql_now.execute(ended + own).fetchall())


@pytest.mark.parametrize("wait", ["-1", "61", "1.5", "soon", ""])
def test_a_time_that_is_none_is_refused(lasting_client: httpx2.Client, wait: str) -> None:
    answer = lasting_client.get(f"/v1/jobs/{uuid4()}", params={"wait": wait})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "wait")


def test_who_does_not_wait_costs_no_statement_more(client: httpx2.Client, looks: list[Any]) -> None:
    job = submitted(client)
    assert client.get(f"/v1/jobs/{job}").status_code == 200
    assert looks == []
