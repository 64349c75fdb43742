"""Who may call what."""

import re
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import psycopg
import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.orm import Session

from outbox.http.auth.verified_keys import VerifiedKeys
from outbox.http.requests.database import CONNECTIONS
from outbox.operations import api_keys
from outbox.operations.api_keys import Caller, Scope
from service.app import create_app
from service.imports.examples import NEW_IMPORTS
from service.invoices.examples import NEW_INVOICES
from service.mail.examples import NEW_EMAILS
from service.reports.examples import NEW_LINKS, NEW_REPORTS
from service.settings import Settings
from service.subjects import NEW_JOBS
from service.webhooks.examples import NEW_ENDPOINTS
from tests.integration.http.conftest import MakeClient
from tests.support.engine.by_hand import WAITING
from tests.support.wait import wait_for

ID = UUID("01234567-89ab-7cde-8f01-23456789abcd")
SINCE = "2026-01-31T09:00:00Z"
SIGNED = {"/v1/hooks/stripe", "/v1/hooks/{source}"}
LINKS = {"/v1/downloads/{token}", "/v1/unsubscribe/{token}"}
"""For whoever has the link."""
OPEN = {"/healthz", "/readyz", "/v1", "/problems", "/problems/{name}"} | SIGNED | LINKS
ROUTES: list[tuple[str, str, Scope, Any]] = [
    ("GET", "/metrics", Scope.METRICS, None),
    ("POST", "/v1/invoices", Scope.SUBMIT, NEW_INVOICES["two lines"]["value"]),
    ("GET", "/v1/invoices", Scope.READ, None),
    ("GET", f"/v1/invoices/{ID}", Scope.READ, None),
    ("GET", f"/v1/invoices/{ID}/pdf", Scope.READ, None),
    ("POST", f"/v1/invoices/{ID}/charge", Scope.SUBMIT, {}),
    ("GET", "/v1/payments", Scope.READ, None),
    ("GET", f"/v1/payments/{ID}", Scope.READ, None),
    ("POST", f"/v1/payments/{ID}/refunds", Scope.SUBMIT, {}),
    ("POST", f"/v1/payments/{ID}/cancel", Scope.SUBMIT, None),
    ("POST", "/v1/closings", Scope.SUBMIT, {"month": "2026-10"}),
    ("GET", "/v1/closings", Scope.READ, None),
    ("GET", f"/v1/closings/{ID}", Scope.READ, None),
    ("POST", f"/v1/closings/{ID}/resume", Scope.SUBMIT, None),
    ("POST", "/v1/files", Scope.SUBMIT, {"any": "bytes"}),
    ("GET", f"/v1/files/{ID}", Scope.READ, None),
    ("GET", f"/v1/files/{ID}/content", Scope.READ, None),
    ("DELETE", f"/v1/files/{ID}", Scope.SUBMIT, None),
    ("POST", "/v1/images", Scope.SUBMIT, {"any": "bytes"}),
    ("POST", f"/v1/files/{ID}/image", Scope.SUBMIT, None),
    ("GET", f"/v1/images/{ID}", Scope.READ, None),
    ("GET", f"/v1/images/{ID}/{{size}}.{{format}}", Scope.READ, None),
    ("DELETE", f"/v1/images/{ID}", Scope.SUBMIT, None),
    ("POST", "/v1/reports", Scope.SUBMIT, NEW_REPORTS["a month"]["value"]),
    ("GET", "/v1/reports", Scope.READ, None),
    ("GET", f"/v1/reports/{ID}", Scope.READ, None),
    ("POST", f"/v1/reports/{ID}/links", Scope.READ, NEW_LINKS["for an hour"]["value"]),
    ("POST", "/v1/imports", Scope.SUBMIT, NEW_IMPORTS["a file"]["value"]),
    ("GET", "/v1/imports", Scope.READ, None),
    ("GET", f"/v1/imports/{ID}", Scope.READ, None),
    ("GET", f"/v1/imports/{ID}/bad-rows", Scope.READ, None),
    ("POST", f"/v1/imports/{ID}/cancel", Scope.OPERATE, None),
    ("GET", f"/v1/imports/{ID}/content", Scope.SUBMIT, None),
    ("PUT", f"/v1/imports/{ID}/content", Scope.SUBMIT, None),
    ("PATCH", f"/v1/imports/{ID}/content", Scope.SUBMIT, None),
    ("POST", "/v1/hook-sources", Scope.ADMIN, {"name": "crm"}),
    ("GET", "/v1/hook-sources", Scope.ADMIN, None),
    ("POST", f"/v1/hook-sources/{ID}/rotate", Scope.ADMIN, None),
    ("DELETE", f"/v1/hook-sources/{ID}", Scope.ADMIN, None),
    ("GET", "/v1/hook-events", Scope.READ, None),
    ("GET", f"/v1/hook-events/{ID}", Scope.READ, None),
    ("POST", "/v1/hook-takes", Scope.OPERATE, {}),
    ("POST", f"/v1/hook-events/{ID}/take", Scope.OPERATE, None),
    ("POST", "/v1/webhook-endpoints", Scope.ADMIN, NEW_ENDPOINTS["everything"]["value"]),
    ("GET", "/v1/webhook-endpoints", Scope.READ, None),
    ("GET", f"/v1/webhook-endpoints/{ID}", Scope.READ, None),
    ("PATCH", f"/v1/webhook-endpoints/{ID}", Scope.ADMIN, {}),
    ("POST", f"/v1/webhook-endpoints/{ID}/test", Scope.OPERATE, None),
    ("POST", f"/v1/webhook-endpoints/{ID}/secret/rotate", Scope.ADMIN, None),
    ("GET", f"/v1/webhook-endpoints/{ID}/deliveries", Scope.READ, None),
    ("POST", f"/v1/webhook-endpoints/{ID}/redeliver", Scope.OPERATE, {"since": SINCE}),
    ("GET", f"/v1/webhook-deliveries/{ID}", Scope.READ, None),
    ("POST", f"/v1/webhook-deliveries/{ID}/redeliver", Scope.OPERATE, None),
    ("POST", f"/v1/webhook-endpoints/{ID}/enable", Scope.ADMIN, None),
    ("DELETE", f"/v1/webhook-endpoints/{ID}", Scope.ADMIN, None),
    ("POST", "/v1/emails", Scope.SUBMIT, NEW_EMAILS["a template"]["value"]),
    ("GET", "/v1/emails", Scope.READ, None),
    ("GET", f"/v1/emails/{ID}", Scope.READ, None),
    ("GET", "/v1/mail-templates", Scope.READ, None),
    ("GET", "/v1/suppressions", Scope.READ, None),
    ("POST", "/v1/suppressions", Scope.OPERATE, {"address": "eve@example.com"}),
    ("DELETE", f"/v1/suppressions/{ID}", Scope.OPERATE, None),
    ("POST", "/v1/mail-bounces", Scope.SUBMIT, None),
    ("POST", "/v1/jobs", Scope.SUBMIT, NEW_JOBS["a mail"]["value"]),
    ("GET", "/v1/jobs", Scope.READ, None),
    ("GET", f"/v1/jobs/{ID}", Scope.READ, None),
    ("POST", f"/v1/jobs/{ID}/cancel", Scope.OPERATE, None),
    ("POST", f"/v1/jobs/{ID}/reschedule", Scope.OPERATE, {}),
    ("POST", "/v1/cancellations", Scope.OPERATE, {"all": True}),
    ("GET", "/v1/cancellations/1", Scope.READ, None),
    ("GET", "/v1/cancellations/1/jobs", Scope.READ, None),
    ("POST", "/v1/cancellations/1/continue", Scope.OPERATE, None),
    ("POST", "/v1/batches", Scope.SUBMIT, {"jobs": [NEW_JOBS["a mail"]["value"]]}),
    ("GET", "/v1/batches", Scope.READ, None),
    ("GET", f"/v1/batches/{ID}", Scope.READ, None),
    ("GET", f"/v1/batches/{ID}/jobs", Scope.READ, None),
    ("POST", f"/v1/batches/{ID}/jobs", Scope.SUBMIT, {"jobs": []}),
    ("POST", f"/v1/batches/{ID}/seal", Scope.OPERATE, None),
    ("POST", f"/v1/batches/{ID}/cancel", Scope.OPERATE, None),
    ("GET", "/v1/schedules", Scope.READ, None),
    ("POST", "/v1/schedules", Scope.OPERATE, {}),
    ("GET", f"/v1/schedules/{ID}", Scope.READ, None),
    ("PATCH", f"/v1/schedules/{ID}", Scope.OPERATE, {}),
    ("DELETE", f"/v1/schedules/{ID}", Scope.OPERATE, None),
    ("GET", f"/v1/schedules/{ID}/ticks", Scope.READ, None),
    ("POST", f"/v1/schedules/{ID}/pause", Scope.OPERATE, None),
    ("POST", f"/v1/schedules/{ID}/resume", Scope.OPERATE, None),
    ("POST", f"/v1/schedules/{ID}/run", Scope.OPERATE, None),
    ("POST", f"/v1/schedules/{ID}/backfill", Scope.OPERATE, {}),
    ("GET", "/v1/overdue-jobs", Scope.READ, None),
    ("GET", "/v1/kinds", Scope.READ, None),
    ("GET", "/v1/queues", Scope.READ, None),
    ("POST", f"/v1/queues/{ID}/pause", Scope.OPERATE, None),
    ("POST", f"/v1/queues/{ID}/resume", Scope.OPERATE, None),
    ("GET", "/v1/limits", Scope.READ, None),
    ("PUT", f"/v1/limits/{ID}", Scope.OPERATE, {"at_most": 1}),
    ("DELETE", f"/v1/limits/{ID}", Scope.OPERATE, None),
    ("GET", "/v1/events", Scope.READ, None),
    ("GET", "/v1/workers", Scope.READ, None),
    ("GET", "/v1/dead-letters", Scope.READ, None),
    ("GET", "/v1/dead-letters/1", Scope.READ, None),
    ("POST", "/v1/dead-letters/1/replay", Scope.OPERATE, None),
    ("POST", "/v1/dead-letters/1/discard", Scope.OPERATE, None),
]


