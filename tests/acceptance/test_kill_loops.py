"""Relay and API killed again and again while clients post."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import psycopg
import pytest

from tests.support.outside.arrivals import message_ids
from tests.support.service.line import INVOICE, Line
from tests.support.wait import wait_for

pytestmark = pytest.mark.slow


def test_a_relay_killed_again_and_again_loses_and_doubles_no_mail(
    line: Line, sql_now: psycopg.Connection
) -> None:
    line.environment["DULY_WINDOW"] = "5"  # so that it never publishes all at once
    _, relay, _ = line.start("api", "relay", "worker")
    customers = [f"customer-{number}" for number in range(60)]
    for start in range(0, 60, 12):
        seen = len(line.inbox.envelopes)
        for customer in customers[start : start + 12]:
            line.post("/v1/invoices", INVOICE | {"customer": customer})
        wait_for("more mails", _more_than(seen, line))
        relay.kill()
        relay.start()
    _check_one_mail_for_each(customers, line, sql_now)


def test_an_api_killed_again_and_again_keeps_its_word_once(
    line: Line, sql_now: psycopg.Connection
) -> None:
    api, *_ = line.start("api", "relay", "worker")
    customers = [f"customer-{number}" for number in range(60)]
    accepted: dict[str, Any] = {}

    def post(customer: str) -> None:
        wait_for("an answer", lambda: _accepts(line, customer, accepted))

    with ThreadPoolExecutor(8) as clients:
        answers = clients.map(post, customers)
        for goal in range(6, 60, 12):
            wait_for(f"{goal} invoices", lambda goal=goal: len(accepted) >= goal)  # type: ignore[misc]
            api.kill()
            api.start()
            wait_for("the API again", line.answers)
        assert len(list(answers)) == len(customers)
    _check_one_mail_for_each(customers, line, sql_now)
    stored = sql_now.execute("SELECT customer, id::text FROM invoices").fetchall()
    assert accepted == dict(stored)


def _accepts(line: Line, customer: str, accepted: dict[str, Any]) -> bool:
    """Post with the customer as key; False where it has to be tried again."""
    body, headers = INVOICE | {"customer": customer}, {"Idempotency-Key": customer}
    try:
        answer = line.http.post("/v1/invoices", json=body, headers=headers)
    except httpx2.TransportError:
        return False
    if answer.is_success:
        accepted[customer] = answer.json()["id"]
    return answer.is_success


def _more_than(count: int, line: Line) -> Callable[[], bool]:
    return lambda: len(line.inbox.envelopes) > count


def _check_one_mail_for_each(
    customers: list[str], line: Line, database: psycopg.Connection
) -> None:
    """Each customer has one invoice, and one mail about it; there are no others."""
    wait_for("all mails", lambda: len(line.inbox.envelopes) >= len(customers))
    line.wait_for_no_unfinished_job()
    invoices = database.execute("SELECT id::text, customer FROM invoices").fetchall()
    assert sorted(customer for _, customer in invoices) == sorted(customers)
    mailed = [str(mail["Subject"]).removeprefix("Invoice ") for mail in line.inbox.messages()]
    assert sorted(mailed) == sorted(invoice_id for invoice_id, _ in invoices)
    assert len(set(message_ids(line.inbox))) == len(customers)
