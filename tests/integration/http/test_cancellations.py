"""Many jobs cancelled over HTTP: a list is kept, and cancelled piece by piece."""

from typing import Any
from uuid import UUID, uuid4

import httpx2
import psycopg
import pytest
from sqlalchemy.orm import Session

from outbox import submit, submit_all
from outbox.operations import cancellations
from outbox.operations.api_keys import Scope
from outbox.operations.cancellations import PIECE
from service.mail.kinds import SEND_EMAIL
from tests.integration.http.conftest import MakeClient
from tests.support.service import lives

MAIL = SEND_EMAIL(to="anna@example.org", subject="Hello", text="between us")
SUBJECT = {"subject": "import:7"}
ACTS = """
SELECT act, why, cardinality(about) FROM duly.acts WHERE act LIKE 'cancel%' ORDER BY id
"""


@pytest.fixture
def jobs(session: Session) -> list[UUID]:
    """More than one request cancels, the newest first; and another job."""
    found = submit_all(session, [MAIL] * (PIECE + 3), subject="import:7")
    submit(session, MAIL)
    session.commit()
    return [job.id for job in reversed(found)]


def counts(shown: dict[str, Any]) -> dict[str, int]:
    """How many jobs came to which outcome, without the zeros."""
    names = ("open", "cancelled", "asked", "ended", "unknown")
    return {name: shown[name] for name in names if shown[name]}


def test_a_list_is_kept_and_cancelled_piece_by_piece(
    client: httpx2.Client, jobs: list[UUID], session: Session, sql_now: psycopg.Connection
) -> None:
    made = client.post("/v1/cancellations", json=SUBJECT | {"why": "twice"})
    assert (made.status_code, counts(made.json())) == (201, {"open": PIECE + 3})
    assert made.headers["location"] == made.json()["links"]["self"]
    assert client.get("/v1/jobs?state=cancelled").json()["jobs"] == []
    submit(session, MAIL, subject="import:7")  # not among those that were looked at
    session.commit()
    lives.claim(sql_now, str(jobs[0]))
    lives.succeed(sql_now, lives.claim(sql_now, str(jobs[1])), "null")

    first = client.post(made.json()["links"]["continue"], json={}).json()
    assert [each["id"] for each in first["jobs"]] == [
        str(each) for each in [jobs[0], *jobs[2 : PIECE + 1]]
    ]
    assert {each["outcome"] for each in first["jobs"][1:]} == {"cancelled"}
    assert first["jobs"][0]["outcome"] == "asked"
    between = client.get(made.json()["links"]["self"]).json()
    assert counts(between) == {"open": 2, "cancelled": PIECE - 1, "asked": 1, "ended": 1}
    last = client.post(first["links"]["continue"], json={"why": "as I said"}).json()
    assert (len(last["jobs"]), "continue" in last["links"]) == (2, False)
    after = client.get(made.json()["links"]["self"]).json()
    assert (counts(after)["cancelled"], "continue" in after["links"]) == (PIECE + 1, False)
    assert client.post(first["links"]["continue"], json={}).json()["jobs"] == []
    assert sql_now.execute(ACTS).fetchall() == [
        ("cancel-plan", "twice", PIECE + 3),
        ("cancel", "twice", PIECE),
        ("cancel", "as I said", 2),
    ]
    assert len(client.get("/v1/jobs?state=queued").json()["jobs"]) == 2


def test_the_list_says_what_became_of_each(
    client: httpx2.Client, jobs: list[UUID], sql_now: psycopg.Connection
) -> None:
    lives.succeed(sql_now, lives.claim(sql_now, str(jobs[1])), "null")
    named = [str(jobs[0]), str(jobs[1]), str(uuid4()), str(jobs[0])]
    made = client.post("/v1/cancellations", json={"job_ids": named}).json()
    assert counts(made) == {"open": 1, "ended": 1, "unknown": 1}
    client.post(made["links"]["continue"], json={})
    page = client.get(made["links"]["jobs"], params={"limit": 2}).json()
    rest = client.get(made["links"]["jobs"], params={"cursor": page["next_cursor"]}).json()
    found = page["jobs"] + rest["jobs"]
    assert [(each["id"], each["outcome"]) for each in found] == [
        *zip(named[:3], ("cancelled", "ended", "unknown"), strict=True)
    ]
    assert (len(page["jobs"]), rest["next_cursor"]) == (2, None)


def test_a_filter_takes_the_newest_up_to_a_limit(client: httpx2.Client, jobs: list[UUID]) -> None:
    made = client.post("/v1/cancellations", json=SUBJECT | {"limit": 2}).json()
    found = client.get(made["links"]["jobs"]).json()["jobs"]
    assert [each["id"] for each in found] == [str(jobs[0]), str(jobs[1])]


def test_what_is_to_be_cancelled_has_to_be_clear(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    for unclear in ({}, {"all": True, "queue": "email"}, {"job_ids": [str(uuid4())], "all": True}):
        refused = client.post("/v1/cancellations", json=unclear)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["message"].startswith("which jobs?")
    assert client.post("/v1/cancellations", json={"queue": ""}).status_code == 422
    nothing = client.post("/v1/cancellations", json={"queue": "email"})
    assert (nothing.status_code, nothing.json()["detail"]) == (
        *(404, "no job that has not ended matches"),
    )
    assert client.get("/v1/cancellations/1").status_code == 404
    assert client.post("/v1/cancellations/1/continue", json={}).status_code == 404
    assert sql_now.execute(ACTS).fetchall() == []


def test_another_act_is_no_list(
    client_with: MakeClient, jobs: list[UUID], sql_now: psycopg.Connection
) -> None:
    client = client_with(Scope.OPERATE, Scope.READ)
    client.post(f"/v1/jobs/{jobs[0]}/cancel", json={})
    (act,) = sql_now.execute("SELECT max(id) FROM duly.acts").fetchone() or ()
    assert client.get(f"/v1/cancellations/{act}").status_code == 404
    assert client.post(f"/v1/cancellations/{act}/continue", json={}).status_code == 404


def test_a_list_of_one_act_reads_nothing_of_another(session: Session, jobs: list[UUID]) -> None:
    first = cancellations.record(session, jobs[:2], by="ann")
    second = cancellations.record(session, jobs[2:3], by="bob")
    assert cancellations.left(session, first) == jobs[:2]
    assert cancellations.left(session, second) == jobs[2:3]
