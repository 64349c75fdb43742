"""What a key did through the API is on record: who, what, and why if it said so."""

from typing import Any

import httpx2
import psycopg
import pytest

from outbox.operations.api_keys import Scope
from service.subjects import NEW_JOBS
from service.webhooks.examples import NEW_ENDPOINTS
from tests.integration.http.conftest import MakeClient
from tests.support.service import lives

MAIL: Any = NEW_JOBS["a mail"]["value"]
ENDPOINT: Any = NEW_ENDPOINTS["everything"]["value"]
RECORD = "SELECT act, who, why, about FROM duly.acts WHERE act <> 'key-create' ORDER BY id"

Row = tuple[str, str, str | None, list[str]]


@pytest.fixture
def anna(client_with: MakeClient) -> httpx2.Client:
    """A key that may do everything but see payloads."""
    return client_with(Scope.ADMIN, name="anna")


@pytest.fixture
def eve(client_with: MakeClient) -> httpx2.Client:
    """A key that may see payloads, and cancel."""
    return client_with(Scope.READ, Scope.OPERATE, Scope.PAYLOADS, name="eve")


def record(database: psycopg.Connection) -> list[Row]:
    """All acts but the making of the test's own keys; of who only the key's name."""
    rows = database.execute(RECORD).fetchall()
    return [(act, who.partition(" (")[0], why, about) for act, who, why, about in rows]


def submitted(client: httpx2.Client) -> str:
    """A new job."""
    return str(client.post("/v1/jobs", json=MAIL).json()["id"])


@pytest.mark.parametrize("act", ["replay", "discard"])
def test_closing_a_letter_is_on_record(
    anna: httpx2.Client, sql_now: psycopg.Connection, act: str
) -> None:
    job = submitted(anna)
    letter = lives.die(sql_now, lives.claim(sql_now, job))

    answers = [
        anna.post(f"/v1/dead-letters/{letter}/{act}", json={"why": "mended"}) for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [200, 409]
    about = [f"dead-letter:{letter}", f"job:{job}"]
    assert record(sql_now) == [(act, "anna", "mended", about)]


def test_cancelling_a_job_is_on_record(anna: httpx2.Client, sql_now: psycopg.Connection) -> None:
    first, second = submitted(anna), submitted(anna)

    anna.post(f"/v1/jobs/{first}/cancel", json={"why": "a double"}).raise_for_status()
    anna.post(f"/v1/jobs/{second}/cancel").raise_for_status()
    assert anna.post(f"/v1/jobs/{second}/cancel").status_code == 409

    assert record(sql_now) == [
        ("cancel", "anna", "a double", [f"job:{first}"]),
        ("cancel", "anna", None, [f"job:{second}"]),
    ]


def test_what_is_done_to_a_webhook_endpoint_is_on_record(
    anna: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    made = anna.post("/v1/webhook-endpoints?why=asked", json=ENDPOINT).json()
    path = f"/v1/webhook-endpoints/{made['id']}"

    anna.post(f"{path}/enable", json={"why": "it is back"}).raise_for_status()
    answers = [anna.delete(path, params={"why": "gone"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 404]
    about = [f"endpoint:{made['id']}"]
    assert record(sql_now) == [
        ("endpoint-create", "anna", "asked", about),
        ("endpoint-enable", "anna", "it is back", about),
        ("endpoint-delete", "anna", "gone", about),
    ]


def test_seeing_payloads_is_on_record(
    anna: httpx2.Client, eve: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    jobs = [submitted(anna) for _ in range(3)]
    foreign = lives.foreign(sql_now, b"secret")

    eve.get(f"/v1/jobs/{jobs[0]}?why=a%20complaint").raise_for_status()
    eve.get("/v1/jobs", params={"limit": 2}).raise_for_status()
    eve.get("/v1/jobs", params={"kind": "invoice.render"}).raise_for_status()
    eve.get(f"/v1/dead-letters/{foreign}").raise_for_status()
    eve.post(f"/v1/jobs/{jobs[1]}/cancel").raise_for_status()

    assert record(sql_now) == [
        ("look", "eve", "a complaint", [f"job:{jobs[0]}"]),
        ("look", "eve", None, [f"job:{jobs[2]}", f"job:{jobs[1]}"]),
        ("look", "eve", None, [f"dead-letter:{foreign}"]),
        ("cancel", "eve", None, [f"job:{jobs[1]}"]),
        ("look", "eve", None, [f"job:{jobs[1]}"]),
    ]


def test_a_list_records_those_jobs_only_whose_values_it_shows(
    eve: httpx2.Client, anna: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    large, small = submitted(anna), submitted(anna)
    grow = "UPDATE duly.jobs SET payload = jsonb_build_object('x', repeat('y', 5000)) WHERE id = %s"
    sql_now.execute(grow, [large])

    listed = eve.get("/v1/jobs").json()["jobs"]

    assert [job["left_out"] for job in listed] == [[], ["payload"]]
    assert record(sql_now) == [("look", "eve", None, [f"job:{small}"])]


def test_seeing_them_redacted_is_not(anna: httpx2.Client, sql_now: psycopg.Connection) -> None:
    job, foreign = submitted(anna), lives.foreign(sql_now, b"secret")

    for path in (f"/v1/jobs/{job}", "/v1/jobs", f"/v1/dead-letters/{foreign}"):
        anna.get(path).raise_for_status()

    assert record(sql_now) == []


@pytest.mark.parametrize("path", ["/v1/jobs/{job}", "/v1/jobs"])
def test_nobody_sees_payloads_where_the_record_cannot_be_written(
    eve: httpx2.Client, anna: httpx2.Client, sql_now: psycopg.Connection, path: str
) -> None:
    job = submitted(anna)
    sql_now.execute("ALTER TABLE duly.acts ADD CONSTRAINT full_disk CHECK (act <> 'look')")

    refused = eve.get(path.format(job=job))

    assert refused.status_code >= 500
    assert MAIL["payload"]["to"] not in refused.text


@pytest.mark.parametrize("body", [{"reason": "mended"}, {"why": "x" * 1001}, {"why": "\0"}])
def test_what_is_no_why_is_refused(anna: httpx2.Client, body: dict[str, str]) -> None:
    assert anna.post("/v1/dead-letters/1/replay", json=body).status_code == 422
    for path in ("/v1/jobs", "/v1/dead-letters/1"):
        assert anna.get(path, params={"why": "x" * 1001}).status_code == 422
