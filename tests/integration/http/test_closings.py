"""Closing a month over HTTP."""

from datetime import UTC, datetime
from typing import Any

import httpx2
import psycopg
import pytest

from service.invoices.examples import NEW_INVOICES

INVOICE: Any = NEW_INVOICES["two lines"]["value"]
THIS_MONTH = f"{datetime.now(UTC):%Y-%m}"


def test_an_invoice_can_wait_for_the_month_end(client: httpx2.Client) -> None:
    made = client.post("/v1/invoices", json=INVOICE | {"at_month_end": True})
    assert made.status_code == 201
    assert (made.json()["at_month_end"], made.json()["jobs"]) == (True, [])
    assert client.get(made.headers["location"]).json()["jobs"] == []


def test_a_closing_has_committed_with_its_job_when_the_answer_arrives(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    accepted = client.post("/v1/closings", json={"month": THIS_MONTH})
    assert accepted.status_code == 202
    rows = sql_now.execute(
        "SELECT closing.id::text, job.id::text FROM closings AS closing"
        " JOIN duly.jobs AS job ON job.subject = 'closing:' || closing.month"
    ).fetchall()
    assert rows == [(accepted.json()["id"], accepted.json()["job"]["id"])]
    shown = client.get(accepted.headers["location"]).json()
    nothing = {"jobs": 0, "succeeded": 0, "dead": 0, "cancelled": 0, "open": 0}
    assert (shown["state"], shown["invoices"]) == ("running", 0)
    assert shown["stages"] == {"charge": nothing, "render": nothing, "mail": nothing}
    listed = client.get("/v1/closings").json()
    assert [each["month"] for each in listed["closings"]] == [THIS_MONTH]


def test_invoices_that_were_not_charged_are_shown_with_why(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    invoice = client.post("/v1/invoices", json=INVOICE | {"at_month_end": True}).json()["id"]
    accepted = client.post("/v1/closings", json={"month": THIS_MONTH}).json()
    sql_now.execute(
        "INSERT INTO closing_invoices VALUES (%s, %s, 'charge', 'it has no card')",
        [invoice, accepted["id"]],
    )
    shown = client.get(accepted["links"]["self"]).json()
    assert shown["not_charged"] == [{"invoice_id": invoice, "why": "it has no card"}]


def test_a_month_is_closed_once_and_can_go_on(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    accepted = client.post("/v1/closings", json={"month": "2026-10"})
    again = client.post("/v1/closings", json={"month": "2026-10"})
    assert (accepted.status_code, again.status_code) == (202, 409)
    assert "2026-10 is closed already" in again.json()["detail"]
    resumed = client.post(accepted.json()["links"]["resume"])
    assert resumed.status_code == 202
    assert resumed.json()["job"]["kind"] == "closing.begin"
    sql_now.execute("UPDATE closings SET batch_id = gen_random_uuid()")
    resumed = client.post(accepted.json()["links"]["resume"])
    assert resumed.json()["job"]["kind"] == "closing.go_on"


def test_a_month_runs_while_a_stage_is_going_to_begin(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    accepted = client.post("/v1/closings", json={"month": "2026-10"})
    path = accepted.headers["location"]
    sql_now.execute("UPDATE duly.jobs SET subject = 'closing:2026-10:charge'")
    assert client.get(path).json()["state"] == "running"
    sql_now.execute("UPDATE duly.jobs SET state = 'succeeded'")
    assert client.get(path).json()["state"] == "incomplete"
    [whole] = sql_now.execute(
        "UPDATE closings SET batch_id = gen_random_uuid() RETURNING batch_id"
    ).fetchone() or (None,)
    sql_now.execute(
        "INSERT INTO duly.batches (id, parent_id, subject, sealed_at)"
        " VALUES (gen_random_uuid(), %s, 'closing:2026-10:render', now())",
        [whole],
    )
    assert client.get(path).json()["state"] == "running"


NO_MONTHS = ["2026-13", "2026-1", "26-01", "2099-01", "", 202611, "\uff12026-11"]


@pytest.mark.parametrize("month", NO_MONTHS)
def test_what_is_no_month_that_has_begun_is_refused(
    lasting_client: httpx2.Client, month: object
) -> None:
    refused = lasting_client.post("/v1/closings", json={"month": month})
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == ["month"]


def test_a_closing_that_is_not_there_is_not_found(lasting_client: httpx2.Client) -> None:
    path = "/v1/closings/01920000-0000-7000-8000-000000000001"
    assert lasting_client.get(path).status_code == 404
    assert lasting_client.post(f"{path}/resume").status_code == 404
