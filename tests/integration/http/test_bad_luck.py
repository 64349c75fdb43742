"""Postgres or RabbitMQ away: clear answers, soon, and none that is wrong."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import psycopg
import pytest
from sqlalchemy import make_url

from outbox.http import readiness
from outbox.http.requests import database, transaction
from service.settings import Settings
from service.subjects import NEW_JOBS
from tests.support.network.deaf import deaf_server
from tests.support.network.proxy import before
from tests.support.servers.read_only import read_only
from tests.support.service.serving import serve
from tests.support.wait import wait_for

MAIL: Any = NEW_JOBS["a mail"]["value"]
KEY = {"Authorization": "Bearer duly_000000000000_" + "x" * 43}
NOBODY = "127.0.0.1:1"
BLOCKED = """
SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


def test_with_postgres_down_requests_are_told_to_try_again_at_once(settings: Settings) -> None:
    away = settings.model_copy(update={"database_url": f"postgresql://user:secret@{NOBODY}/duly"})
    with serve(away) as address:
        started = time.monotonic()
        answers = [
            httpx2.get(f"{address}/v1/jobs", headers=KEY),
            httpx2.post(f"{address}/v1/jobs", headers=KEY, json=MAIL),
            httpx2.get(f"{address}/readyz"),
        ]
        alive = httpx2.get(f"{address}/healthz")

    assert time.monotonic() - started < 5
    assert [answer.status_code for answer in answers] == [503, 503, 503]
    assert answers[0].json()["type"] == "/problems/unavailable"
    assert answers[0].headers["retry-after"]
    assert answers[2].json()["postgres"] == "unreachable"
    assert not any("secret" in answer.text or "127" in answer.text for answer in answers)
    assert alive.status_code == 200


def test_connections_that_postgres_has_ended_are_replaced_and_no_request_notices(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    with ThreadPoolExecutor(4) as threads:  # so that there are several connections
        list(threads.map(lambda _: client.post("/v1/jobs", json=MAIL), range(8)))
    ended = sql_now.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'duly-api'"
    )
    assert len(ended.fetchall()) > 1

    assert [client.post("/v1/jobs", json=MAIL).status_code for _ in range(6)] == [202] * 6


def test_a_read_only_postgres_is_as_good_as_away(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    with read_only(sql_now):
        listed = client.get("/v1/jobs")
        posted = client.post("/v1/jobs", json=MAIL)
        ready = httpx2.get(f"{client.base_url}/readyz")
    assert (posted.status_code, posted.json()["type"]) == (503, "/problems/unavailable")
    assert posted.headers["retry-after"]
    assert (ready.status_code, ready.json()["postgres"]) == (503, "read-only")
    assert listed.status_code == 200

    assert client.post("/v1/jobs", json=MAIL).status_code == 202


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}])
def test_no_session_with_a_read_only_postgres_outlives_a_refusal(
    client: httpx2.Client, sql_now: psycopg.Connection, headers: dict[str, str]
) -> None:
    def post(_: object = None) -> int:
        return client.post("/v1/jobs", json=MAIL, headers=headers).status_code

    with read_only(sql_now), ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: client.get("/v1/jobs"), range(8)))

    assert [post() for _ in range(6)] == [503] + [202] * 5


def test_a_request_waits_for_a_lock_no_longer_than_the_statement_timeout(
    settings: Settings, client: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "STATEMENT_SECONDS", 1)
    with serve(settings) as address, psycopg.connect(settings.database_url) as blocker:
        blocker.execute("LOCK TABLE duly.jobs IN EXCLUSIVE MODE")
        answer = httpx2.post(f"{address}/v1/jobs", headers=client.headers, json=MAIL)

    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")


def test_a_request_waits_for_a_silent_postgres_no_longer_than_its_deadline(
    settings: Settings, client: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "LONGEST_SECONDS", 1)
    with serve(settings) as address, psycopg.connect(settings.database_url) as blocker:
        blocker.execute("LOCK TABLE duly.jobs IN EXCLUSIVE MODE")
        answer = httpx2.post(f"{address}/v1/jobs", headers=client.headers, json=MAIL)
        blocker.rollback()
        again = httpx2.post(f"{address}/v1/jobs", headers=client.headers, json=MAIL)

    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/outcome-unknown")
    assert again.status_code == 202


