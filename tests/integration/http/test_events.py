"""Messages to other services over HTTP."""

import httpx2
import psycopg
from sqlalchemy.orm import Session

from outbox import publish
from outbox.operations.api_keys import Scope
from tests.integration.http.conftest import MakeClient

DEAD = """
WITH dead AS (
    UPDATE duly.outgoing_messages SET deferred_until = 'infinity', failures = 10
    RETURNING id, body
)
INSERT INTO duly.dead_letters (queue, reason, error_message, message_body, message_headers,
                               outgoing_id)
SELECT 'shop:k', 'unpublishable', 'nobody takes it', body, '{"n": "x"}', id FROM dead
RETURNING id
"""


def test_messages_are_listed_newest_first_in_pages(client: httpx2.Client, session: Session) -> None:
    sent = [publish(session, "shop", key, b"secret", type="t") for key in ("k", "l", "k")]
    session.commit()
    first = client.get("/v1/events", params={"limit": 2}).json()
    rest = client.get("/v1/events", params={"cursor": first["next_cursor"]}).json()
    shown = first["events"] + rest["events"]
    assert [each["id"] for each in shown] == [str(each.id) for each in reversed(sent)]
    assert "secret" not in str(shown)
    one = client.get("/v1/events", params={"routing_key": "l", "state": "waiting"}).json()
    assert [each["id"] for each in one["events"]] == [str(sent[1].id)]
    assert client.get("/v1/events", params={"type": "other"}).json()["events"] == []


def test_a_message_that_is_a_dead_letter_hides_its_body_and_is_replayed(
    client: httpx2.Client, client_with: MakeClient, session: Session, sql_now: psycopg.Connection
) -> None:
    sent = publish(session, "shop", "k", b"secret", type="t")
    session.commit()
    found = sql_now.execute(DEAD).fetchone()
    assert found
    path = f"/v1/dead-letters/{found[0]}"
    shown = client_with(Scope.READ).get(path).json()
    assert (shown["outgoing_id"], shown["message"]) == (str(sent.id), None)
    seeing = client_with(Scope.READ, Scope.PAYLOADS).get(path).json()
    assert seeing["message"]["body"] == "secret"
    assert client.post(shown["links"]["replay"], json={"why": "bound"}).status_code == 200
    assert client.get("/v1/events").json()["events"][0]["state"] == "waiting"
    assert client.post(shown["links"]["replay"], json={}).status_code == 409
