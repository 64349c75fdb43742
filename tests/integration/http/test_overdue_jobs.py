"""Late jobs over HTTP, each with what it waits for."""

from datetime import UTC, datetime, timedelta

import httpx2
from sqlalchemy.orm import Session

from outbox import submit
from service.mail.kinds import SEND_EMAIL

MAIL = SEND_EMAIL(to="ada@example.com", subject="Hello", text="Good morning.")


def test_only_late_jobs_are_listed_and_no_more_than_asked(
    client: httpx2.Client, session: Session
) -> None:
    hours_ago = [datetime.now(UTC) - timedelta(hours=hours) for hours in (2, 1)]
    longest, _ = (submit(session, MAIL, run_at=moment) for moment in hours_ago)
    submit(session, MAIL)
    session.commit()

    listed = client.get("/v1/overdue-jobs").json()["overdue_jobs"]
    (first,) = client.get("/v1/overdue-jobs?limit=1").json()["overdue_jobs"]

    assert (len(listed), listed[0]) == (2, first)
    assert (first["id"], first["state"]) == (str(longest.id), "queued")
    assert first["why"] == "no live worker serves email"
    assert client.get(first["links"]["self"]).json()["id"] == first["id"]