def test_a_request_that_gets_no_connection_of_the_pool_is_not_told_that_postgres_is_away(
    settings: Settings, client: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "CONNECTIONS", 1)
    monkeypatch.setattr(database, "CONNECT_SECONDS", 1)
    with (
        serve(settings) as address,
        psycopg.connect(settings.database_url, autocommit=True) as sql_now,
        psycopg.connect(settings.database_url) as blocker,
        ThreadPoolExecutor(1) as thread,
    ):
        blocker.execute("LOCK TABLE duly.jobs IN EXCLUSIVE MODE")
        post = thread.submit(httpx2.post, f"{address}/v1/jobs", headers=client.headers, json=MAIL)
        wait_for("a blocked request", lambda: sql_now.execute(BLOCKED).rowcount)
        answer = httpx2.get(f"{address}/v1/jobs", headers=client.headers)
        ready = httpx2.get(f"{address}/readyz")
        blocker.rollback()
        assert post.result().status_code == 202

    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
    assert "connections" in answer.json()["detail"]
    assert "unreachable" not in answer.json()["detail"]
    assert answer.headers["retry-after"]
    assert (ready.status_code, ready.json()["postgres"]) == (503, "busy")


def test_with_rabbitmq_down_a_post_succeeds_and_readiness_says_so(
    settings: Settings, client: httpx2.Client
) -> None:
    away = settings.model_copy(update={"amqp_url": f"amqp://user:secret@{NOBODY}/"})
    with serve(away) as address:
        made = httpx2.post(f"{address}/v1/jobs", headers=client.headers, json=MAIL)
        ready = httpx2.get(f"{address}/readyz")

    assert made.status_code == 202
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert (ready.json()["broker"], ready.json()["postgres"]) == ("unreachable", "ok")
    assert "secret" not in ready.text


def test_a_rabbitmq_that_never_answers_degrades_readiness(settings: Settings) -> None:
    with deaf_server() as port:
        deaf = settings.model_copy(update={"amqp_url": f"amqp://user:secret@127.0.0.1:{port}/"})
        with serve(deaf) as address:
            ready = httpx2.get(f"{address}/readyz", timeout=10)

    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert (ready.json()["broker"], ready.json()["postgres"]) == ("unreachable", "ok")


def test_a_postgres_that_falls_silent_is_said_to_be_unreachable_in_time(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To give the statement up would take psycopg some 10 s more: a scrape would have ended."""
    monkeypatch.setattr(readiness, "TIMEOUT_SECONDS", 1)
    monkeypatch.setattr(readiness, "CACHE_SECONDS", 0)
    with before(settings.database_url) as postgres:
        silent = settings.model_copy(update={"database_url": postgres.url(settings.database_url)})
        with serve(silent) as address:
            assert httpx2.get(f"{address}/readyz").status_code == 200
            postgres.swallow()
            answers = [httpx2.get(f"{address}/readyz", timeout=4) for _ in range(2)]
            postgres.cut_swallowed()
            ready = f"{address}/readyz"
            wait_for("it is ready again", lambda: httpx2.get(ready).status_code == 200)
    assert [each.json()["postgres"] for each in answers] == ["unreachable"] * 2


def test_an_api_that_knows_no_rabbitmq_is_ready_without_it(settings: Settings) -> None:
    with serve(settings.model_copy(update={"amqp_url": None})) as address:
        ready = httpx2.get(f"{address}/readyz")

    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert ready.json()["broker"] == "unchecked"


def test_readiness_tells_the_age_of_the_oldest_due_event(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    client.post("/v1/jobs", json=MAIL)
    client.post("/v1/jobs", json=MAIL | {"run_at": "2100-01-01T00:00:00Z"})
    sql_now.execute(
        "UPDATE duly.outbox_events SET available_at = now() - interval '90 s'"
        " WHERE available_at <= now()"
    )

    ready = httpx2.get(f"{client.base_url}/readyz")

    assert ready.status_code == 200
    assert 90 <= ready.json()["outbox_lag_seconds"] < 150


def test_a_database_that_does_not_exist_is_unavailable_too(settings: Settings) -> None:
    url = (
        make_url(settings.database_url)
        .set(database="nowhere")
        .render_as_string(hide_password=False)
    )
    with serve(settings.model_copy(update={"database_url": url})) as address:
        assert httpx2.get(f"{address}/v1/jobs", headers=KEY).status_code == 503
