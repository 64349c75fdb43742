"""What cannot be shown is replaced where it stands, and hides nothing else."""

import json
from typing import Any

import httpx2
import psycopg
import pytest

from outbox.operations.api_keys import Scope
from outbox.operations.dead_letters import LARGEST_SHOWN
from outbox.operations.jobs import LARGEST_IN_LIST
from outbox.store import transitions
from outbox.values.depth import CUT, DEEPEST
from service.subjects import NEW_JOBS
from tests.integration.http.conftest import MakeClient
from tests.support.service import lives

EVENT: Any = NEW_JOBS["an event"]["value"]
STORE = "UPDATE duly.jobs SET payload = payload || %s::text::jsonb, result = %s::text::jsonb"
DEPTHS = pytest.mark.parametrize("levels", [90, 260, 900])


@pytest.fixture
def trusted(client_with: MakeClient) -> httpx2.Client:
    """A client that may see everything."""
    return client_with(Scope.ADMIN, Scope.PAYLOADS)


def deep(levels: int) -> str:
    """JSON with so many levels, in a form that no old release refused."""
    return f'{{"deep": {"[" * levels}{"]" * levels}, "beside": 1}}'


def cut(levels: int) -> dict[str, Any]:
    """What is shown of it inside of a value of so many levels."""
    left = DEEPEST - levels
    return {"deep": json.loads("[" * left + json.dumps(CUT) + "]" * left), "beside": 1}


@DEPTHS
def test_a_job_with_a_deep_payload_and_result_is_shown_and_listed(
    trusted: httpx2.Client, sql_now: psycopg.Connection, levels: int
) -> None:
    made = trusted.post("/v1/jobs", json=EVENT).json()
    sql_now.execute(STORE, [f'{{"data": {deep(levels)}}}', deep(levels)])
    other = trusted.post("/v1/jobs", json=EVENT).json()

    shown = trusted.get(made["links"]["self"]).json()
    listed = trusted.get("/v1/jobs").json()["jobs"]

    assert shown["payload"] == EVENT["payload"] | {"data": cut(2), "event_id": None}
    assert shown["result"] == cut(1)
    assert [job["id"] for job in listed] == [other["id"], made["id"]]
    assert listed[1] == {name: value for name, value in shown.items() if name != "attempts"}


@DEPTHS
def test_a_letter_with_deep_headers_is_shown(
    trusted: httpx2.Client, sql_now: psycopg.Connection, levels: int
) -> None:
    letter = lives.foreign(sql_now, b"x")
    sql_now.execute(
        "UPDATE duly.dead_letters SET message_headers = %s::text::jsonb", [deep(levels)]
    )

    assert trusted.get(f"/v1/dead-letters/{letter}").json()["message"]["headers"] == cut(1)


@pytest.mark.parametrize("size", [LARGEST_SHOWN, LARGEST_SHOWN + 1])
def test_of_a_large_message_the_beginning_is_shown(
    trusted: httpx2.Client, sql_now: psycopg.Connection, size: int
) -> None:
    body = b"x" * (size % 2) + "ä".encode() * (size // 2)  # cut, it ends within an ä
    letter = lives.foreign(sql_now, body)

    message = trusted.get(f"/v1/dead-letters/{letter}").json()["message"]

    assert message["size"] == size
    assert body.decode().startswith(message["body"])
    assert len(message["body"].encode()) >= LARGEST_SHOWN - 1


def test_a_list_leaves_out_large_payloads_and_results_and_says_so(
    trusted: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    made = trusted.post("/v1/jobs", json=EVENT).json()
    for payload, result, left_out in [
        (1, 1, []),
        (LARGEST_IN_LIST, 1, ["payload"]),
        (1, LARGEST_IN_LIST, ["result"]),
        (500_000, 500_000, ["payload", "result"]),
    ]:
        data, told = {"data": {"x": "y" * payload}}, "z" * result
        sql_now.execute(STORE, [json.dumps(data), json.dumps(told)])

        (listed,) = trusted.get("/v1/jobs").json()["jobs"]
        shown = trusted.get(made["links"]["self"]).json()

        assert listed["left_out"] == left_out
        assert [name for name in ("payload", "result") if listed[name] is None] == left_out
        assert (shown["payload"]["data"], shown["result"]) == (data["data"], told)
        assert shown["left_out"] == []


def test_nothing_of_a_job_of_an_unknown_kind_is_shown_but_to_who_may_see_payloads(
    trusted: httpx2.Client, client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    made = trusted.post("/v1/jobs", json=EVENT).json()
    for result in ("hunter2", ["hunter2"], {"password": "hunter2"}, 17):
        sql_now.execute("UPDATE duly.jobs SET kind = 'x', result = %s::jsonb", [json.dumps(result)])

        seen = client.get(made["links"]["self"]).json()

        assert seen["result"] == "[redacted]"
        assert set(seen["payload"].values()) == {"[redacted]"}
        assert client.get("/v1/jobs").json()["jobs"][0]["result"] == "[redacted]"
        assert trusted.get(made["links"]["self"]).json()["result"] == result


def test_headers_of_a_dead_jobs_message_are_hidden_but_for_those_of_rabbitmq(
    trusted: httpx2.Client, client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    made = trusted.post("/v1/jobs", json=NEW_JOBS["a mail"]["value"]).json()
    letter = f"/v1/dead-letters/{lives.die(sql_now, lives.claim(sql_now, made['id']))}"
    headers = {"x-death": [{"reason": "rejected"}], "authorization": "Bearer hunter2"}
    message = {"body": b"{}", "headers": json.dumps(headers), "job_id": made["id"], "dispatch": 1}
    assert sql_now.execute(transitions.ATTACH_MESSAGE, message).rowcount == 1

    assert trusted.get(letter).json()["message"]["headers"] == headers
    hidden = headers | {"authorization": "[redacted]"}
    assert client.get(letter).json()["message"]["headers"] == hidden
