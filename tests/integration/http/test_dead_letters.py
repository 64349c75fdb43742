"""Finding dead letters, and replaying or discarding them."""

from typing import Any

import httpx2
import psycopg
import pytest

from outbox.operations.api_keys import Scope
from outbox.store import sequences
from service.subjects import NEW_JOBS
from tests.integration.http.conftest import MakeClient
from tests.support.service import lives

MAIL: Any = NEW_JOBS["a mail"]["value"]


@pytest.fixture
def job_id(client: httpx2.Client) -> str:
    """A job that was just submitted."""
    return str(client.post("/v1/jobs", json=MAIL).json()["id"])


@pytest.fixture
def letter(job_id: str, sql_now: psycopg.Connection) -> str:
    """Where the dead letter of the job is, now that it died."""
    return f"/v1/dead-letters/{lives.die(sql_now, lives.claim(sql_now, job_id))}"


def test_a_dead_letter_tells_the_error_of_each_attempt(
    client: httpx2.Client, letter: str, job_id: str
) -> None:
    shown = client.get(letter).json()

    assert (shown["job_id"], shown["reason"]) == (job_id, "exhausted")
    assert [run["traceback"] for run in shown["attempts"]] == [
        "Traceback:\n  SMTPError: mailbox full"
    ]
    assert shown["links"]["job"] == f"/v1/jobs/{job_id}"


def test_an_act_whose_number_a_row_has_already_may_be_tried_again_and_is_done_then(
    client: httpx2.Client, letter: str, sql_now: psycopg.Connection
) -> None:
    sql_now.execute("INSERT INTO duly.acts (who, act, about) VALUES ('ann', 'look', '{}')")
    sql_now.execute("SELECT setval('duly.acts_id_seq', 1, false)")
    refused = client.post(f"{letter}/replay", json={"why": "mended"})
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
    sql_now.execute(sequences.ADVANCE_SEQUENCES)
    assert client.post(f"{letter}/replay", json={"why": "mended"}).status_code == 200


def test_replay_queues_the_job_again_and_records_who_and_why(
    client: httpx2.Client, letter: str, job_id: str
) -> None:
    replayed = client.post(f"{letter}/replay", json={"why": "mailbox mended"})

    assert (replayed.status_code, replayed.json()["resolution"]) == (200, "replayed")
    assert replayed.json()["closed_by"].startswith("test (")
    assert replayed.json()["close_reason"] == "mailbox mended"
    assert client.get(f"/v1/jobs/{job_id}").json()["state"] == "queued"


def test_a_replayed_job_says_how_many_attempts_it_has_left(
    client: httpx2.Client, letter: str, job_id: str, sql_now: psycopg.Connection
) -> None:
    def counts() -> list[int]:
        job = client.get(f"/v1/jobs/{job_id}").json()
        return [job[name] for name in ("attempt", "attempt_limit", "attempts_left", "replays")]

    assert counts() == [1, 8, 0, 0]  # it is dead
    client.post(f"{letter}/replay")
    assert counts() == [1, 9, 8, 1]
    lives.retry(sql_now, lives.claim(sql_now, job_id, dispatch=2))
    assert counts() == [2, 9, 7, 1]
    run = lives.claim(sql_now, job_id, dispatch=3)
    assert counts() == [3, 9, 6, 1]
    client.post(f"/v1/jobs/{job_id}/cancel")
    assert counts() == [3, 9, 0, 1]
    lives.succeed(sql_now, run, "null")
    assert counts() == [3, 9, 0, 1]


def test_discard_closes_the_letter_and_leaves_the_job_dead(
    client: httpx2.Client, letter: str, job_id: str
) -> None:
    discarded = client.post(f"{letter}/discard")

    assert (discarded.status_code, discarded.json()["resolution"]) == (200, "discarded")
    assert client.get(f"/v1/jobs/{job_id}").json()["state"] == "dead"


@pytest.mark.parametrize("action", ["replay", "discard"])
def test_a_closed_letter_stays_closed(client: httpx2.Client, letter: str, action: str) -> None:
    client.post(f"{letter}/discard")

    again = client.post(f"{letter}/{action}")

    assert (again.status_code, again.json()["type"]) == (409, "/problems/conflict")
    assert "has discarded it already" in again.json()["detail"]


