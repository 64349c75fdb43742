"""Jobs of unique kinds over HTTP."""

from collections.abc import Iterator
from typing import Any

import httpx2
import psycopg
import pytest
from sqlalchemy.orm import Session

from outbox.operations import api_keys
from outbox.operations.api_keys import Scope
from service.settings import Settings
from tests.support.service import unique_app
from tests.support.service.serving import serve_app


@pytest.fixture
def books(
    settings: Settings, session: Session, monkeypatch: pytest.MonkeyPatch
) -> Iterator[httpx2.Client]:
    """A client of the app whose kinds are unique."""
    monkeypatch.setattr(unique_app.duly, "settings", lambda: settings)
    key = api_keys.create(session, "test", [Scope.ADMIN], by="ops")
    session.commit()
    headers = {"Authorization": f"Bearer {key}"}
    with (
        serve_app(unique_app.duly.api()) as address,
        httpx2.Client(base_url=address, headers=headers, timeout=30) as client,
    ):
        yield client


def new(kind: str, customer: int, **more: Any) -> dict[str, Any]:
    """What is posted."""
    return {"kind": kind, "payload": {"customer_id": customer}} | more


def test_a_second_submission_gets_the_first_job_and_says_so(
    books: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    first = books.post("/v1/jobs", json=new("books.close", 1))
    other = books.post("/v1/jobs", json=new("books.close", 2))
    sql_now.execute("UPDATE duly.jobs SET state = 'running'")
    again = books.post("/v1/jobs", json=new("books.close", 1))

    assert (first.status_code, other.status_code, again.status_code) == (202, 202, 200)
    assert again.headers["location"] == first.headers["location"] != other.headers["location"]
    assert (again.json()["id"], again.json()["state"]) == (first.json()["id"], "running")
    assert "retry-after" not in again.headers
    assert sql_now.execute("SELECT count(*) FROM duly.jobs").fetchone() == (2,)


def test_the_same_request_gets_the_same_answer_again(books: httpx2.Client) -> None:
    key = {"Idempotency-Key": "the-same"}
    first = books.post("/v1/jobs", json=new("books.close", 1), headers=key)
    again = books.post("/v1/jobs", json=new("books.close", 1), headers=key)
    assert (again.status_code, again.json()) == (202, first.json())
    other = {"Idempotency-Key": "another"}
    for _ in range(2):
        found = books.post("/v1/jobs", json=new("books.close", 1), headers=other)
        assert (found.status_code, found.json()) == (200, first.json())


def test_the_kinds_say_what_they_are_unique_by(books: httpx2.Client) -> None:
    kinds = {kind["name"]: kind["unique"] for kind in books.get("/v1/kinds").json()["kinds"]}
    times = dict.fromkeys(("within_seconds", "debounce_seconds", "cap_seconds"))
    common = {"fields": ["customer_id"], "until": "started"} | times
    assert kinds == {
        "books.sync": common,
        "books.close": common | {"until": "ended"},
        "books.remind": common | {"until": None, "within_seconds": 86400},
        "books.search": common | {"debounce_seconds": 10, "cap_seconds": 60},
    }
