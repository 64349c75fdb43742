"""A mail to each customer, and one to Ada once all of them are sent."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from dev.demo.stage import Stage
from dev.demo.telling import tell, title
from outbox import batch, submit_all
from outbox.operations.progress import ProgressRecord
from outbox.postgres.address import sqlalchemy_url
from service.mail.kinds import SEND_EMAIL

CUSTOMERS = 300


def show(stage: Stage) -> None:
    """Submit the batch, draw its bar, and follow what comes after it."""
    title(f"A batch: a mail to {CUSTOMERS} customers, then one to Ada")
    batch_id = _submit_mails(stage.database_url)
    stage.draw(f"/v1/batches/{batch_id}", "settled_at", _progress)
    for callback in stage.get(f"/v1/jobs?subject=batch:{batch_id}")["jobs"]:
        stage.follow(callback["id"])
    tell(f"how its members ended: duly batches show {batch_id}")


def _submit_mails(database_url: str) -> UUID:
    """Submit them all in one transaction; returns the batch's id."""
    news = (
        SEND_EMAIL(to=f"customer{number}@example.com", subject="News", text="All is well.")
        for number in range(CUSTOMERS)
    )
    all_sent = SEND_EMAIL(to="ada@example.com", subject="The news are out", text="Have a rest.")
    engine = create_engine(sqlalchemy_url(database_url))
    with Session(engine) as tx, tx.begin(), batch(tx, on_success=all_sent) as group:
        submit_all(tx, news)
    engine.dispose()
    return group.id


def _progress(group: Mapping[str, Any]) -> ProgressRecord:
    """How many of its members have ended, as of the last count."""
    counted, made_at = group["members"], datetime.fromisoformat(group["created_at"])
    return ProgressRecord(counted - group["open"], CUSTOMERS, group["state"], made_at, 1, None)
