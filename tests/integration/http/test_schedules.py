"""Schedules over HTTP: made, changed, and refused with the reason."""

from typing import Any

import httpx2
import psycopg
import pytest

from outbox.operations.api_keys import Scope
from service.subjects import NEW_JOBS
from tests.integration.http.conftest import MakeClient

MAIL: Any = NEW_JOBS["a mail"]["value"]
NIGHTLY: Any = {
    "name": "mails.nightly",
    "cron": "0 2 * * *",
    "zone": "Europe/Berlin",
    "kind": MAIL["kind"],
    "payload": MAIL["payload"],
}
PATH = "/v1/schedules/mails.nightly"
FIRST = {"If-Match": '"1"'}
RECORD = "SELECT act, why, about FROM duly.acts WHERE act LIKE 'schedule-%' ORDER BY id"


@pytest.fixture
def made(client: httpx2.Client) -> httpx2.Response:
    """The answer to the request that made the schedule."""
    return client.post("/v1/schedules", json=NIGHTLY | {"why": "asked"}).raise_for_status()


def problem(answer: httpx2.Response) -> tuple[int, str]:
    """The answer's status, and the problem's type."""
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


def test_a_schedule_is_created_shown_and_run(client: httpx2.Client, made: httpx2.Response) -> None:
    assert (made.status_code, made.headers["Location"]) == (201, PATH)
    (job,) = client.post(f"{PATH}/run", json={"why": "now"}).json()["job_ids"]
    shown = client.get(PATH)
    assert shown.headers["ETag"] == made.headers["ETag"] == '"1"'
    assert len(shown.json()["next_runs"]) == 10
    assert [(each["outcome"], each["job_id"]) for each in shown.json()["ticks"]] == [("made", job)]
    assert client.get(f"/v1/jobs/{job}").json()["subject"] == "schedule:mails.nightly"


def test_of_two_who_edit_the_second_is_told(client: httpx2.Client, made: httpx2.Response) -> None:
    edited = client.patch(PATH, json={"cron": "0 3 * * *"}, headers=FIRST)
    assert (edited.json()["cron"], edited.headers["ETag"]) == ("0 3 * * *", '"2"')
    assert edited.json()["zone"] == "Europe/Berlin"
    for refused in (
        client.patch(PATH, json={"cron": "0 4 * * *"}, headers=FIRST),
        client.delete(PATH, headers=FIRST),
        client.delete(PATH, headers={"If-Match": "W/2"}),
    ):
        assert problem(refused) == (412, "changed")
    assert problem(client.patch(PATH, json={"cron": "0 4 * * *"})) == (428, "if-match")
    assert problem(client.delete(PATH)) == (428, "if-match")
    assert client.get(PATH).json()["cron"] == "0 3 * * *"
    assert client.delete(PATH, headers={"If-Match": '"2"'}).status_code == 204
    assert problem(client.get(PATH)) == (404, "not-found")


def test_everything_of_a_schedule_can_be_changed(
    client: httpx2.Client, made: httpx2.Response
) -> None:
    changes: dict[str, Any] = {
        "zone": "UTC",
        "overlap": "queue",
        "missed": "run_all",
        "catch_up_seconds": 7200,
        "jitter_seconds": 60,
        "subject": "mails",
    }
    edited = client.patch(PATH, json=changes, headers=FIRST).json()
    assert {name: edited[name] for name in changes} == changes
    back = client.patch(PATH, json={"subject": None}, headers={"If-Match": '"2"'}).json()
    assert (back["subject"], back["overlap"]) == (None, "queue")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"cron": "0 0 30 2 *"}, "cron"),
        ({"cron": "* * * * * * *"}, "cron"),
        ({"cron": "x" * 201}, "cron"),
        ({"zone": "Mars/Phobos"}, "zone"),
        ({"overlap": "often"}, "overlap"),
        ({"jitter_seconds": 86400}, "jitter"),
        ({"catch_up_seconds": 1}, "catch_up"),
        ({"catch_up_seconds": -1}, "catch_up_seconds"),
        ({"name": "a/b"}, "name"),
        ({"kind": "invoice.render"}, "kind"),
        ({"kind": "no.such"}, "kind"),
        ({"payload": {"to": "nobody"}}, "payload.to"),
        ({"subject": "\0"}, "subject"),
        ({"paused": True}, "paused"),
    ],
)
def test_what_cannot_be_is_refused_naming_the_field(
    lasting_client: httpx2.Client, wrong: dict[str, Any], field: str
) -> None:
    refused = lasting_client.post("/v1/schedules", json=NIGHTLY | wrong)
    assert problem(refused) == (422, "validation")
    assert field in [error["field"].removeprefix("body.") for error in refused.json()["errors"]]


def test_an_edit_to_what_cannot_be_is_refused(client: httpx2.Client, made: httpx2.Response) -> None:
    wrongs: list[dict[str, Any]] = [
        *({"cron": "0 0 30 2 *"}, {"zone": "Mars"}, {"kind": "webhook.deliver"}),
        *({"payload": {}}, {"kind": "invoice.render", "payload": {}}, {"name": "new"}),
    ]
    for wrong in wrongs:
        assert problem(client.patch(PATH, json=wrong, headers=FIRST)) == (422, "validation")
    assert client.get(PATH).headers["ETag"] == '"1"'


