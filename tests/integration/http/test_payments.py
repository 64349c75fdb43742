"""Charging and refunding over HTTP. Nothing is charged here: tests say how a payment ended."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx2
import psycopg
import pytest

from service.invoices.examples import NEW_INVOICES

INVOICE: Any = NEW_INVOICES["two lines"]["value"]
CARD = {"payment_method": "pm_card_visa"}


def invoice_of(client: httpx2.Client, **changes: Any) -> str:
    """The path of a new invoice."""
    made = client.post("/v1/invoices", json=INVOICE | changes).raise_for_status()
    return str(made.json()["links"]["self"])


def paid(client: httpx2.Client, sql: psycopg.Connection, invoice: str) -> Any:
    """A new payment of the invoice that has succeeded."""
    payment = client.post(f"{invoice}/charge", json=CARD).raise_for_status().json()
    end(sql, payment, "succeeded")
    return client.get(payment["links"]["self"]).json()


def end(sql: psycopg.Connection, payment: Any, state: str) -> None:
    sql.execute("UPDATE payments SET state = %s WHERE id = %s", [state, payment["id"]])


def detail(refused: httpx2.Response) -> str:
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/conflict")
    return str(refused.json()["detail"])


def test_a_charge_has_committed_with_its_job_when_the_answer_arrives(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    invoice = invoice_of(client)
    accepted = client.post(f"{invoice}/charge", json=CARD)

    payment = accepted.json()
    assert (accepted.status_code, accepted.headers["location"]) == (202, payment["links"]["self"])
    assert (payment["state"], payment["amount"], payment["currency"]) == ("open", "1325.00", "EUR")
    rows = sql_now.execute(
        "SELECT job.id::text, job.payload ->> 'payment_id', payment.payment_method, payment.amount"
        " FROM payments AS payment JOIN duly.jobs AS job"
        " ON job.subject = 'invoice:' || payment.invoice_id AND job.kind = 'payment.charge'"
    ).fetchall()
    assert rows == [(payment["job"]["id"], payment["id"], "pm_card_visa", 132500)]
    assert "pm_card" not in accepted.text


def test_an_invoice_shows_its_payments_and_whether_it_was_paid(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    invoice = invoice_of(client)
    first = client.post(f"{invoice}/charge", json=CARD).json()
    end(sql_now, first, "declined")
    second = paid(client, sql_now, invoice)

    shown = client.get(invoice).json()
    assert [(each["id"], each["state"]) for each in shown["payments"]] == [
        (first["id"], "declined"),
        (second["id"], "succeeded"),
    ]
    assert shown["state"] == "paid"
    assert {job["kind"] for job in shown["jobs"]} == {"payment.charge", "invoice.render"}
    sql_now.execute(
        "INSERT INTO refunds (id, payment_id, amount, state) VALUES (%s, %s, 132500, 'succeeded')",
        [uuid4(), second["id"]],
    )
    assert client.get(invoice).json()["state"] == "refunded"
    assert client.get("/v1/invoices").json()["invoices"][0]["state"] == "refunded"


@pytest.mark.parametrize(("state", "told"), [("open", "is open"), ("succeeded", "has succeeded")])
def test_an_invoice_is_not_charged_beside_an_open_or_succeeded_payment(
    client: httpx2.Client, sql_now: psycopg.Connection, state: str, told: str
) -> None:
    invoice = invoice_of(client)
    payment = client.post(f"{invoice}/charge", json=CARD).json()
    end(sql_now, payment, state)

    refused = client.post(f"{invoice}/charge", json=CARD)

    assert detail(refused) == f"the payment {payment['id']} of this invoice {told}"
    assert sql_now.execute("SELECT count(*) FROM payments").fetchone() == (1,)


def test_of_charges_and_refunds_at_the_same_moment_one_is_taken(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    invoice = invoice_of(client)

    def at_once(path: str) -> list[httpx2.Response]:
        with ThreadPoolExecutor(6) as pool:
            return list(pool.map(lambda _: client.post(path), range(6)))

    sql_now.execute("UPDATE invoices SET payment_method = 'pm_card_visa'")
    charged = at_once(f"{invoice}/charge")
    assert sorted(each.status_code for each in charged) == [202, *[409] * 5]
    [payment] = [each.json() for each in charged if each.is_success]
    end(sql_now, payment, "succeeded")
    refunded = at_once(f"{payment['links']['self']}/refunds")
    assert sorted(each.status_code for each in refunded) == [202, *[409] * 5]


def test_the_invoices_own_payment_method_is_charged_unless_one_is_given(
    lasting_client: httpx2.Client,
) -> None:
    without = invoice_of(lasting_client)
    refused = lasting_client.post(f"{without}/charge")
    with_one = invoice_of(lasting_client, payment_method="pm_card_visa")

    assert detail(refused) == "the invoice has no payment_method: give one"
    assert lasting_client.post(f"{with_one}/charge").status_code == 202
    assert "payment_method" not in lasting_client.get(with_one).json()


@pytest.mark.parametrize(
    ("currency", "quantity", "price", "why"),
    [
        ("EUR", 1, "0", "0.00 EUR cannot be charged"),
        ("EUR", 1, "-1", "-1.00 EUR cannot be charged"),
        ("JPY", 1, "0.5", "0.50 JPY is no multiple of the currency's smallest coin"),
        ("EUR", 1_000_000, "99999999.99", "99999999990000.00 EUR cannot be charged"),
    ],
)
def test_what_cannot_be_charged_is_refused(
    lasting_client: httpx2.Client, currency: str, quantity: int, price: str, why: str
) -> None:
    line = {"description": "x", "quantity": quantity, "unit_price": price}
    invoice = invoice_of(lasting_client, currency=currency, lines=[line])
    assert detail(lasting_client.post(f"{invoice}/charge", json=CARD)) == why


def test_parts_of_a_payment_are_refunded_and_no_more_than_was_paid(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    payment = paid(client, sql_now, invoice_of(client))
    refunds = payment["links"]["refund"]
    part = client.post(refunds, json={"amount": "1000.00"})
    too_much = client.post(refunds, json={"amount": "325.01"})
    rest = client.post(refunds)
    nothing = client.post(refunds)

    assert [part.status_code, rest.status_code] == [202, 202]
    assert part.json()["job"]["kind"] == "payment.refund"
    assert detail(too_much) == "of this payment 325.00 EUR is left to refund"
    assert detail(nothing) == "of this payment 0.00 EUR is left to refund"
    shown = client.get(payment["links"]["self"]).json()
    assert [(each["amount"], each["state"]) for each in shown["refunds"]] == [
        ("1000.00", "open"),
        ("325.00", "open"),
    ]
    assert Decimal(shown["refunded"]) == 0
    assert "refund" not in shown["links"]


@pytest.mark.parametrize("state", ["open", "declined", "cancelled"])
def test_what_was_not_paid_is_not_refunded(
    client: httpx2.Client, sql_now: psycopg.Connection, state: str
) -> None:
    payment = client.post(f"{invoice_of(client)}/charge", json=CARD).json()
    end(sql_now, payment, state)
    refused = client.post(f"/v1/payments/{payment['id']}/refunds")
    assert detail(refused).endswith("there is nothing to refund")


def test_an_open_payment_is_cancelled_by_a_job(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    payment = client.post(f"{invoice_of(client)}/charge", json=CARD).json()
    accepted = client.post(payment["links"]["cancel"])
    end(sql_now, payment, "succeeded")
    refused = client.post(payment["links"]["cancel"])

    assert (accepted.status_code, accepted.json()["job"]["kind"]) == (202, "payment.cancel")
    assert detail(refused) == "the payment has succeeded"


def test_payments_are_listed_newest_first_and_by_state(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    made = [client.post(f"{invoice_of(client)}/charge", json=CARD).json() for _ in range(3)]
    end(sql_now, made[0], "declined")

    page = client.get("/v1/payments?limit=2").json()
    rest = client.get("/v1/payments", params={"limit": 2, "cursor": page["next_cursor"]}).json()
    declined = client.get("/v1/payments?state=declined").json()

    found = [each["id"] for each in page["payments"] + rest["payments"]]
    assert found == [each["id"] for each in made[::-1]]
    assert [each["id"] for each in declined["payments"]] == [made[0]["id"]]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/invoices/{id}/charge"),
        ("GET", "/v1/payments/{id}"),
        ("POST", "/v1/payments/{id}/refunds"),
        ("POST", "/v1/payments/{id}/cancel"),
    ],
)
def test_what_does_not_exist_is_not_found(
    lasting_client: httpx2.Client, method: str, path: str
) -> None:
    assert lasting_client.request(method, path.format(id=uuid4())).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/invoices/{id}/charge", {"payment_method": "pm card"}, "payment_method"),
        ("/v1/invoices/{id}/charge", {"amount": "1.00"}, "amount"),
        ("/v1/payments/{id}/refunds", {"amount": "0"}, "amount"),
        ("/v1/payments/{id}/refunds", {"amount": "-1.00"}, "amount"),
        ("/v1/payments/{id}/refunds", {"amount": 1.5}, "amount"),
    ],
)
def test_a_wrong_field_is_named(
    lasting_client: httpx2.Client, path: str, body: dict[str, Any], field: str
) -> None:
    answer = lasting_client.post(path.format(id=uuid4()), json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
