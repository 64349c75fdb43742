"""An invoice's jobs, from the POST to the PDF, the mail and the webhook."""

import json
from collections.abc import Iterator
from typing import Any

from dev.demo import services
from dev.demo.stage import Stage
from dev.demo.telling import tell, tell_pdf, title

INVOICE = {
    "customer": "Ada Lovelace",
    "email": "ada@example.com",
    "currency": "EUR",
    "lines": [
        {"description": "Analytical engine, one day", "quantity": 2, "unit_price": "480.00"},
        {"description": "Punched cards", "quantity": 500, "unit_price": "0.12"},
    ],
}


def show(stage: Stage, endpoint: dict[str, Any]) -> Any:
    """Post an invoice, follow its jobs, and show what arrived; returns the invoice."""
    title("An invoice is posted: its rows and its job commit together")
    invoice = stage.post("/v1/invoices", INVOICE)
    tell(f"201 {invoice['id']}, {invoice['total']} {invoice['currency']}")
    for job in _jobs_of(stage, invoice, endpoint):
        stage.follow(job["id"])
    _show_what_arrived(stage, invoice)
    return invoice


def _jobs_of(
    stage: Stage, invoice: dict[str, Any], endpoint: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """The invoice's three jobs as they come to be: what one submits comes after it."""
    seen: set[str] = set()
    while len(seen) < 3:
        found = stage.get(f"/v1/jobs?subject=invoice:{invoice['id']}")["jobs"]
        for job in sorted(found, key=lambda job: str(job["id"])):
            ours = job["payload"].get("endpoint_id", endpoint["id"]) == endpoint["id"]
            if ours and job["id"] not in seen:
                seen.add(job["id"])
                yield job


def _show_what_arrived(stage: Stage, invoice: dict[str, Any]) -> None:
    pdf = services.HOME / "invoice.pdf"
    pdf.write_bytes(stage.api.get(f"/v1/invoices/{invoice['id']}/pdf").raise_for_status().content)
    tell("the PDF:")
    tell_pdf(pdf)
    received = stage.outside.get("/received").json()
    mail, webhook = received["mails"][-1], received["webhooks"][-1]
    tell(f"the mail: to {mail['to']}, “{mail['subject']}”, with {', '.join(mail['attachments'])}")
    tell(f"the webhook, its signature verified: {json.dumps(webhook['event'])}")
