"""Submitting, listing, reading and cancelling jobs."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
import psycopg
import pytest

from outbox.operations.api_keys import Scope
from outbox.store import transitions
from service.mail.kinds import SendEmail
from service.subjects import NEW_JOBS
from tests.integration.http.conftest import MakeClient
from tests.support.service import lives

MAIL: Any = NEW_JOBS["a mail"]["value"]


@pytest.mark.parametrize("example", NEW_JOBS)
def test_a_submitted_job_has_committed_when_the_answer_arrives(
    client: httpx2.Client, sql_now: psycopg.Connection, example: str
) -> None:
    made = client.post("/v1/jobs", json=NEW_JOBS[example]["value"])

    assert made.status_code == 202
    assert made.headers["retry-after"] == "1"
    assert made.headers["location"] == f"/v1/jobs/{made.json()['id']}"
    events = "SELECT job_id::text FROM duly.outbox_events"
    assert sql_now.execute(events).fetchall() == [(made.json()["id"],)]


def test_a_job_for_later_reads_as_scheduled_and_keeps_its_priority(client: httpx2.Client) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    job = MAIL | {"run_at": tomorrow.isoformat(), "priority": "high"}

    made = client.post("/v1/jobs", json=job)

    assert made.json()["state"] == "scheduled"
    shown = client.get(made.headers["location"]).json()
    assert (shown["state"], shown["priority"]) == ("scheduled", "high")
    assert datetime.fromisoformat(shown["run_at"]) == tomorrow


def test_a_run_at_in_the_past_means_now(client: httpx2.Client) -> None:
    made = client.post("/v1/jobs", json=MAIL | {"run_at": "0001-01-01T00:00:00+14:00"})

    assert made.json()["state"] == "queued"
    shown = client.get(made.headers["location"]).json()
    assert shown["run_at"] == shown["created_at"]


def test_a_job_that_expires_shows_when_and_that_it_has(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    first = client.post("/v1/jobs", json=MAIL | {"expires_at": tomorrow.isoformat()}).json()
    late = client.post("/v1/jobs", json=MAIL | {"expires_at": "0001-01-01T00:00:00+14:00"}).json()
    sql_now.execute(transitions.EXPIRE, {"only": None})

    shown, ended = (client.get(job["links"]["self"]).json() for job in (first, late))

    assert datetime.fromisoformat(shown["expires_at"]) == tomorrow
    assert (shown["state"], shown["cancel_reason"]) == ("queued", None)
    assert (ended["state"], ended["cancel_reason"]) == (
        "cancelled", "it had not begun by expires_at",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "invoice.render"}, "kind"),
        ({"kind": "no.such"}, "kind"),
        ({"payload": MAIL["payload"] | {"to": "nobody"}}, "payload.to"),
        ({"payload": {"to": "a@example.com", "subject": "s"}}, "payload.text"),
        ({"payload": MAIL["payload"] | {"cc": "b@example.com"}}, "payload.cc"),
        ({"payload": MAIL["payload"] | {"text": "a\0b"}}, "payload.text"),
        ({"payload": []}, "payload"),
        ({"run_at": "9999-12-31T23:59:59Z"}, "run_at"),
        ({"run_at": "9999-12-31T23:59:59-14:00"}, "run_at"),
        ({"run_at": "2030-01-01T00:00:00"}, "run_at"),
        ({"run_at": 1e20}, "run_at"),
        ({"expires_at": "2030-01-01T00:00:00"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59Z"}, "expires_at"),
        (dict.fromkeys(("run_at", "expires_at"), "2100-01-01T00:00:00Z"), "expires_at"),
        ({"priority": "urgent"}, "priority"),
    ],
)
def test_a_wrong_field_is_named_without_what_was_in_it(
    lasting_client: httpx2.Client, change: dict[str, Any], field: str
) -> None:
    answer = lasting_client.post("/v1/jobs", json=MAIL | change)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert "nobody" not in answer.text


def test_the_refusal_of_a_kind_names_those_that_are_open(lasting_client: httpx2.Client) -> None:
    (error,) = lasting_client.post("/v1/jobs", json=MAIL | {"kind": "x"}).json()["errors"]

    assert "email.send, webhook.deliver" in error["message"]


def test_a_job_shows_every_attempt_with_its_outcome(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    made = client.post("/v1/jobs", json=MAIL).json()
    lives.retry(sql_now, lives.claim(sql_now, made["id"]))
    lives.succeed(sql_now, lives.claim(sql_now, made["id"], dispatch=2), '{"message_id": "<1>"}')

    job = client.get(made["links"]["self"]).json()

    assert (job["state"], job["result"]) == ("succeeded", {"message_id": "<1>"})
    first, second = job["attempts"]
    assert (first["attempt"], first["outcome"], first["error_message"]) == (
        1, "failed", "mailbox full",
    )  # fmt: skip
    assert (second["attempt"], second["outcome"], second["worker"]) == (2, "succeeded", "w1")
    assert second["started_at"] <= second["finished_at"]


def test_a_running_job_shows_the_run(client: httpx2.Client, sql_now: psycopg.Connection) -> None:
    made = client.post("/v1/jobs", json=MAIL).json()
    lives.claim(sql_now, made["id"])

    (run,) = client.get(made["links"]["self"]).json()["attempts"]

    assert (run["attempt"], run["outcome"], run["finished_at"]) == (1, "running", None)


def test_lists_hold_what_the_filters_name(client: httpx2.Client) -> None:
    mail = client.post("/v1/jobs", json=MAIL).json()
    event = client.post("/v1/jobs", json=NEW_JOBS["an event"]["value"]).json()

    def listed(**filters: str) -> list[str]:
        page = client.get("/v1/jobs", params=filters).json()
        return [job["id"] for job in page["jobs"]]

    assert listed() == [event["id"], mail["id"]]
    assert listed(kind="email.send") == listed(queue="email") == [mail["id"]]
    assert listed(state="running") == listed(subject="invoice:1") == []


def test_the_children_of_a_job_are_listed_newest_first_and_lead_to_it(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    ids = [client.post("/v1/jobs", json=MAIL).json()["id"] for _ in range(4)]
    parent, *children, _ = ids
    sql_now.execute("UPDATE duly.jobs SET parent_id = %s WHERE id = ANY (%s)", [parent, children])

    shown = client.get(f"/v1/jobs/{parent}").json()
    listed = client.get(shown["links"]["children"], params={"parent": parent, "limit": 1}).json()
    rest = client.get("/v1/jobs", params={"parent": parent, "cursor": listed["next_cursor"]})

    assert "parent" not in shown["links"]
    found = [*listed["jobs"], *rest.json()["jobs"]]
    assert [job["id"] for job in found] == children[::-1]
    assert {job["links"]["parent"] for job in found} == {shown["links"]["self"]}
    assert client.get("/v1/jobs", params={"parent": "x"}).status_code == 422


def test_scheduled_jobs_are_listed_as_they_are_shown(client: httpx2.Client) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    later = client.post("/v1/jobs", json=MAIL | {"run_at": tomorrow}).json()["id"]
    now = client.post("/v1/jobs", json=MAIL).json()["id"]

    def listed(state: str) -> list[tuple[str, str]]:
        page = client.get("/v1/jobs", params={"state": state}).json()
        return [(job["id"], job["state"]) for job in page["jobs"]]

    assert listed("scheduled") == [(later, "scheduled")]
    assert listed("queued") == [(now, "queued"), (later, "scheduled")]


def test_sensitive_fields_are_shown_to_keys_with_the_scope_payloads_only(
    client_with: MakeClient, client: httpx2.Client
) -> None:
    made = client.post("/v1/jobs", json=MAIL).json()
    trusted = client_with(Scope.READ, Scope.PAYLOADS)

    seen = [reader.get(made["links"]["self"]).json() for reader in (client, trusted)]
    listed = [reader.get("/v1/jobs").json()["jobs"][0] for reader in (client, trusted)]

    shown = SendEmail(**MAIL["payload"]).model_dump(mode="json")
    hidden = shown | dict.fromkeys(("to", "text", "html", "reply_to"), "[redacted]")
    assert [job["payload"] for job in seen] == [hidden, shown]
    assert [job["payload"] for job in listed] == [hidden, shown]


def test_cancelling_a_queued_job_ends_it_once(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    made = client.post("/v1/jobs", json=MAIL).json()

    first, second = (client.post(made["links"]["cancel"]) for _ in range(2))

    assert (first.status_code, first.json()["state"]) == (202, "cancelled")
    assert (second.status_code, second.json()["type"]) == (409, "/problems/conflict")
    assert sql_now.execute("SELECT count(*) FROM duly.outbox_events").fetchone() == (0,)


def test_cancelling_a_running_job_asks_it(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    made = client.post("/v1/jobs", json=MAIL).json()
    run = lives.claim(sql_now, made["id"])

    answer = client.post(made["links"]["cancel"])

    assert (answer.status_code, answer.json()["state"]) == (202, "running")
    assert answer.json()["cancel_requested_at"]

    lives.stop(sql_now, run)
    shown = client.get(made["links"]["self"]).json()
    assert (shown["state"], shown["attempt"]) == ("cancelled", 1)
    assert [each["outcome"] for each in shown["attempts"]] == ["cancelled"]


def test_a_job_shows_how_far_it_is_and_when_it_will_probably_end(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    made = client.post("/v1/jobs", json=MAIL).json()

    def shown() -> Any:
        return client.get(made["links"]["self"]).json()["progress"]

    assert shown() is None
    run = lives.claim(sql_now, made["id"])
    lives.progress(sql_now, run, done=10, total=40, note="reading")
    first = shown()
    assert (first["done"], first["total"], first["note"]) == (10, 40, "reading")
    assert first["ends_at"] is None
    lives.progress(sql_now, run, done=20, total=40, note=None)
    second = shown()
    since, at = (datetime.fromisoformat(each["at"]) for each in (first, second))
    assert datetime.fromisoformat(second["ends_at"]) == at + 2 * (at - since)
    lives.retry(sql_now, run)
    assert shown() == second | {"ends_at": None}


def test_a_job_links_to_its_cancellation_while_it_can_be_cancelled(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    made = [client.post("/v1/jobs", json=MAIL | more).json() for more in ({}, {"run_at": tomorrow})]
    queued, scheduled = made

    def can_be_cancelled(job: dict[str, Any]) -> bool:
        shown = client.get(job["links"]["self"]).json()["links"]
        return bool(shown.get("cancel") == f"/v1/jobs/{job['id']}/cancel")

    assert [can_be_cancelled(job) for job in made] == [True, True]
    run = lives.claim(sql_now, queued["id"])
    assert can_be_cancelled(queued)
    lives.succeed(sql_now, run, "null")
    assert not can_be_cancelled(queued)
    assert "cancel" not in client.post(scheduled["links"]["cancel"]).json()["links"]


def test_a_queued_job_is_given_another_time_priority_and_queue(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    made = client.post("/v1/jobs", json=MAIL).json()
    change = {"run_at": "2100-01-01T00:00:00Z", "priority": "low", "queue": "other", "why": "full"}

    moved = client.post(made["links"]["reschedule"], json=change)

    assert moved.status_code == 200
    assert moved.json() | change == moved.json() | {"why": "full"}
    assert (moved.json()["state"], moved.json()["id"]) == ("scheduled", made["id"])
    acts = sql_now.execute("SELECT why, about FROM duly.acts WHERE act = 'reschedule'").fetchall()
    assert acts == [("full", [f"job:{made['id']}"])]


def test_a_job_that_runs_or_would_expire_is_not_rescheduled(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    first = client.post("/v1/jobs", json=MAIL | {"expires_at": "2100-01-01T00:00:00Z"}).json()
    path = first["links"]["reschedule"]

    late = client.post(path, json={"run_at": "2101-01-01T00:00:00Z"})
    lives.claim(sql_now, first["id"])
    running = client.post(path, json={"priority": "high"})

    assert [late.status_code, running.status_code] == [409, 409]
    assert late.json()["detail"] == "the job would expire before it may run"
    assert running.json()["detail"] == "only queued jobs can be rescheduled: it is running"
    assert "reschedule" not in client.get(first["links"]["self"]).json()["links"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"queue": "amq.mine"}, "queue"),
        ({"queue": "a.XQ"}, "queue"),
        ({"run_at": "2030-01-01T00:00:00"}, "run_at"),
        ({"priority": "urgent"}, "priority"),
        ({"kind": "email.send"}, "kind"),
    ],
)
def test_a_wrong_change_is_named(
    lasting_client: httpx2.Client, change: dict[str, Any], field: str
) -> None:
    answer = lasting_client.post(f"/v1/jobs/{uuid4()}/reschedule", json=change)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(
    ("method", "action", "body"),
    [("GET", "", None), ("POST", "/cancel", None), ("POST", "/reschedule", {})],
)
def test_a_job_that_does_not_exist_is_not_found(
    lasting_client: httpx2.Client, method: str, action: str, body: dict[str, Any] | None
) -> None:
    answer = lasting_client.request(method, f"/v1/jobs/{uuid4()}{action}", json=body)
    assert answer.status_code == 404