def test_every_route_needs_the_scope_that_it_names(client_with: MakeClient, address: str) -> None:
    only = {scope: client_with(scope) for scope in Scope}
    for method, path, needed, body in ROUTES:
        with httpx2.Client(base_url=address) as nobody:
            refused = nobody.request(method, path, json=body)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer"), path
        for scope, client in only.items():
            answer = client.request(method, path, json=body)
            allowed = scope in (needed, Scope.ADMIN)
            assert (answer.status_code == 403) != allowed, (method, path, scope)
            assert allowed or answer.json()["detail"].endswith(f"the scope {needed}")


def test_a_mail_with_attachments_needs_the_scope_that_downloads_them(
    client_with: MakeClient,
) -> None:
    payload = {"to": "ada@example.com", "subject": "Hi", "text": "", "attachments": [f"{ID}.pdf"]}
    attached = {"kind": "email.send", "payload": payload}

    refused = client_with(Scope.SUBMIT).post("/v1/jobs", json=attached)
    taken = client_with(Scope.SUBMIT, Scope.READ).post("/v1/jobs", json=attached)

    assert (refused.status_code, taken.status_code) == (403, 202)
    assert refused.json()["detail"].endswith("the scope read")


def test_the_table_above_has_every_route_and_openapi_names_its_scope(settings: Settings) -> None:
    paths = create_app(settings).openapi()["paths"]

    described = {
        (method.upper(), re.sub("{(letter|cancellation)_id}", "1", path)): operation["security"]
        for path, operations in paths.items()
        if path not in OPEN
        for method, operation in operations.items()
    }
    expected = {
        (method, _template(path)): [{"ApiKey": [scope]}] for method, path, scope, _ in ROUTES
    }
    assert {(m, _template(p)): s for (m, p), s in described.items()} == expected


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer",
        "Bearer duly_000000000000_" + "x" * 43,
        "Bearer duly__",
        "Basic dXNlcjpwYXNz",
        "Bearer \xff",
        "Bearer " + "x" * 10_000,
    ],
)
def test_no_valid_key_no_answer(lasting_client: httpx2.Client, authorization: str) -> None:
    header = [(b"Authorization", authorization.encode("latin-1"))]
    answer = httpx2.get(f"{lasting_client.base_url}/v1/jobs", headers=header)

    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthenticated")


