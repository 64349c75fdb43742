"""A key is checked before the body is read, and strangers cost next to nothing."""

import json
import time
from contextlib import ExitStack

import httpx2
import psycopg
import pytest
from sqlalchemy.orm import Session

from outbox.http.auth import verified_keys
from outbox.http.requests.database import CONNECTIONS
from outbox.operations import api_keys
from outbox.operations.api_keys import Scope
from tests.integration.http.conftest import MakeClient
from tests.integration.http.raw import connect, head, status
from tests.integration.http.test_keys_and_scopes import ROUTES
from tests.support.wait import wait_for

POSTS = [path for method, path, _, _ in ROUTES if method == "POST"]
MANY_FAULTS = json.dumps({"x" * 15_000: ["\0"] * 2_000}).encode()


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("length", ["Content-Length: 90000", "Transfer-Encoding: chunked"])
def test_a_stranger_is_refused_before_the_body_comes(
    lasting_client: httpx2.Client, path: str, length: str
) -> None:
    with connect(lasting_client) as stranger:
        stranger.sendall(head(f"POST {path}", length, "Authorization: Bearer duly_x"))

        assert status(stranger) == 401


def test_nobody_asks_a_stranger_to_go_on(lasting_client: httpx2.Client) -> None:
    with connect(lasting_client) as stranger:
        stranger.sendall(head("POST /v1/jobs", "Content-Length: 90000", "Expect: 100-continue"))

        assert status(stranger) == 401


def test_a_strangers_body_is_not_looked_at(lasting_client: httpx2.Client) -> None:
    with httpx2.Client(base_url=lasting_client.base_url) as stranger:
        answer = stranger.post("/v1/jobs", content=MANY_FAULTS)

    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthenticated")
    assert len(answer.content) < 1000


def test_many_faults_make_a_small_answer_soon(lasting_client: httpx2.Client) -> None:
    started = time.monotonic()
    headers = {"Content-Type": "application/json"}
    answer = lasting_client.post("/v1/jobs", content=MANY_FAULTS, headers=headers)

    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 100
    assert len(answer.content) < 40_000
    assert time.monotonic() - started < 5


def test_uploads_with_a_key_hold_no_database_connection(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    key = f"Authorization: {client.headers['authorization']}"
    upload = head("POST /v1/jobs", key, "Content-Length: 90000", "Expect: 100-continue")
    with ExitStack() as uploads:
        for _ in range(2 * CONNECTIONS):
            connection = uploads.enter_context(connect(client))
            connection.sendall(upload)
            assert status(connection) == 100  # the key was found good

        assert client.get("/v1/jobs").status_code == 200
        in_use = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'duly-api'"
        in_use += " AND datname = current_database() AND state <> 'idle'"
        # What a request leaves for later, such as when its key was last seen, soon ends.
        wait_for("no query", lambda: sql_now.execute(in_use).fetchone() == (0,))


def test_two_keys_are_no_key(client: httpx2.Client) -> None:
    key = client.headers["authorization"]
    twice = [("Authorization", key), ("Authorization", key)]

    assert httpx2.get(f"{client.base_url}/v1/jobs", headers=twice).status_code == 401


def test_a_key_that_was_just_used_ends_within_seconds(
    client_with: MakeClient, session: Session
) -> None:
    client = client_with(Scope.READ)
    assert client.get("/v1/jobs").status_code == 200
    api_keys.revoke(session, client.headers["authorization"].split("_")[1], by="ops")
    session.commit()

    wait_for("the end of the key", lambda: client.get("/v1/jobs").status_code == 401, seconds=3)


def test_a_busy_client_is_looked_up_once(
    client: httpx2.Client, sql_now: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verified_keys, "REMEMBERED_SECONDS", 60)
    client.get("/v1/jobs")
    sql_now.execute("ALTER TABLE api_keys RENAME TO elsewhere")

    assert client.get("/v1/jobs").status_code == 200
