"""Batches that clients submit over HTTP."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx2
import psycopg

from outbox.http.routes.batches.new_batch import MOST_MEMBERS
from outbox.operations.api_keys import Scope
from tests.integration.http.conftest import MakeClient
from tests.support.engine.by_hand import WAITING
from tests.support.wait import wait_for

MAIL = {"to": "anna@example.org", "subject": "Hello", "text": "between us"}
NEW = {"kind": "email.send", "payload": MAIL}
ATTACHED = {"kind": "email.send", "payload": MAIL | {"attachments": [f"{uuid4()}.pdf"]}}
WRITTEN = """
SELECT (SELECT count(*) FROM duly.batches), (SELECT count(*) FROM duly.jobs),
       (SELECT count(*) FROM duly.outbox_events)
"""


def errors(answer: httpx2.Response) -> list[str]:
    """The fields that a 422 names, and what it says of them."""
    assert answer.status_code == 422, answer.text
    return [f"{each['field']}: {each['message']}" for each in answer.json()["errors"]]


def written(database: psycopg.Connection) -> tuple[int, ...]:
    """How many batches, jobs and outbox events there are."""
    found = database.execute(WRITTEN).fetchone()
    assert found
    return found


def test_a_batch_is_submitted_with_its_members_and_callbacks(
    client_with: MakeClient, sql_now: psycopg.Connection
) -> None:
    client = client_with(Scope.SUBMIT, Scope.READ)
    low = NEW | {"priority": "low", "run_at": "2190-01-01T00:00:00Z"}
    body = {"jobs": [NEW, low], "on_success": NEW, "on_settled": NEW, "subject": "import:7"}
    made = client.post("/v1/batches", json=body)
    assert (made.status_code, made.json()["state"]) == (202, "open")
    assert made.headers["location"] == made.json()["links"]["self"]
    shown = client.get(made.headers["location"]).json()
    assert shown["callbacks"] == {"on_success": "email.send", "on_settled": "email.send"}
    assert (shown["subject"], shown["submitted_by"][:4]) == ("import:7", "test")
    first, second = (client.get(f"/v1/jobs/{each}").json() for each in made.json()["job_ids"])
    assert (first["priority"], second["priority"]) == ("normal", "low")
    assert (first["state"], second["state"]) == ("queued", "scheduled")
    assert first["batch_id"] == second["batch_id"] == made.json()["id"]
    assert first["payload"]["text"] == "[redacted]"
    assert written(sql_now) == (1, 2, 2)


def test_members_are_added_until_the_last_ones_seal_the_batch(
    client_with: MakeClient, sql_now: psycopg.Connection
) -> None:
    client = client_with(Scope.SUBMIT)
    grows = client.post("/v1/batches", json={"jobs": [], "seal": False})
    assert (grows.status_code, grows.json()["state"]) == (202, "growing")
    jobs = grows.json()["links"]["jobs"]
    assert errors(client.post(jobs, json={"jobs": []})) == [
        "body: jobs is empty: nothing would be added"
    ]
    added = client.post(jobs, json={"jobs": [NEW, NEW]})
    assert (added.json()["state"], len(added.json()["job_ids"])) == ("growing", 2)
    last = client.post(jobs, json={"jobs": [NEW], "seal": True})
    assert (last.json()["state"], list(last.json()["links"])) == (
        "open",
        ["self", "jobs", "cancel"],
    )
    late = client.post(jobs, json={"jobs": [NEW]})
    assert (late.status_code, late.json()["type"]) == (409, "/problems/conflict")
    assert late.json()["detail"] == "nothing is added to the batch: it is open"
    assert client.post(f"/v1/batches/{uuid4()}/jobs", json={"jobs": [NEW]}).status_code == 404
    assert written(sql_now) == (1, 3, 3)
    (act,) = sql_now.execute("SELECT act, who FROM duly.acts WHERE act = 'seal-batch'").fetchall()
    assert act[1].startswith("test ")


def test_nothing_is_added_to_a_cancelled_batch(client: httpx2.Client) -> None:
    grows = client.post("/v1/batches", json={"jobs": [], "seal": False}).json()
    client.post(grows["links"]["cancel"], json={})
    late = client.post(grows["links"]["jobs"], json={"jobs": [NEW]})
    assert (late.status_code, late.json()["detail"]) == (
        *(409, "nothing is added to the batch: it is cancelling"),
    )


def test_who_adds_waits_for_who_seals(
    client: httpx2.Client, database_url: str, sql_now: psycopg.Connection
) -> None:
    grows = client.post("/v1/batches", json={"jobs": [], "seal": False}).json()
    with psycopg.connect(database_url) as other, ThreadPoolExecutor() as pool:
        other.execute("UPDATE duly.batches SET sealed_at = now()")
        late = pool.submit(client.post, grows["links"]["jobs"], json={"jobs": [NEW]})
        wait_for("the request to wait", lambda: sql_now.execute(WAITING).fetchone())
        other.commit()
        assert late.result().status_code == 409
    assert written(sql_now) == (1, 0, 0)


def test_what_is_wrong_is_named_by_its_index_and_nothing_is_written(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    wrong = NEW | {"payload": MAIL | {"to": "nobody"}}
    body = {"jobs": [NEW, wrong, NEW, wrong], "on_success": wrong}
    found = errors(client.post("/v1/batches", json=body))
    assert [each.partition(": ")[0] for each in found] == [
        *("jobs.1.payload.to", "jobs.3.payload.to", "on_success.payload.to"),
    ]
    unknown = NEW | {"kind": "invoice.render"}
    found = errors(client.post("/v1/batches", json={"jobs": [NEW, unknown], "on_settled": unknown}))
    refused = "is not a kind open to clients; these are: email.send, webhook.deliver"
    assert found == [f"jobs.1.kind: {refused}", f"on_settled.kind: {refused}"]
    later = {"jobs": [NEW], "on_success": NEW | {"run_at": "2190-01-01T00:00:00Z"}}
    assert errors(client.post("/v1/batches", json=later)) == [
        "on_success.run_at: Extra inputs are not permitted"
    ]
    assert errors(client.post("/v1/batches", json={"jobs": []})) == [
        "body: jobs is empty: to add members later, send seal: false"
    ]
    many = errors(client.post("/v1/batches", json={"jobs": [NEW] * (MOST_MEMBERS + 1)}))
    assert many[0].startswith("jobs: List should have at most 1000 items")
    assert written(sql_now) == (0, 0, 0)


def test_a_key_needs_the_scopes_of_all_members_and_callbacks(client_with: MakeClient) -> None:
    client = client_with(Scope.SUBMIT)
    grows = client.post("/v1/batches", json={"jobs": [], "seal": False}).json()
    for path, body in (
        ("/v1/batches", {"jobs": [NEW, ATTACHED]}),
        ("/v1/batches", {"jobs": [NEW], "on_first_death": ATTACHED}),
        (grows["links"]["jobs"], {"jobs": [ATTACHED]}),
    ):
        refused = client.post(path, json=body)
        assert (refused.status_code, refused.json()["detail"][-4:]) == (403, "read")


def test_a_repeated_request_makes_one_batch(
    client: httpx2.Client, sql_now: psycopg.Connection
) -> None:
    key = {"Idempotency-Key": "import-7"}
    first, again = (
        client.post("/v1/batches", json={"jobs": [NEW, NEW]}, headers=key) for _ in range(2)
    )
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert written(sql_now) == (1, 2, 2)
