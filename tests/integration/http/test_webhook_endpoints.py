"""Adding, listing and deleting webhook endpoints."""

from base64 import b64decode
from typing import Any
from uuid import uuid4

import httpx2
import psycopg
import pytest

from outbox.operations.api_keys import Scope
from service.webhooks.examples import NEW_ENDPOINTS
from tests.integration.http.conftest import MakeClient

ENDPOINT: Any = NEW_ENDPOINTS["rendered invoices"]["value"]


def test_the_secret_is_told_once(client_with: MakeClient, sql_now: psycopg.Connection) -> None:
    client = client_with(Scope.ADMIN, Scope.PAYLOADS)
    made = client.post("/v1/webhook-endpoints", json=ENDPOINT)
    (listed,) = client.get("/v1/webhook-endpoints").json()["webhook_endpoints"]

    secret = made.json().pop("secret")
    assert made.status_code == 201
    assert len(b64decode(secret.removeprefix("whsec_"))) == 32
    assert listed == {name: value for name, value in made.json().items() if name != "secret"}
    stored = sql_now.execute("SELECT secret, url FROM webhook_endpoints").fetchone()
    assert stored == (secret, "https://example.com/hooks")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.example/services/T0/hunter2", "https://hooks.example/[redacted]"),
        ("http://[2001:db8::1]:8080/?token=hunter2", "http://[2001:db8::1]:8080/[redacted]"),
        ("https://hooks.example/#hunter2", "https://hooks.example/[redacted]"),
        ("https://hooks.example", "https://hooks.example/"),
    ],
)
def test_a_token_in_an_address_is_shown_to_keys_with_the_scope_payloads_only(
    client_with: MakeClient, client: httpx2.Client, url: str, shown: str
) -> None:
    made = client.post("/v1/webhook-endpoints", json=ENDPOINT | {"url": url}).json()

    def listed(by: httpx2.Client) -> str:
        (endpoint,) = by.get("/v1/webhook-endpoints").json()["webhook_endpoints"]
        return str(endpoint["url"])

    assert listed(client) == listed(client_with(Scope.READ)) == shown
    assert listed(client_with(Scope.READ, Scope.PAYLOADS)) == made["url"]


def test_a_deleted_endpoint_is_gone(client: httpx2.Client) -> None:
    made = client.post("/v1/webhook-endpoints", json=ENDPOINT).json()
    path = f"/v1/webhook-endpoints/{made['id']}"

    first, second = client.delete(path), client.delete(path)

    assert (first.status_code, first.content, second.status_code) == (204, b"", 404)
    assert client.get("/v1/webhook-endpoints").json()["webhook_endpoints"] == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "https://user:secret@example.com"}, "url"),
        ({"url": "/hooks"}, "url"),
        ({"url": "https://example.com/" + "x" * 2000}, "url"),
        ({"events": []}, "events"),
        ({"events": ["Invoice Rendered"]}, "events.0"),
    ],
)
def test_a_wrong_field_is_named(
    lasting_client: httpx2.Client, change: dict[str, Any], field: str
) -> None:
    answer = lasting_client.post("/v1/webhook-endpoints", json=ENDPOINT | change)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_an_unknown_endpoint_is_not_found(lasting_client: httpx2.Client) -> None:
    path = f"/v1/webhook-endpoints/{uuid4()}"
    assert lasting_client.delete(path).status_code == 404
    assert lasting_client.post(f"{path}/enable").status_code == 404


def test_an_endpoint_is_switched_on_again_and_what_it_missed_is_listed(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    made = client.post("/v1/webhook-endpoints", json=ENDPOINT).json()
    sql_now.execute(
        "UPDATE webhook_endpoints SET disabled_at = now(), disabled_because = 'it answered 410',"
        " failing_since = now()"
    )
    missed = uuid4()
    sql_now.execute(
        "INSERT INTO webhook_deliveries (id, endpoint_id, event, event_id, body, attempts)"
        " VALUES (%s, %s, 'a.b', %s, '{}', '[]')",
        [missed, made["id"], missed],
    )
    (off,) = client.get("/v1/webhook-endpoints").json()["webhook_endpoints"]

    on = client.post(off["links"]["enable"])

    assert (off["disabled_at"] is not None, off["disabled_because"]) == (True, "it answered 410")
    state = [on.json()[name] for name in ("disabled_at", "disabled_because", "failing_since")]
    assert (on.status_code, state) == (200, [None, None, None])
    (delivery,) = client.get(on.json()["links"]["missed"]).json()["deliveries"]
    assert delivery["id"] == str(missed)
