"""A report of a month, opened by a link that is signed, needs no key, and expires."""

from pathlib import Path
from typing import Any

import httpx2

from dev.demo import services
from dev.demo.past_month import INVOICES, write_invoices
from dev.demo.stage import Stage
from dev.demo.telling import tell, tell_pdf, title
from dev.say import Failure

FIRST_LINES = 14


def show(stage: Stage) -> None:
    """Have the report of the past month built, make a link, and follow it without a key."""
    month = write_invoices(stage.database_url)
    title(f"A report of {month}, in which there are {INVOICES} invoices")
    asked = stage.post("/v1/reports", {"month": month})
    stage.follow(asked["id"])
    for total in stage.get(asked["links"]["self"])["totals"]:
        tell(f"{total['currency']} {total['amount']} to {total['customers']} customers")
    _open(stage, asked)


def _open(stage: Stage, report: dict[str, Any]) -> None:
    link = stage.post(report["links"]["links"], {"format": "pdf"})
    url = f"{stage.address}{link['url']}"
    tell(f"a link for anybody who has it, until {link['expires_at']}:")
    tell(f"    {url}")
    tell("opened without an API key, it is")
    tell_pdf(_download(url), FIRST_LINES)
    forged = httpx2.get(f"{url[:-8]}{url[-8:][::-1]}").status_code
    tell(f"with another signature it is nothing: {forged}")


def _download(url: str) -> Path:
    """The file that the link leads to. Raises Failure where it is no PDF."""
    answer = httpx2.get(url).raise_for_status()
    if not answer.content.startswith(b"%PDF"):
        raise Failure(f"{url} is no PDF")
    pdf = services.HOME / "report.pdf"
    pdf.write_bytes(answer.content)
    return pdf
