"""Posting, listing and reading invoices."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import psycopg
import pytest

from service.invoices.examples import NEW_INVOICES

INVOICE: Any = NEW_INVOICES["two lines"]["value"]


def test_a_posted_invoice_has_committed_with_its_job_when_the_answer_arrives(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    made = client.post("/v1/invoices", json=INVOICE)

    rows = sql_now.execute(
        "SELECT invoice.id::text, job.id::text, event.queue FROM invoices AS invoice"
        " JOIN duly.jobs AS job ON job.subject = 'invoice:' || invoice.id"
        " JOIN duly.outbox_events AS event ON event.job_id = job.id"
    ).fetchall()
    assert made.status_code == 201
    assert rows == [(made.json()["id"], made.json()["jobs"][0]["id"], "documents")]


def test_the_answer_is_the_invoice_with_its_jobs_and_where_it_is(client: httpx2.Client) -> None:
    made = client.post("/v1/invoices", json=INVOICE)

    path = made.headers["location"]
    invoice = made.json()
    assert path == invoice["links"]["self"] == f"/v1/invoices/{invoice['id']}"
    assert invoice["total"] == "1325.00"
    assert [line["amount"] for line in invoice["lines"]] == ["1200.00", "125.00"]
    assert [(job["kind"], job["state"]) for job in invoice["jobs"]] == [
        ("invoice.render", "queued")
    ]
    assert client.get(path).json() == invoice
    assert client.get(invoice["jobs"][0]["links"]["self"]).json()["submitted_by"].startswith("test")


@pytest.mark.parametrize("odd", ["a\n" * 40, "a\r", "a\x0bb", "\x85", "a\u2028b", "\t"])
def test_what_is_printed_on_an_invoice_is_one_line(lasting_client: httpx2.Client, odd: str) -> None:
    lines = [{"description": odd, "quantity": 1, "unit_price": "1.00"}]
    refused = lasting_client.post("/v1/invoices", json=INVOICE | {"customer": odd, "lines": lines})

    assert refused.status_code == 422
    fields = [error["field"] for error in refused.json()["errors"]]
    assert fields == ["customer", "lines.0.description"]


def test_listed_invoices_are_the_newest_first(client: httpx2.Client) -> None:
    made = [client.post("/v1/invoices", json=INVOICE).json()["id"] for _ in range(3)]

    page = client.get("/v1/invoices?limit=2").json()
    rest = client.get("/v1/invoices", params={"limit": 2, "cursor": page["next_cursor"]}).json()

    found = [invoice["id"] for invoice in page["invoices"] + rest["invoices"]]
    assert found == made[::-1]
    assert rest["next_cursor"] is None


def test_a_pdf_that_is_not_drawn_yet_says_when_to_ask_again(
    client: httpx2.Client, sql_now: psycopg.Connection, tmp_path: Path
) -> None:
    invoice = client.post("/v1/invoices", json=INVOICE).json()
    early = client.get(invoice["links"]["pdf"])

    (tmp_path / "drawn.pdf").write_bytes(b"%PDF-1.7")
    sql_now.execute("UPDATE invoices SET pdf = 'drawn.pdf' WHERE id = %s", [invoice["id"]])
    drawn = client.get(invoice["links"]["pdf"])

    assert (early.status_code, early.headers["retry-after"]) == (404, "1")
    assert early.json()["type"] == "/problems/not-ready"
    assert (drawn.content, drawn.headers["content-type"]) == (b"%PDF-1.7", "application/pdf")


@pytest.mark.parametrize("path", ["", "/pdf"])
def test_an_invoice_that_does_not_exist_is_not_found(
    lasting_client: httpx2.Client, path: str
) -> None:
    answer = lasting_client.get(f"/v1/invoices/{uuid4()}{path}")

    assert answer.status_code == 404
    assert answer.json()["type"] == "/problems/not-found"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"currency": "euro"}, "currency"),
        ({"email": "ada"}, "email"),
        ({"lines": []}, "lines"),
        ({"lines": [{"description": "x", "quantity": 0, "unit_price": "1"}]}, "lines.0.quantity"),
        ({"lines": [{"description": "x", "quantity": 1, "unit_price": "1.005"}]},
         "lines.0.unit_price"),
        ({"lines": [{"description": "x", "quantity": 1, "unit_price": "NaN"}]},
         "lines.0.unit_price"),
        ({"customer": "Ada\0"}, "customer"),
        ({"discount": 1}, "discount"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(
    lasting_client: httpx2.Client, change: dict[str, Any], field: str
) -> None:
    answer = lasting_client.post("/v1/invoices", json=INVOICE | change)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