@pytest.mark.parametrize("action", ["replay", "discard"])
def test_a_letter_links_to_what_can_be_done_with_it(
    client: httpx2.Client, letter: str, job_id: str, action: str
) -> None:
    always = {"self": letter, "job": f"/v1/jobs/{job_id}"}
    acts = {"replay": f"{letter}/replay", "discard": f"{letter}/discard"}

    assert client.get(letter).json()["links"] == always | acts
    assert client.post(acts[action]).json()["links"] == always
    assert client.get(letter).json()["links"] == always


def test_a_message_that_is_no_job_of_ours_can_only_be_discarded(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    letter = f"/v1/dead-letters/{lives.foreign(sql_now, b'x')}"
    assert client.get(letter).json()["links"] == {"self": letter, "discard": f"{letter}/discard"}

    replayed = client.post(f"{letter}/replay")

    assert replayed.status_code == 409
    assert "no job of this service" in replayed.json()["detail"]
    assert client.post(f"{letter}/discard").status_code == 200


@pytest.mark.parametrize(
    ("body", "shown"),
    [(b'{"pin": 1}', ("body", '{"pin": 1}')), (b"\xff", ("body_base64", "/w=="))],
)
def test_a_foreign_message_is_shown_to_keys_with_the_scope_payloads_only(
    client_with: MakeClient, sql_now: psycopg.Connection, body: bytes, shown: tuple[str, str]
) -> None:
    letter = f"/v1/dead-letters/{lives.foreign(sql_now, body)}"

    assert client_with(Scope.ADMIN).get(letter).json()["message"] is None
    message = client_with(Scope.READ, Scope.PAYLOADS).get(letter).json()["message"]
    assert message[shown[0]] == shown[1]


def test_lists_hold_what_the_filters_name(
    client: httpx2.Client, letter: str, sql_now: psycopg.Connection
) -> None:
    job_letter, foreign = int(letter.rpartition("/")[2]), lives.foreign(sql_now, b"x")

    def listed(**filters: str) -> list[int]:
        page = client.get("/v1/dead-letters", params=filters).json()
        return [found["id"] for found in page["dead_letters"]]

    assert listed() == [foreign, job_letter]
    assert listed(kind="email.send") == listed(error="SMTP") == listed(error="BOX") == [job_letter]
    assert listed(since="2100-01-01T00:00:00Z") == listed(queue="webhooks") == []
    assert listed(reason="malformed") == [foreign]
    assert listed(oldest_first="true") == [job_letter, foreign]
    died_at = client.get(letter).json()["died_at"]
    assert listed(until=died_at) == []
    assert job_letter in listed(since=died_at)
    client.post(f"{letter}/discard")
    assert listed(queue="email") == [foreign]
    assert listed(open="false") == [job_letter]


def test_pages_go_on_in_the_order_that_was_asked_for(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    letters = [lives.foreign(sql_now, b"x") for _ in range(3)]

    seen, cursor = [], None
    while page := client.get("/v1/dead-letters", params={"limit": 1, "oldest_first": True} | (
        {"cursor": cursor} if cursor else {}
    )).json():  # fmt: skip
        seen += [found["id"] for found in page["dead_letters"]]
        if not (cursor := page["next_cursor"]):
            break
        last = cursor

    assert seen == letters
    other_order = client.get("/v1/dead-letters", params={"cursor": last})
    assert (other_order.status_code, other_order.json()["type"]) == (400, "/problems/cursor")
    assert client.get("/v1/dead-letters", params={"reason": "mended"}).status_code == 422


@pytest.mark.parametrize(
    ("method", "action"), [("GET", ""), ("POST", "/replay"), ("POST", "/discard")]
)
def test_a_letter_that_does_not_exist_is_not_found(
    lasting_client: httpx2.Client, method: str, action: str
) -> None:
    assert (
        lasting_client.request(method, f"/v1/dead-letters/{2**63 - 1}{action}").status_code == 404
    )
