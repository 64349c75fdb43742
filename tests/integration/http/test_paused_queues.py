"""Queues paused and resumed over HTTP."""

import httpx2
import psycopg
import pytest
from sqlalchemy.orm import Session

from outbox import submit
from outbox.operations.api_keys import Scope
from service.mail.kinds import SEND_EMAIL
from tests.integration.http.conftest import MakeClient

MAIL = SEND_EMAIL(to="ada@example.com", subject="Hello", text="Good morning.")
RECORD = "SELECT act, why, about FROM duly.acts WHERE act LIKE 'queue-%' ORDER BY id"
AN_HOUR_AGO = "UPDATE duly.outbox_events SET available_at = now() - interval '1 hour'"


def test_a_queue_is_paused_shown_and_resumed(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    made = client.post("/v1/queues/email/pause", json={"why": "the server is down"})
    paused = made.raise_for_status().json()
    assert (paused["name"], paused["paused"]["why"]) == ("email", "the server is down")
    shown = {each["name"]: each for each in client.get("/v1/queues").json()["queues"]}
    assert shown["email"]["paused"] == paused["paused"]
    assert shown["webhooks"]["paused"] is None
    resumed = client.post("/v1/queues/email/resume").raise_for_status()
    assert resumed.json() == {"name": "email", "paused": None}
    assert sql_now.execute(RECORD).fetchall() == [
        ("queue-pause", "the server is down", ["queue:email"]),
        ("queue-resume", None, ["queue:email"]),
    ]


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("email/resume", 409, "email is not paused"),
        ("nobodys/pause", 404, "no kind, worker or waiting job has the queue nobodys"),
        ("nobodys/resume", 404, "no kind, worker or waiting job has the queue nobodys"),
        ("a%00b/pause", 422, None),
    ],
)
def test_what_cannot_be_is_refused(
    client: httpx2.Client, path: str, status: int, detail: str | None
) -> None:
    answer = client.post(f"/v1/queues/{path}")
    assert answer.status_code == status
    assert detail in (None, answer.json()["detail"])


def test_pausing_twice_is_refused_and_a_reader_may_not(
    client: httpx2.Client, client_with: MakeClient
) -> None:
    reader = client_with(Scope.READ, name="reader")
    assert reader.post("/v1/queues/email/pause").status_code == 403
    client.post("/v1/queues/email/pause").raise_for_status()
    again = client.post("/v1/queues/email/pause")
    assert (again.status_code, again.json()["detail"]) == (409, "email is paused already")


def test_readiness_does_not_count_what_a_paused_queue_holds_back(
    client: httpx2.Client, session: Session, sql_now: psycopg.Connection
) -> None:
    client.post("/v1/queues/email/pause").raise_for_status()
    submit(session, MAIL)
    session.commit()
    sql_now.execute(AN_HOUR_AGO)
    assert client.get("/readyz").json()["outbox_lag_seconds"] == 0


def test_readiness_does_not_count_what_waits_for_a_key(
    client: httpx2.Client, session: Session, sql_now: psycopg.Connection
) -> None:
    submit(session, MAIL)
    session.commit()
    sql_now.execute(AN_HOUR_AGO)
    sql_now.execute("UPDATE duly.outbox_events SET keys = '{receiver}'")
    assert client.get("/readyz").json()["outbox_lag_seconds"] == 0