def test_many_requests_at_once_look_a_key_up_once(
    client: httpx2.Client,
    database_url: str,
    sql_now: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lookups: list[str] = []
    arrived: list[str] = []
    caller = VerifiedKeys.caller

    def arrive(keys: VerifiedKeys, key: str) -> Awaitable[Caller | None]:
        arrived.append(key)
        return caller(keys, key)

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if "FROM duly.api_keys" in statement:
            lookups.append(statement)

    monkeypatch.setattr(VerifiedKeys, "caller", arrive)
    event.listen(Engine, "before_cursor_execute", note)
    with psycopg.connect(database_url) as other, ThreadPoolExecutor(2 * CONNECTIONS) as threads:
        other.execute("LOCK TABLE duly.api_keys")
        asked = [threads.submit(client.get, "/v1/jobs") for _ in range(2 * CONNECTIONS)]
        wait_for("the key to be looked up", lambda: sql_now.execute(WAITING).fetchone())
        wait_for("all to wait for that", lambda: len(arrived) == len(asked))
        other.commit()
        assert {each.result().status_code for each in asked} == {200}
    event.remove(Engine, "before_cursor_execute", note)
    assert len(lookups) == 1


def test_a_wrong_secret_an_expired_and_a_revoked_key_are_refused(
    client_with: MakeClient, session: Session
) -> None:
    good, wrong, expired, revoked = (client_with(Scope.READ) for _ in range(4))
    assert good.get("/v1/jobs").status_code == 200
    key = wrong.headers["authorization"]
    wrong.headers["authorization"] = key[:-1] + ("x" if key[-1] != "x" else "y")
    expired = client_with(Scope.READ, lifetime=timedelta())
    assert api_keys.revoke(session, revoked.headers["authorization"].split("_")[1], by="ops")
    session.commit()

    for client in (wrong, expired, revoked):
        assert client.get("/v1/jobs").status_code == 401


def test_a_key_is_revoked_once_and_never_stored(session: Session) -> None:
    key = api_keys.create(session, "anna", [Scope.READ], by="ops")
    _, prefix, secret = key.split("_", 2)

    (stored,) = api_keys.all_keys(session)

    assert (stored.prefix, stored.name, stored.scopes) == (prefix, "anna", ["read"])
    kept = session.execute(text("SELECT to_jsonb(api_keys)::text FROM duly.api_keys")).scalar_one()
    assert secret not in kept
    assert [api_keys.revoke(session, prefix, by="ops") for _ in range(2)] == [True, False]


def _template(path: str) -> str:
    for part in path.split("/"):
        if part.startswith("{") or part == str(ID):
            path = path.replace(part, "*")
    return path
