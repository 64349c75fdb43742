"""Schedules over HTTP: created, changed, and refused with the reason."""

from typing import Any

import httpx2

from service.subjects import NEW_JOBS

MAIL: Any = NEW_JOBS["a mail"]["value"]
NIGHTLY: Any = {
    "name": "mails.nightly",
    "cron": "0 2 * * *",
    "zone": "Europe/Berlin",
    "kind": MAIL["kind"],
    "payload": MAIL["payload"],
}
PATH = "/v1/schedules/mails.nightly"


def test_a_schedule_is_created_shown_and_run(client: httpx2.Client) -> None:
    made = client.post("/v1/schedules", json=NIGHTLY)
    assert (made.status_code, made.headers["Location"]) == (201, PATH)
    (job,) = client.post(f"{PATH}/run", json={"why": "now"}).json()["job_ids"]
    shown = client.get(PATH)
    assert shown.headers["ETag"] == made.headers["ETag"] == '"1"'
    assert len(shown.json()["next_runs"]) == 10
    assert [(each["outcome"], each["job_id"]) for each in shown.json()["ticks"]] == [("made", job)]
    assert client.get(f"/v1/jobs/{job}").json()["subject"] == "schedule:mails.nightly"