def test_acts_that_its_state_does_not_allow_are_refused(
    client: httpx2.Client, made: httpx2.Response, sql_now: psycopg.Connection
) -> None:
    assert problem(client.post("/v1/schedules", json=NIGHTLY)) == (409, "conflict")
    assert problem(client.post(f"{PATH}/resume")) == (409, "conflict")
    paused = client.post(f"{PATH}/pause", json={"why": "it moves"}).json()
    assert (paused["next_runs"], "resume" in paused["links"]) == ([], True)
    assert problem(client.post(f"{PATH}/pause")) == (409, "conflict")
    assert client.post(f"{PATH}/resume").status_code == 200
    sql_now.execute("UPDATE duly.schedules SET source = 'code'")
    for refused in (
        client.patch(PATH, json={"zone": "UTC"}, headers={"If-Match": '"3"'}),
        client.delete(PATH, headers={"If-Match": '"3"'}),
    ):
        assert problem(refused) == (409, "conflict")
    for act in ("pause", "resume", "run"):
        assert problem(client.post(f"/v1/schedules/missing/{act}")) == (404, "not-found")


def test_a_range_is_backfilled(client: httpx2.Client, made: httpx2.Response) -> None:
    wanted = {"since": "2026-03-28T00:00:00Z", "until": "2026-03-31T00:00:00Z", "why": "an outage"}
    jobs = client.post(f"{PATH}/backfill", json=wanted).json()["job_ids"]
    assert len(jobs) == 3
    assert client.post(f"{PATH}/backfill", json=wanted).json()["job_ids"] == []
    listed = client.get(f"{PATH}/ticks", params={"limit": 2}).json()
    rest = client.get(f"{PATH}/ticks", params={"limit": 2, "cursor": listed["next_cursor"]}).json()
    ticks = [*listed["ticks"], *rest["ticks"]]
    assert [tick["due_at"] for tick in ticks] == [
        "2026-03-30T00:00:00Z",
        "2026-03-29T01:00:00Z",
        "2026-03-28T01:00:00Z",
    ]
    assert sorted(tick["job_id"] for tick in ticks) == sorted(jobs)
    too_much = {"since": "1999-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}
    assert problem(client.post(f"{PATH}/backfill", json=too_much)) == (422, "validation")


def test_what_each_scope_allows(client_with: MakeClient, made: httpx2.Response) -> None:
    reader, operator = client_with(Scope.READ), client_with(Scope.OPERATE, Scope.READ)
    submitter = client_with(Scope.SUBMIT)
    assert reader.get("/v1/schedules").status_code == 200
    assert problem(reader.post(f"{PATH}/pause")) == (403, "forbidden")
    assert problem(submitter.post("/v1/schedules", json=NIGHTLY)) == (403, "forbidden")
    assert problem(operator.post("/v1/schedules", json=NIGHTLY)) == (403, "forbidden")
    new_work = {"kind": MAIL["kind"], "payload": MAIL["payload"]}
    assert problem(operator.patch(PATH, json=new_work, headers=FIRST)) == (403, "forbidden")
    assert operator.patch(PATH, json={"zone": "UTC"}, headers=FIRST).status_code == 200


def test_payloads_are_shown_to_those_who_may_see_them(
    client: httpx2.Client,
    client_with: MakeClient,
    made: httpx2.Response,
    sql_now: psycopg.Connection,
) -> None:
    for answer in (made, client.get(PATH)):
        assert answer.json()["payload"]["to"] == "[redacted]"
    eve = client_with(Scope.READ, Scope.PAYLOADS)
    assert eve.get(PATH).json()["payload"]["to"] == MAIL["payload"]["to"]
    (listed,) = eve.get("/v1/schedules").json()["schedules"]
    assert listed["payload"]["to"] == MAIL["payload"]["to"]
    looks = sql_now.execute("SELECT about FROM duly.acts WHERE act = 'look'").fetchall()
    assert looks == [(["schedule:mails.nightly"],)] * 2


def test_schedules_are_listed_in_pages(client: httpx2.Client, made: httpx2.Response) -> None:
    client.post("/v1/schedules", json=NIGHTLY | {"name": "a"}).raise_for_status()
    first = client.get("/v1/schedules", params={"limit": 1}).json()
    rest = client.get("/v1/schedules", params={"cursor": first["next_cursor"]}).json()
    names = [each["name"] for each in first["schedules"] + rest["schedules"]]
    assert (names, rest["next_cursor"]) == (["a", "mails.nightly"], None)


def test_each_act_is_on_record(
    client: httpx2.Client, made: httpx2.Response, sql_now: psycopg.Connection
) -> None:
    client.patch(PATH, json={"zone": "UTC", "why": "moved"}, headers=FIRST).raise_for_status()
    client.post(f"{PATH}/pause", json={"why": "late"}).raise_for_status()
    client.post(f"{PATH}/resume").raise_for_status()
    (job,) = client.post(f"{PATH}/run").json()["job_ids"]
    client.delete(PATH, params={"why": "gone"}, headers={"If-Match": '"4"'}).raise_for_status()
    about = ["schedule:mails.nightly"]
    assert sql_now.execute(RECORD).fetchall() == [
        ("schedule-create", "asked", about),
        ("schedule-edit", "moved", about),
        ("schedule-pause", "late", about),
        ("schedule-resume", None, about),
        ("schedule-run", None, [*about, f"job:{job}"]),
        ("schedule-delete", "gone", about),
    ]
