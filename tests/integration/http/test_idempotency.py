"""A repeated POST gets the first answer, and does nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import psycopg
import pytest

from outbox.operations.api_keys import Scope
from service.invoices.examples import NEW_INVOICES
from service.subjects import NEW_JOBS
from tests.integration.http.conftest import MakeClient

INVOICE: Any = NEW_INVOICES["two lines"]["value"]
MAIL: Any = NEW_JOBS["a mail"]["value"]
JOBS = "SELECT count(*) FROM duly.jobs"


def test_a_repeated_request_gets_the_first_answer_byte_for_byte(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    first, again = (
        client.post("/v1/invoices", json=INVOICE, headers={"Idempotency-Key": key})
        for key in ("order-1", '"order-1"')
    )

    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert sql_now.execute(JOBS).fetchone() == (1,)


def test_a_key_of_another_request_is_refused(client: httpx2.Client) -> None:
    key = {"Idempotency-Key": "k"}
    client.post("/v1/jobs", json=MAIL, headers=key)

    other_body = client.post("/v1/jobs", json=MAIL | {"priority": "low"}, headers=key)
    other_path = client.post("/v1/invoices", json=INVOICE, headers=key)

    assert other_body.status_code == other_path.status_code == 422
    assert other_body.json()["type"] == "/problems/key-reused"


def test_two_keys_in_one_request_are_refused(client: httpx2.Client) -> None:
    key = client.headers["authorization"]
    headers = [("Authorization", key), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]

    answer = httpx2.post(f"{client.base_url}/v1/jobs", json=MAIL, headers=headers)

    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/idempotency-key")


def test_keys_of_different_callers_do_not_meet(
    client_with: MakeClient, sql_now: psycopg.Connection
) -> None:
    for name in ("anna", "ben"):
        made = client_with(Scope.SUBMIT, name=name).post(
            "/v1/jobs", json=MAIL, headers={"Idempotency-Key": "k"}
        )
        assert "idempotent-replayed" not in made.headers

    assert sql_now.execute(JOBS).fetchone() == (2,)


def test_while_the_first_request_runs_a_second_is_told_to_wait(
    client: httpx2.Client, database_url: str, sql_now: psycopg.Connection
) -> None:
    with _stalled_submits(database_url), httpx2.Client() as other:
        other.headers.update(client.headers)
        headers = {"Idempotency-Key": "k"}
        with pytest.raises(httpx2.ReadTimeout):
            other.post(f"{client.base_url}/v1/jobs", json=MAIL, headers=headers, timeout=1)
        waiting = client.post("/v1/jobs", json=MAIL, headers=headers)

    assert (waiting.status_code, waiting.headers["retry-after"]) == (409, "1")
    assert waiting.json()["type"] == "/problems/in-flight"
    # The first request was never answered, but ran on once it could.
    repeated = _repeat_until_answered(client, headers)
    assert (repeated.status_code, repeated.headers["idempotent-replayed"]) == (202, "true")
    assert sql_now.execute(JOBS).fetchone() == (1,)


def test_a_refused_request_leaves_its_key_free(client: httpx2.Client) -> None:
    key = {"Idempotency-Key": "k"}
    assert client.post("/v1/jobs", json=MAIL | {"kind": "x"}, headers=key).status_code == 422

    assert client.post("/v1/jobs", json=MAIL, headers=key).status_code == 202


def test_an_expired_answer_is_forgotten(client: httpx2.Client, sql_now: psycopg.Connection) -> None:
    first = client.post("/v1/jobs", json=MAIL, headers={"Idempotency-Key": "k"})
    sql_now.execute("UPDATE idempotency_keys SET expires_at = now()")

    second = client.post("/v1/jobs", json=MAIL, headers={"Idempotency-Key": "k"})

    assert second.status_code == 202
    assert second.json()["id"] != first.json()["id"]


def test_an_answer_stored_between_look_up_and_commit_wins(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    # What the window between a statement's snapshot and its lock can do: the row appears later.
    sql_now.execute(
        "CREATE FUNCTION answer_first() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO idempotency_keys SELECT prefix, 'k', '', 202, '{}', '', now() + '1 day'"
        " FROM api_keys; RETURN NULL; END $$;"
        "CREATE TRIGGER answer_first AFTER INSERT ON invoices EXECUTE FUNCTION answer_first()"
    )

    answer = client.post("/v1/invoices", json=INVOICE, headers={"Idempotency-Key": "k"})

    assert answer.json()["type"] == "/problems/in-flight"
    assert sql_now.execute(JOBS).fetchone() == (0,)


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, '""', "key\xff"])
def test_a_key_that_is_not_visible_ascii_is_refused(
    lasting_client: httpx2.Client, key: str
) -> None:
    answer = lasting_client.post(
        "/v1/jobs", json=MAIL, headers=[(b"Idempotency-Key", key.encode("latin-1"))]
    )

    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/idempotency-key")


def test_each_answer_kept_takes_two_expired_ones_with_it(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    for key in "abc":
        client.post("/v1/jobs", json=MAIL, headers={"Idempotency-Key": key})
    sql_now.execute("UPDATE idempotency_keys SET expires_at = now()")

    client.post("/v1/jobs", json=MAIL, headers={"Idempotency-Key": "d"})

    assert sql_now.execute("SELECT count(*) FROM idempotency_keys").fetchone() == (2,)


def test_cancel_replays_too(client: httpx2.Client) -> None:
    cancel = client.post("/v1/jobs", json=MAIL).json()["links"]["cancel"]

    first, again = (client.post(cancel, headers={"Idempotency-Key": "k"}) for _ in range(2))

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.content == first.content


@contextmanager
def _stalled_submits(database_url: str) -> Iterator[None]:
    with psycopg.connect(database_url) as blocker:
        blocker.execute("LOCK TABLE duly.jobs IN EXCLUSIVE MODE")
        yield


def _repeat_until_answered(client: httpx2.Client, headers: dict[str, str]) -> httpx2.Response:
    while (answer := client.post("/v1/jobs", json=MAIL, headers=headers)).status_code == 409:
        pass
    return answer
