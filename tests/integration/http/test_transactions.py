"""One request, one transaction; a 2xx answer means that it has committed."""

from collections.abc import Iterator
from typing import Any

import httpx2
import psycopg
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.testclient import TestClient

from outbox.http.requests.database import Tx
from outbox.http.requests.transaction import TransactionalRoute
from outbox.submission.wake_up import CHANNEL
from service.app import create_app
from service.invoices.examples import NEW_INVOICES
from service.settings import Settings
from service.subjects import NEW_JOBS
from tests.support.service.serving import serve

INVOICE: Any = NEW_INVOICES["two lines"]["value"]
MAIL: Any = NEW_JOBS["a mail"]["value"]
LEFT = """
SELECT (SELECT count(*) FROM invoices), (SELECT count(*) FROM duly.jobs),
       (SELECT count(*) FROM duly.outbox_events), (SELECT count(*) FROM idempotency_keys)
"""
BREAK = """
CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN {} RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER break AFTER INSERT ON {} DEFERRABLE INITIALLY {}
FOR EACH ROW EXECUTE FUNCTION break()
"""


@pytest.fixture
def notices(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection that listens as the relay does."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"LISTEN {CHANNEL}")
        yield connection


def test_every_route_that_changes_something_is_transactional(settings: Settings) -> None:
    routes = [
        context.original_route for context in iter_route_contexts(create_app(settings).routes)
    ]
    changing = [
        route
        for route in routes
        if isinstance(route, APIRoute) and (route.methods or set()) - {"GET", "HEAD"}
    ]

    assert len(changing) == 36
    assert [route.path for route in changing if not isinstance(route, TransactionalRoute)] == []


def test_a_handler_outside_of_a_transactional_route_fails_loudly() -> None:
    router = APIRouter()

    @router.post("/careless")
    async def careless(tx: Tx) -> None:
        """Wants a transaction that nobody would commit."""

    app = FastAPI()
    app.include_router(router)
    with pytest.raises(TypeError, match="TransactionalRoute"):
        TestClient(app).post("/careless")


@pytest.mark.parametrize(
    ("table", "moment"), [("duly.outbox_events", "IMMEDIATE"), ("invoices", "DEFERRED")]
)
def test_a_request_that_fails_leaves_nothing_not_even_its_key(
    client: httpx2.Client, sql_now: psycopg.Connection, table: str, moment: str
) -> None:
    sql_now.execute(BREAK.format("RAISE 'secret';", table, moment))

    answer = client.post("/v1/invoices", json=INVOICE, headers={"Idempotency-Key": "k"})

    assert (answer.status_code, answer.json()["type"]) == (500, "/problems/internal")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "secret" not in answer.text
    assert sql_now.execute(LEFT).fetchone() == (0, 0, 0, 0)


def test_a_connection_that_breaks_at_the_commit_leaves_the_outcome_open(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    suicide = "PERFORM pg_terminate_backend(pg_backend_pid());"
    sql_now.execute(BREAK.format(suicide, "invoices", "DEFERRED"))

    answer = client.post("/v1/invoices", json=INVOICE, headers={"Idempotency-Key": "k"})

    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/outcome-unknown")
    assert answer.headers["retry-after"]
    sql_now.execute("DROP TRIGGER break ON invoices")
    retried = client.post("/v1/invoices", json=INVOICE, headers={"Idempotency-Key": "k"})
    assert retried.status_code == 201
    assert sql_now.execute(LEFT).fetchone() == (1, 1, 1, 1)


def test_the_relay_is_nudged_after_the_commit(
    client: httpx2.Client, notices: psycopg.Connection
) -> None:
    client.post("/v1/jobs", json=MAIL)

    assert len(list(notices.notifies(timeout=10, stop_after=1))) == 1


def test_nobody_is_nudged_for_what_submits_nothing(
    settings: Settings, client: httpx2.Client, notices: psycopg.Connection
) -> None:
    with serve(settings) as address:
        assert httpx2.get(f"{address}/v1/jobs", headers=client.headers).is_success
        httpx2.post(f"{address}/v1/jobs", headers=client.headers, json=MAIL | {"kind": "x"})
    notices.execute(f"NOTIFY {CHANNEL}, 'mine'")  # the server has stopped, and said all it had to

    assert [each.payload for each in notices.notifies(timeout=10, stop_after=1)] == ["mine"]
