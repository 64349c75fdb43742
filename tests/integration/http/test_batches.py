"""Batches over HTTP."""

from uuid import UUID, uuid4

import httpx2
import psycopg
import pytest
from sqlalchemy.orm import Session

from outbox import batch, submit
from outbox.operations.api_keys import Scope
from service.mail.kinds import SEND_EMAIL
from tests.integration.http.conftest import MakeClient
from tests.support.service import lives

MAIL = SEND_EMAIL(to="anna@example.org", subject="Hello", text="between us")
RECORD = "SELECT act, why, about FROM duly.acts WHERE act LIKE '%batch'"


@pytest.fixture
def group(session: Session) -> UUID:
    """A batch of two that grows."""
    with batch(session, on_success=MAIL, subject="import:7", seal=False) as group:
        submit(session, MAIL)
        submit(session, MAIL)
    submit(session, MAIL)
    session.commit()
    return group.id


def test_a_batch_is_listed_and_shown_with_its_members(client: httpx2.Client, group: UUID) -> None:
    path = f"/v1/batches/{group}"
    shown = client.get(path).json()
    assert (shown["state"], shown["generation"]) == ("growing", 1)
    assert shown["callbacks"] == {"on_success": "email.send"}
    assert client.get("/v1/batches?open=true&subject=import:7").json()["batches"] == [shown]
    assert client.get("/v1/batches?open=false").json()["batches"] == []
    members = client.get(shown["links"]["jobs"], params={"limit": 1}).json()
    rest = client.get(shown["links"]["jobs"], params={"cursor": members["next_cursor"]}).json()
    jobs = members["jobs"] + rest["jobs"]
    assert [job["batch_id"] for job in jobs] == [str(group)] * 2
    assert jobs[0]["payload"]["text"] == "[redacted]"


def test_a_batch_is_sealed_once_and_cancelled_once_and_both_are_recorded(
    client: httpx2.Client, group: UUID, sql_now: psycopg.Connection
) -> None:
    for act, code, state in (("seal", 200, "open"), ("cancel", 202, "cancelling")):
        done = client.post(f"/v1/batches/{group}/{act}", json={"why": "enough"})
        assert (done.status_code, done.json()["state"]) == (code, state)
        again = client.post(f"/v1/batches/{group}/{act}", json={})
        assert again.status_code == 409
    about = [f"batch:{group}"]
    assert sql_now.execute(RECORD).fetchall() == [
        ("seal-batch", "enough", about),
        ("cancel-batch", "enough", about),
    ]


def test_what_there_is_not_and_who_may_not(client_with: MakeClient, group: UUID) -> None:
    reader = client_with(Scope.READ)
    assert reader.get(f"/v1/batches/{uuid4()}").status_code == 404
    assert reader.get(f"/v1/batches/{uuid4()}/jobs").status_code == 404
    assert reader.post(f"/v1/batches/{group}/cancel", json={}).status_code == 403
    operator = client_with(Scope.OPERATE)
    assert operator.post(f"/v1/batches/{uuid4()}/seal", json={}).status_code == 404


def test_a_dead_member_of_a_cancelled_batch_is_not_replayed(
    client: httpx2.Client, group: UUID, sql_now: psycopg.Connection
) -> None:
    (job, *_) = client.get(f"/v1/batches/{group}/jobs").json()["jobs"]
    letter = lives.die(sql_now, lives.claim(sql_now, job["id"]))
    client.post(f"/v1/batches/{group}/cancel", json={})
    refused = client.post(f"/v1/dead-letters/{letter}/replay", json={})
    assert refused.status_code == 409
    assert refused.json()["detail"] == "its job is in a batch that was cancelled"
