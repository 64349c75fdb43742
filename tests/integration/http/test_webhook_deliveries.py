"""Looking at deliveries, delivering again, and what else is done to an endpoint over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import psycopg
import pytest
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from outbox.operations import dead_letters, jobs
from outbox.operations.api_keys import Scope
from outbox.operations.dead_letters import DeadLetterFilter
from outbox.operations.jobs import JobFilter
from service.webhooks.models import WebhookDelivery, WebhookEndpoint
from tests.integration.http.conftest import MakeClient

SINCE = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
BODY = '{"type": "a.b", "timestamp": "2026-01-31T09:00:00+00:00", "data": {"to": "Zoë"}}'
ATTEMPT = {
    "attempt": 1,
    "at": "2026-01-31T09:00:00+00:00",
    "seconds": 0.1,
    "request_headers": {"webhook-id": "1"},
    "status": 500,
    "answer_headers": {},
    "answer_body": "no Zoë here",
    "error": "the endpoint answered 500",
}


@pytest.fixture
def endpoint_id(session: Session) -> UUID:
    return _endpoint(session)


def test_deliveries_are_listed_by_state_and_page(
    client: httpx2.Client, session: Session, endpoint_id: UUID, sql_now: psycopg.Connection
) -> None:
    failed = _delivery(session, endpoint_id)
    arrived = _delivery(session, endpoint_id, delivered_at=datetime.now(UTC))
    again = _delivery(session, endpoint_id, redelivered_as=uuid4())
    pending = _delivery(session, endpoint_id)
    _job(sql_now, pending, "queued")
    path = f"/v1/webhook-endpoints/{endpoint_id}/deliveries"

    def ids(**asked: str) -> list[str]:
        return [each["id"] for each in _get(client, path, **asked)["deliveries"]]

    assert ids() == [str(each) for each in (pending, again, arrived, failed)]
    by_state = {"failed": failed, "delivered": arrived, "redelivered": again, "pending": pending}
    assert {state: ids(state=state) for state in by_state} == {
        state: [str(id_)] for state, id_ in by_state.items()
    }
    first = _get(client, path, limit="3")
    second = _get(client, path, limit="3", cursor=first["next_cursor"])
    assert [each["id"] for each in second["deliveries"]] == [str(failed)]
    assert second["next_cursor"] is None


def test_what_quotes_the_event_is_shown_to_keys_with_the_scope_payloads_only(
    client: httpx2.Client, client_with: MakeClient, session: Session, endpoint_id: UUID
) -> None:
    path = f"/v1/webhook-deliveries/{_delivery(session, endpoint_id)}"
    hidden = _get(client, path)
    shown = _get(client_with(Scope.READ, Scope.PAYLOADS), path)
    assert "Zoë" not in str(hidden)
    assert (shown["body"], shown["attempts"][0]["answer_body"]) == (BODY, "no Zoë here")
    assert hidden["attempts"][0]["error"] == "the endpoint answered 500"


def test_a_failed_delivery_is_made_again_with_its_id_and_its_dead_letter_closed(
    client: httpx2.Client, session: Session, endpoint_id: UUID, sql_now: psycopg.Connection
) -> None:
    delivery_id = _delivery(session, endpoint_id)
    _job(sql_now, delivery_id, "dead")
    path = f"/v1/webhook-deliveries/{delivery_id}"

    answer = client.post(f"{path}/redeliver", json={"why": "they lost it"})

    assert answer.status_code == 202
    new = jobs.get(session, UUID(answer.json()["id"]))
    assert new is not None
    assert (new.kind, new.payload["event_id"], new.payload["data"]) == (
        *("webhook.deliver", str(delivery_id), {"to": "Zoë"}),
    )
    assert _get(client, path)["state"] == "redelivered"
    assert dead_letters.find(session, DeadLetterFilter()) == []
    acts = sql_now.execute("SELECT why, about FROM duly.acts WHERE act = 'redeliver'").fetchone()
    assert acts == (
        "they lost it",
        [f"endpoint:{endpoint_id}", f"delivery:{delivery_id}", f"job:{new.id}"],
    )


@pytest.mark.parametrize("subject", ["Müller & Söhne", "a b", "x" * 151])
def test_what_was_delivered_in_no_order_may_be_about_anything(
    client: httpx2.Client, session: Session, subject: str
) -> None:
    endpoint_id = _endpoint(session)
    delivery_id = _delivery(session, endpoint_id)
    session.get_one(WebhookDelivery, delivery_id).subject = subject
    session.get_one(WebhookEndpoint, endpoint_id).ordered = True
    session.commit()
    answer = client.post(f"/v1/webhook-deliveries/{delivery_id}/redeliver", json={})
    assert answer.status_code == 202
    new = jobs.get(session, UUID(answer.json()["id"]))
    assert new is not None
    assert (new.kind, new.subject) == ("webhook.deliver", subject)


def test_a_delivery_that_is_still_tried_is_not_made_again(
    client: httpx2.Client, session: Session, endpoint_id: UUID, sql_now: psycopg.Connection
) -> None:
    delivery_id = _delivery(session, endpoint_id)
    _job(sql_now, delivery_id, "queued")
    answer = client.post(f"/v1/webhook-deliveries/{delivery_id}/redeliver")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/conflict")


def test_all_that_failed_since_a_time_is_made_again_once(
    client: httpx2.Client, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.webhooks.deliveries.AT_ONCE", 2)
    monkeypatch.setattr("service.webhooks.delivery_routes.AT_ONCE", 2)
    endpoint_id = _endpoint(session, ordered=True)
    failed = [_delivery(session, endpoint_id) for _ in range(3)]
    _delivery(session, endpoint_id, event="webhook.test")
    _delivery(session, endpoint_id, delivered_at=datetime.now(UTC))
    _delivery(session, endpoint_id, id=UUID(int=7 << 76))  # long ago
    path = f"/v1/webhook-endpoints/{endpoint_id}/redeliver"

    answers = [client.post(path, json={"since": SINCE}).json() for _ in range(3)]

    assert [(len(each["job_ids"]), each["more"]) for each in answers] == [
        *((2, True), (1, False), (0, False)),
    ]
    made = jobs.find(session, JobFilter(kind="webhook.deliver_in_order"))
    assert [job.payload["event_id"] for job in reversed(made)] == [str(each) for each in failed]


def test_to_an_endpoint_that_is_switched_off_nothing_is_delivered_again(
    client: httpx2.Client, session: Session
) -> None:
    endpoint_id = _endpoint(session, disabled_at=datetime.now(UTC))
    delivery_id = _delivery(session, endpoint_id)
    one = client.post(f"/v1/webhook-deliveries/{delivery_id}/redeliver")
    path = f"/v1/webhook-endpoints/{endpoint_id}"
    many = client.post(f"{path}/redeliver", json={"since": SINCE})
    assert (one.status_code, many.status_code) == (409, 409)
    client.post(f"{path}/enable")
    assert len(client.post(f"{path}/redeliver", json={"since": SINCE}).json()["job_ids"]) == 1


def test_a_change_leaves_what_is_not_given(
    client_with: MakeClient, session: Session, sql_now: psycopg.Connection
) -> None:
    client = client_with(Scope.ADMIN, Scope.PAYLOADS)
    failing = {"owner_email": "ada@example.com", "failing_since": datetime.now(UTC)}
    path = f"/v1/webhook-endpoints/{_endpoint(session, **failing)}"
    before = _get(client, path)

    moved = client.patch(path, json={"url": "https://new.example/", "ordered": True, "why": "new"})
    alone = client.patch(path, json={"owner_email": None})

    changed = {"url": "https://new.example/", "ordered": True, "failing_since": None}
    assert moved.json() == before | changed
    assert alone.json() == before | changed | {"owner_email": None}
    acts = sql_now.execute("SELECT why FROM duly.acts WHERE act = 'endpoint-edit'").fetchall()
    assert acts == [("new",), (None,)]


def test_a_rotated_secret_is_told_once_and_the_old_one_has_its_time(
    client: httpx2.Client, session: Session, endpoint_id: UUID
) -> None:
    path = f"/v1/webhook-endpoints/{endpoint_id}"
    rotated = client.post(f"{path}/secret/rotate").json()
    row = session.get_one(WebhookEndpoint, endpoint_id, populate_existing=True)
    assert (row.secret, row.old_secret) == (rotated["secret"], "whsec_eA==")
    until = datetime.fromisoformat(rotated["old_secret_until"]) - datetime.now(UTC)
    assert timedelta(hours=23) < until <= timedelta(hours=24)
    assert "whsec_" not in str(_get(client, path))

    leaked = client.post(f"{path}/secret/rotate", json={"overlap_hours": 0}).json()
    row = session.get_one(WebhookEndpoint, endpoint_id, populate_existing=True)
    assert (row.secret, row.old_secret, leaked["old_secret_until"]) == (
        *(leaked["secret"], None, None),
    )


def test_a_test_is_a_job_to_follow(client: httpx2.Client, endpoint_id: UUID) -> None:
    job = client.post(f"/v1/webhook-endpoints/{endpoint_id}/test")
    assert (job.status_code, job.json()["kind"]) == (202, "webhook.test")
    assert _get(client, job.json()["links"]["self"])["subject"] == f"endpoint:{endpoint_id}"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("secret/rotate", {"overlap_hours": -1}, "overlap_hours"),
        ("redeliver", {}, "since"),
        ("redeliver", {"since": 1769850000}, "since"),
    ],
)
def test_a_wrong_field_is_named(
    lasting_client: httpx2.Client, path: str, body: dict[str, Any], field: str
) -> None:
    answer = lasting_client.post(f"/v1/webhook-endpoints/{uuid4()}/{path}", json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def _get(client: httpx2.Client, path: str, **asked: str) -> Any:
    return client.get(path, params=asked or None).raise_for_status().json()


def _endpoint(session: Session, **fields: Any) -> UUID:
    given = {"url": "https://hooks.example/", "events": ["*"], "secret": "whsec_eA=="}
    session.add(endpoint := WebhookEndpoint(**given | fields))
    session.commit()
    return endpoint.id


def _delivery(session: Session, endpoint_id: UUID, **fields: Any) -> UUID:
    id_ = fields.pop("id", None) or uuid7()
    given = {"event": "a.b", "subject": "invoice:7", "body": BODY, "attempts": [ATTEMPT]}
    row = WebhookDelivery(id=id_, event_id=id_, endpoint_id=endpoint_id, **given | fields)
    session.add(row)
    session.commit()
    return row.id


def _job(sql_now: psycopg.Connection, job_id: UUID, state: str) -> None:
    """The delivery's job, and its dead letter if it is dead."""
    sql_now.execute(
        "INSERT INTO duly.jobs (id, kind, queue, priority, payload, state, dispatch,"
        " attempt_limit, attempt_budget)"
        " VALUES (%s, 'webhook.deliver', 'webhooks', 1, '{}', %s, 1, 1, 1)",
        [job_id, state],
    )
    if state == "dead":
        sql_now.execute(
            "INSERT INTO duly.dead_letters (job_id, dispatch, kind, queue, reason) VALUES"
            " (%s, 1, 'webhook.deliver', 'webhooks', 'exhausted')",
            [job_id],
        )
