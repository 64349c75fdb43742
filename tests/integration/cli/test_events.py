"""`duly events`."""

from uuid import UUID

import psycopg
import pytest
from sqlalchemy.orm import Session

from outbox import publish
from tests.integration.cli.conftest import Duly

SENT = "UPDATE duly.outgoing_messages SET sent_at = now() WHERE routing_key = 'sent'"
LEFT = "SELECT routing_key FROM duly.outgoing_messages WHERE sent_at IS NULL ORDER BY position"


@pytest.fixture
def messages(session: Session, sql_now: psycopg.Connection) -> list[UUID]:
    """One that was sent, and one that waits."""
    found = [
        publish(session, "shop", key, b"secret", type="order.shipped") for key in ("sent", "waits")
    ]
    session.commit()
    sql_now.execute(SENT)
    return [each.id for each in found]


def test_messages_are_listed_and_sent_again_only_if_that_is_said(
    duly: Duly, messages: list[UUID], sql_now: psycopg.Connection
) -> None:
    listed = duly.json("events", "list", "--exchange", "shop")
    assert [row["id"] for row in listed] == [str(each) for each in reversed(messages)]
    assert [(row["state"], row["type"], row["size"]) for row in listed] == [
        ("waiting", "order.shipped", 6),
        ("sent", "order.shipped", 6),
    ]
    resend = ("events", "resend", "--since", "1h", "--exchange", "shop")
    assert duly.json(*resend)["matched"] == 1
    assert sql_now.execute(LEFT).fetchall() == [("waits",)]
    assert duly(*resend, "--yes", "--by", "ann", "--why", "wiped").returncode == 0
    assert sql_now.execute(LEFT).fetchall() == [("sent",), ("waits",)]
    act = sql_now.execute("SELECT who, why, about FROM duly.acts WHERE act = 'resend'").fetchall()
    assert act == [("ann", "wiped", [f"message:{messages[0]}"])]
    assert duly(*resend, "--yes").returncode == 3
